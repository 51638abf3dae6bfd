import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { runBots } from "../../../tools/harness/bots_process.ts";
import { measure } from "../../../bots/measure.ts";
import type { BotsOptions } from "../../../bots/run/options.ts";
import { findProgram } from "../../../cli/program.ts";
import { reportText } from "../../../bots/results/report_text.ts";
import type { BotsReport } from "../../../bots/results/report.ts";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import type { ServeOptions } from "../../../server/running_server.ts";
import { serve } from "../../../server/serve.ts";
import { startCommand } from "../../support/processes/command_process.ts";
import { stamp } from "./scripted_server.ts";
import { type Rival, type RivalScript, RivalServer } from "./rival_server.ts";
import { countsOf, OPTIONS, play } from "./scripted_run.ts";

const PATIENCE = { timeout: 120_000 };

/** So many milliseconds a message takes that never comes. */
const LIMIT_MS = 500;

async function run(port: number, options: Partial<BotsOptions>): Promise<BotsReport> {
  const observer = { onFindings() {}, onStart: () => ({ update() {}, stop() {} }) };
  const runtime = await detectRuntime();
  return await measure(runtime, { ...OPTIONS, ...options, port }, [], observer);
}

/** Starts a server of ours. */
async function withServer(
  options: Pick<ServeOptions, "access" | "limits">,
  test: (port: number) => Promise<void>,
): Promise<void> {
  const server = await serve({
    hostname: "127.0.0.1",
    port: 0,
    runtime: await detectRuntime(),
    events: { onSessionEnd() {}, onAcceptError() {} },
    ...options,
  });
  try {
    if (server.address.transport === "tcp") await test(server.address.port);
  } finally {
    await server.close();
  }
}

/** The error of a run on our server that can't take place. */
async function failure(
  server: Pick<ServeOptions, "access" | "limits">,
  options: Partial<BotsOptions>,
): Promise<string> {
  let message = "";
  await withServer(server, async (port) => {
    const error = await assertRejects(() => run(port, options), EnvironmentError);
    assertEquals(error.message.includes("\n"), false);
    message = error.message;
  });
  return message;
}

const FULL = '{"timestamp":[1,2,3],"error":{"code":"too_many_connections","message":"All 9"}}\x01';

describe("bots at a full server", PATIENCE, () => {
  const remedies = ["--workers", "descriptor limit (`ulimit -n`)", "deno task doctor 10"];

  it("say how many were refused, and what mends it, when the publisher is, too", async () => {
    const message = await failure({ limits: { maxConnections: 6 } }, { n: 10 });
    for (
      const part of [
        "the publisher can't connect to 127.0.0.1:",
        "too_many_connections: All 6 connections are taken",
        "4 of 10 bots were refused before it",
        ...remedies,
      ]
    ) assertStringIncludes(message, part);
  });

  it("say so where no bot is let in", async () => {
    const { message } = await assertRejects(
      () => play({ onConnect: (socket) => socket.end(FULL) }, { n: 10 }),
      EnvironmentError,
    );
    for (const part of ["refuses every bot: too_many_connections: All 9", ...remedies]) {
      assertStringIncludes(message, part);
    }
  });

  it("ask for the reason where it closes without a word, as to clients of 2009", async () => {
    let greeted = 0;
    const { report } = await play({
      // It goes by the first bytes; the publisher has none to say before the greeting.
      onConnect(socket: Socket, number, server) {
        if (number === 0) return server.greet(socket);
        const timer = setTimeout(() => server.greet(socket), 100);
        socket.prependOnceListener("data", (text: string) => {
          clearTimeout(timer);
          if (!text.startsWith("<regular-socket/>")) socket.end(FULL);
          else if (greeted++ < 6) server.greet(socket);
          else socket.end();
        });
      },
    }, { n: 10, retries: 2 });
    assertEquals(countsOf(report.rounds[0]), { good: 6, bad: 4, missing: 4, disconnected: 4 });
    assertEquals(report.setup.refusal, "too_many_connections: All 9");
    assertEquals(report.setup.failed_attempts, { closed_before_greeting: 12 });
    assertEquals(report.valid, false);
    const text = reportText(report).replace(/\s+/g, " ");
    for (
      const part of [
        "4 of 10 bots never subscribed, refused by the server: too_many_connections: All 9",
        ...remedies,
      ]
    ) {
      assertStringIncludes(text, part);
    }
  });
});

