import { assert, assertEquals, assertStringIncludes } from "@std/assert";

import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import type { RuntimeName } from "../../../cli/program.ts";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { sharedChromium, skipChromium } from "../../support/processes/chromium.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";
import { skipNats } from "../../support/processes/nats_server.ts";
import { withMachines } from "../machines/nats_bed.ts";

/** Topics whose names would do something in a page that takes them for more than text. */
const HOSTILE = [
  "<img src=x onerror=\"document.title='hacked'\">",
  "<script>document.title='hacked'</script>",
  "javascript:document.title='hacked'",
  "\u202egnp.exe",
  "${document.title='hacked'}",
  "'\"><svg/onload=document.title='hacked'>",
];

interface Shown {
  readonly page: Page;
  /** What the page complained about, and the addresses that it asked for. */
  readonly complaints: string[];
  readonly asked: string[];
}

async function open(
  browser: Browser,
  url: string,
  colorScheme: "light" | "dark",
  width: number,
): Promise<Shown> {
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
  const page = await context.newPage();
  const complaints: string[] = [];
  const asked: string[] = [];
  page.on("console", (line) => complaints.push(line.text()));
  page.on("pageerror", ({ message }) => complaints.push(message));
  page.on("dialog", (dialog) => {
    complaints.push(`a dialog says ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(url);
  return { page, complaints, asked };
}

async function text(page: Page, id: string): Promise<string> {
  return await page.textContent(`#${id}`) ?? "";
}

/** Waits until an element has a text. The page's own policy forbids what would wait inside it. */
async function untilText(page: Page, id: string, isWanted: (text: string) => boolean) {
  const deadlineMs = performance.now() + 20_000;
  for (;;) {
    const found = await text(page, id);
    if (isWanted(found)) return;
    if (performance.now() > deadlineMs) throw new Error(`#${id} stays ${found}`);
    await sleep(100);
  }
}

/** Runs a test with a server. */
async function withPage(
  runtime: RuntimeName,
  body: (bed: { server: ServerCommand; adminUrl: string }) => Promise<void>,
): Promise<void> {
  const server = await ServerCommand.listening(runtime, ["--admin", ":0"]);
  try {
    await body({ server, adminUrl: /, admin on (\S+)\)/.exec(server.stdout)![1]! });
  } finally {
    await server.dispose();
  }
}

describe("the page of an admin port", { skip: skipChromium }, () => {
  const browser = sharedChromium();

  // Both serve the same page: either theme suffices with each.
  for (
    const [runtime, theme, width] of [["deno", "light", 1_400], ["bun", "dark", 400]] as const
  ) {
    it(
      `shows what goes on, and no name does anything in it: ${runtime}'s, ${theme}, ${width} wide`,
      {
        timeout: 120_000,
      },
      async () => {
        await withPage(runtime, async ({ server, adminUrl }) => {
          const clients = await Promise.all(
            HOSTILE.map((topic) => JanusClient.subscribed(server, topic)),
          );
          const url = `${adminUrl}/?key=a`;
          const { page, complaints, asked } = await open(browser(), url, theme, width);
          await untilText(page, "state", (state) => state === "● ready");
          // A key must not stay in the address line.
          assertEquals(new URL(page.url()).search, "");
          for (const topic of HOSTILE) clients[0]!.send(publish(message(topic)));
          await untilText(page, "last", (last) => last !== "–");
          await untilText(page, "topics", (shown) => {
            return HOSTILE.every((topic) => shown.includes(topic.replace("\u202e", "\\u{202e}")));
          });
          clients.push(await JanusClient.greeted(server));
          await untilText(page, "connections", (shown) => shown === String(clients.length));
          assertEquals(await page.evaluate("document.querySelectorAll('canvas').length"), 5);
          assertEquals(await page.evaluate("document.documentElement.scrollWidth"), width);
          assertEquals(await page.evaluate("document.querySelectorAll('td *').length"), 0);
          assertEquals(await page.title(), "Hotwheels");
          assertEquals(complaints, []);
          for (const address of asked) {
            assert(address.startsWith(`${adminUrl}/`) || address.startsWith("data:"), address);
          }
          await page.context().close();
          for (const client of clients) await client.dispose();
        });
      },
    );
  }

  it("shows the other machines of a cluster, and when one is silent", {
    timeout: 60_000,
    skip: skipNats,
  }, async () => {
    await withMachines("bun", [[], []], async ([a, b]) => {
      const { page, complaints } = await open(browser(), a!.adminUrl, "light", 800);
      const { machine } = (await a!.status()).cluster.members[0]!;
      const row = `${machine}127.0.0.1`;
      await untilText(page, "members", (shown) => shown.startsWith(`${row}up1`));
      assertStringIncludes(await text(page, "cluster-state"), "NATS connected");
      process.kill(b!.server.pid, "SIGSTOP");
      await untilText(page, "members", (shown) => shown.startsWith(`${row}silent`));
      process.kill(b!.server.pid, "SIGCONT");
      await untilText(page, "members", (shown) => shown.startsWith(`${row}up1`));
      assertEquals(complaints, []);
      await page.context().close();
    });
  });

  it("says that the server gives no answer any more", { timeout: 60_000 }, async () => {
    await withPage("bun", async ({ server, adminUrl }) => {
      const { page } = await open(browser(), adminUrl, "light", 800);
      await untilText(page, "state", (state) => state === "● ready");
      await server.dispose();
      await untilText(page, "state", (state) => state === "▲ no answer");
      assertStringIncludes(await text(page, "trouble"), "s old");
      await page.context().close();
    });
  });
});
