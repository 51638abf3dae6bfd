import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { UsageError } from "../../../cli/command_line.ts";
import type { RuntimeName } from "../../../cli/program.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { WebSocketConnector } from "../../../runtime/websocket/layer.ts";
import { parseCommand } from "../../../server/command/options.ts";
import { message, publish } from "../../support/clients/janus_client.ts";
import { FIRST, identityFile, trustIn } from "../../support/identities.ts";
import type { ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";
import { request } from "../../support/web_socket/frames.ts";
import { WebSocketClient } from "../../support/web_socket/web_socket_client.ts";
import { withCommand } from "./command_bed.ts";

const timeout = 60_000;

/** Processes share a port on Linux only. */
const skip = process.platform === "linux" ? false : "one process serves here";

function portOf({ stdout }: ServerCommand, scheme = "ws"): number {
  return Number(
    new RegExp(`, WebSocket on ${scheme}://127\\.0\\.0\\.1:(\\d+)\\)\\n`).exec(stdout)?.[1],
  );
}

/** Runs a test with a server on that runtime, which has to end well. */
function withGoodEnd(
  runtime: RuntimeName,
  flags: readonly string[],
  test: (server: ServerCommand) => Promise<void>,
): Promise<void> {
  return withCommand(runtime, flags, async (server) => {
    await test(server);
    server.signal("SIGTERM");
    assertEquals((await server.exited()).status, 0);
  });
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`a server on ${runtime} with a port for WebSockets`, () => {
    it("says which one, and answers there only those that may connect", { timeout }, async () => {
      const flags = ["--ws-port", "0", "--ws-origins", "https://app.example,other.example"];
      await withGoodEnd(runtime, flags, async (server) => {
        const port = portOf(server);
        const statusFor = async (origin: string | null) => {
          const client = await WebSocketClient.open(port, request({ Origin: origin }));
          client.dispose();
          return client.status;
        };
        assertEquals(await statusFor("https://app.example"), 101);
        assertEquals(await statusFor("http://other.example"), 101);
        assertEquals(await statusFor(null), 101);
        assertEquals(await statusFor("http://127.0.0.1"), 403);
      });
    });

    it("speaks TLS there if it does elsewhere", { timeout }, async () => {
      const flags = [
        "--ws-port",
        "0",
        "--tls-cert",
        identityFile("first", "crt"),
        "--tls-key",
        identityFile("first", "key"),
      ];
      await withGoodEnd(runtime, flags, async (server) => {
        const connector = new WebSocketConnector(await detectRuntime());
        let got = "";
        const address = { transport: "tcp", hostname: "127.0.0.1", port: portOf(server, "wss") };
        const connection = await connector.connect(
          { ...address, transport: "tcp", tls: trustIn(FIRST) },
          () => ({
            onData: (chunk) => got += new TextDecoder().decode(chunk),
            onDrain() {},
            onEnd() {},
            onClose() {},
          }),
        );
        await until("the greeting has come", () => got.endsWith("\x01"));
        assertMatch(got, /"token":/);
        connection.close();
      });
    });

    it("shares it among its workers, also when these are replaced", { skip, timeout }, async () => {
      await withGoodEnd(runtime, ["--ws-port", "0", "--workers", "2"], async (server) => {
        const port = portOf(server);
        const open = async (count: number) => {
          const clients = [];
          for (let i = 0; i < count; i++) {
            const client = await WebSocketClient.open(port);
            await client.subscribe("t");
            clients.push(client);
          }
          return clients;
        };
        const clients = await open(12);
        clients[0]!.say(publish(message("t", "to all")));
        for (const client of clients) assertMatch((await client.heard(3))[2]!, /"to all"\}$/);
        process.kill(server.pid, "SIGUSR2");
        await until(
          "all workers are replaced",
          () => clients.every((client) => client.close?.code === 1001),
          30_000,
        );
        const later = await open(12);
        later[0]!.say(publish(message("t", "to all again")));
        for (const client of later) assertMatch((await client.heard(3))[2]!, /"to all again"\}$/);
        for (const client of [...clients, ...later]) client.dispose();
      });
    });
  });
}

describe("the flags of the port for WebSockets", () => {
  function optionsOf(...flags: string[]) {
    const command = parseCommand(flags);
    return "options" in command ? command.options.webSocket : undefined;
  }

  it("are optional", () => {
    assertEquals(optionsOf(), undefined);
    assertEquals(optionsOf("--ws-port", "8080"), { port: 8080 });
    assertEquals(optionsOf("--ws-port", "0", "--ws-origins", "a.example,*"), {
      port: 0,
      origins: ["a.example", "*"],
    });
  });

  it("are refused with what is wrong, and with the remedy", () => {
    const wrong: [string[], string][] = [
      [["--ws-origins", "*"], "--ws-origins needs --ws-port too"],
      [["--ws-port", "65536"], "--ws-port must be"],
      [["--ws-port", "8081"], "--ws-port 8081 is the port for TCP already; choose another one"],
      [["--ws-port", "1", "--ws-origins", "a,,b"], 'example.com, or *, not ""'],
      [["--ws-port", "1", "--ws-origins", "https://a/b"], 'not "https://a/b"'],
    ];
    for (const [flags, part] of wrong) {
      const { message } = assertThrows(() => parseCommand(flags), UsageError);
      assertStringIncludes(message, part);
    }
  });
});
