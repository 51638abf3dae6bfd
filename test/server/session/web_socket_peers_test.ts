/** Clients that nobody here wrote. */

import { assert, assertEquals } from "@std/assert";
import { spawn, spawnSync } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { withServer } from "../../support/clients/janus_bed.ts";
import { message, publish } from "../../support/clients/janus_client.ts";
import { launchChromium, skipChromium } from "../../support/processes/chromium.ts";

const timeout = 60_000;

const hasNode = spawnSync("node", ["--version"]).status === 0;

/** Runs a script on Node, and returns what it printed. */
function onNode(script: string, ...args: string[]): Promise<string> {
  const path = fileURLToPath(import.meta.resolve(`./fixtures/${script}`));
  const child = spawn("node", [path, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (text) => said += text);
  return new Promise((resolve) => child.once("close", () => resolve(said)));
}

describe("the client of ws", { skip: hasNode ? false : "there is no Node" }, () => {
  it("speaks with the server as with its own", { timeout }, async () => {
    await withServer({}, async (bed) => {
      const outcome = JSON.parse(await onNode("ws_client.mjs", `${await bed.openWebSockets()}`));
      assertEquals(outcome, {
        protocol: "hotwheels.v1",
        extensions: "",
        hasBinary: false,
        data: ["text, é, 😀", "binary", "fragments"],
        isLargeRight: true,
        pong: "payload",
        ownClose: [4321, ""],
        wrongClose: [1008, "bad_frame"],
        wrongError: "bad_frame",
        foreign: 403,
      });
    });
  });
});

/** What the page in Chromium does. It can use nothing of this file. */
async function inPage(url: string) {
  const open = () => {
    const socket = new WebSocket(url, "hotwheels.v1");
    socket.binaryType = "arraybuffer";
    const said: string[] = [];
    let onMore = () => {};
    socket.onmessage = ({ data }) => {
      said.push(...String(data).split("\x01").slice(0, -1));
      onMore();
    };
    const heard = async (count: number) => {
      while (said.length < count) await new Promise<void>((resolve) => onMore = resolve);
      return said;
    };
    const closed = new Promise<[number, string, boolean]>((resolve) => {
      socket.onclose = ({ code, reason, wasClean }) => resolve([code, reason, wasClean]);
    });
    const opened = new Promise<void>((resolve) => socket.onopen = () => resolve());
    return { socket, heard, closed, opened };
  };
  const first = open();
  if (await Promise.race([first.opened, first.closed]) !== undefined) {
    return { refused: await first.closed };
  }
  const { protocol, extensions } = first.socket;
  first.socket.send('{"action":"subscribe","data":"web"}\0');
  await first.heard(2);
  first.socket.send('PUBLISH\0{"topic":"web","data":"text, é, 😀"}\0');
  first.socket.send(new TextEncoder().encode('PUBLISH\0{"topic":"web","data":"binary"}\0'));
  const large = "y".repeat(60_000);
  first.socket.send(`PUBLISH\0{"topic":"web","data":"${large}"}\0`);
  const frames = await first.heard(5);
  const data = frames.slice(2).map((one) => JSON.parse(one).data.replace(large, "large"));
  first.socket.close(3456, "my reason");
  const ownClose = await first.closed;
  const wrong = open();
  await wrong.opened;
  wrong.socket.send("nonsense\0");
  const wrongClose = await wrong.closed;
  return { protocol, extensions, data, ownClose, wrongClose };
}

describe("Chromium", { skip: skipChromium }, () => {
  it("speaks with the server, for pages of the same host only", { timeout }, async () => {
    const pages = createServer((_request, response) => {
      response.writeHead(200, { "content-type": "text/html" }).end(
        "<!doctype html><title>p</title>",
      );
    });
    await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
    const { port: pagePort } = pages.address() as AddressInfo;
    const browser = await launchChromium();
    try {
      await withServer({}, async (bed) => {
        const url = `ws://127.0.0.1:${await bed.openWebSockets()}/`;
        const page = await browser.newPage();
        await page.goto(`http://127.0.0.1:${pagePort}/`);
        assertEquals(await page.evaluate(inPage, url), {
          protocol: "hotwheels.v1",
          extensions: "",
          data: ["text, é, 😀", "binary", "large"],
          ownClose: [3456, "", true],
          wrongClose: [1008, "bad_frame", true],
        });
        // The same page under a name that the server isn't asked by.
        await page.goto(`http://localhost:${pagePort}/`);
        const { refused } = await page.evaluate(inPage, url) as {
          refused: [number, string, boolean];
        };
        assertEquals(refused, [1006, "", false]);
        const stopping = page.evaluate(whenClosed, url.replace("127.0.0.1", "localhost"));
        await new Promise((resolve) => setTimeout(resolve, 500));
        (await bed.greeted()).send(publish(message("t")));
        const stop = bed.server.stop();
        const [code, reason, wasClean] = await stopping;
        assertEquals([code, reason], [1001, "server_shutdown"]);
        assert(wasClean);
        await page.close();
        await stop;
      });
    } finally {
      await browser.close();
      pages.close();
    }
  });
});

/** Opens a WebSocket, and waits for its end. */
function whenClosed(url: string): Promise<[number, string, boolean]> {
  const socket = new WebSocket(url);
  return new Promise((resolve) => {
    socket.onclose = ({ code, reason, wasClean }) => resolve([code, reason, wasClean]);
  });
}