describe("a refused message", PATIENCE, () => {
  const cases = [
    ["one that is too large", {}, { data: "x".repeat(100_000) }, "frame_too_large: ", "--size"],
    [
      "one from an address that may not publish",
      { publishFrom: ["10.0.0.0/8"] },
      {},
      "forbidden: ",
    ],
    ["one without a key", { publishKeys: ["k"] }, {}, "forbidden: ", "--key-file"],
    [
      "one with a key for subscribing only",
      { publishKeys: ["k"], subscribeKeys: ["s"] },
      { keys: ["s"] },
      "forbidden: ",
    ],
  ] as const;
  for (const [which, access, options, ...says] of cases) {
    it(`is told in the server's words: ${which}`, async () => {
      const message = await failure({ access }, { timeoutMs: LIMIT_MS, ...options });
      for (const part of ["refuses the message: ", ...says]) assertStringIncludes(message, part);
    });
  }

  const rivals: [Rival, RivalScript, string][] = [
    ["nats", { onPublish: (socket) => socket.write("-ERR 'Permissions Violation'\r\n") }, "Permis"],
    [
      "redis",
      { onPublish: (socket) => socket.write("-NOPERM no channel\r\n") },
      "NOPERM no channel",
    ],
  ];
  for (const [dialect, script, says] of rivals) {
    it(`is told in the words of ${dialect}`, async () => {
      const server = await RivalServer.start(dialect, script);
      try {
        const error = await assertRejects(
          () => run(server.port, { dialect, timeoutMs: 60_000 }),
          EnvironmentError,
        );
        assertStringIncludes(error.message, `refuses the message: ${says}`);
      } finally {
        await server.stop();
      }
    });
  }

  it("is none that came before the server took its leave of the publisher", async () => {
    const { report } = await play({
      onPublish({ message, subscribers, publisher }) {
        const frame = stamp(message);
        for (const socket of subscribers) socket.write(frame);
        publisher!.end('{"timestamp":[1,2,3],"error":{"code":"server_shutdown"}}\x01');
      },
    }, { keys: ["k"] });
    assertEquals(countsOf(report.rounds[0]), { good: 4 });
  });

  it("is no message that merely got lost, nor asked for on a topic of the bots", async () => {
    const { report, server } = await play({ onPublish() {} }, { timeoutMs: LIMIT_MS });
    assertEquals(countsOf(report.rounds[0]), { bad: 4, missing: 4 });
    const asked = server.said.at(-1)!;
    assertMatch(asked, /^PING\0PUBLISH\0\{"topic":"\w{6}","event":"test_event".*\}\0$/);
    assertEquals(asked.includes('"events"'), false);
  });
});

describe("bots with keys", PATIENCE, () => {
  const access = { publishKeys: ["to publish"], subscribeKeys: ["to read", "another"] };

  it("show them, subscribers and publisher, in one process or several", async () => {
    await withServer({ access }, async (port) => {
      for (const processes of [1, 2]) {
        const keys = ["to publish", "to read"];
        const report = await run(port, { keys, processes, rounds: 2 });
        assertEquals(report.rounds.map(countsOf), [{ good: 4 }, { good: 4 }]);
      }
    });
  });

  it("are told where they need one, or have a wrong one", async () => {
    const none = await failure({ access }, {});
    assertStringIncludes(none, "refuses every bot: forbidden: ");
    assertStringIncludes(none, "--key-file FILE");
    // Before the address has had so many tries that it gets no more.
    const wrong = await failure({ access }, { n: 20, keys: ["wrong"] });
    assertStringIncludes(wrong, "The key is wrong");
  });

  it("speak as clients of today from the first byte, and answer PING", async () => {
    const { report, server } = await play({
      onPublish({ message, subscribers: [bot] }) {
        bot!.write(`PING\x01${stamp(message)}`);
      },
    }, { n: 1, keys: ["k"] });
    assertEquals(countsOf(report.rounds[0]), { good: 1 });
    const opening = 'PING\0{"action":"authenticate","data":"k"}\0';
    const [, bot, publisher] = server.said;
    assertEquals(
      bot,
      opening + '{"action":"subscribe","data":"events"}\0PONG\0' +
        '{"action":"unsubscribe","data":"events"}\0',
    );
    assertEquals(
      publisher,
      opening + 'PUBLISH\0{"topic":"events","event":"test_event","message_id":"","data":"test"}\0',
    );
  });

  it("have them from a file as a task of Deno's", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-keys-"));
    const file = join(folder, "key");
    writeFileSync(file, "k\n");
    try {
      await withServer({ access: { publishKeys: ["k"], subscribeKeys: ["k"] } }, async (port) => {
        const report = await runBots({
          runtime: "deno",
          program: findProgram("deno"),
          args: [3, `127.0.0.1:${port}`, "--key-file", file],
          limitMs: 60_000,
        });
        assertEquals(report.good, 3);
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("have them from a file, and no report has a key", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-keys-"));
    const file = join(folder, "key");
    const empty = join(folder, "empty");
    writeFileSync(file, "\n to read \nanother\n");
    writeFileSync(empty, " \n");
    try {
      await withServer({ access }, async (port) => {
        const bots = (...args: (string | number)[]) =>
          startCommand("bots/main.ts", [3, "127.0.0.1", port, ...args]).ended;
        const keys = ["--key", "to publish", "--key-file", file];
        const { stdout, stderr } = await bots(...keys, "--json", "-");
        const report = JSON.parse(stdout) as BotsReport;
        assertEquals(report.good, 3);
        assertEquals(report.environment.arguments.slice(3, 5), ["--key", "***"]);
        assertEquals(/to publish|to read/.test(stdout + stderr), false);
        const joined = await bots("--key=to publish", `--key-file=${file}`, "--json", "-");
        assertEquals(/to publish|to read/.test(joined.stdout + joined.stderr), false);
        for (const [name, says] of [[empty, "holds no key"], [`${file}s`, "can't read"]] as const) {
          const { status, stderr } = await bots("--key-file", name);
          assertEquals([status, stderr.split("\n").length], [1, 2]);
          assertStringIncludes(stderr, says);
        }
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
