import { assert, assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { RuntimeName } from "../../../cli/program.ts";
import { Positions, type Resume } from "../../support/clients/resuming_client.ts";
import { JanusClient, message, publishForReceipt } from "../../support/clients/janus_client.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { onEachWorker, skipWorkers, workersOf } from "../../support/processes/workers.ts";
import { until } from "../../support/until.ts";

const SUBSCRIBERS = 6;

/** A subscriber that comes back whenever it loses its connection, and keeps all that it got. */
class Follower {
  readonly positions = new Positions();
  readonly got: { readonly publisher: number; readonly n: number }[] = [];
  readonly resumes: Resume[] = [];
  #socket: Socket | undefined;
  #isStopped = false;
  isHere = false;
  readonly #port: () => number;

  constructor(port: () => number) {
    this.#port = port;
    void this.#run();
  }

  /** Loses its connection. */
  cut(): void {
    this.#socket?.resetAndDestroy();
  }

  stop(): void {
    this.#isStopped = true;
    this.#socket?.destroy();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#connect();
      this.isHere = false;
      await sleep(20);
    }
  }

  #connect(): Promise<void> {
    return new Promise((resolve) => {
      const socket = this.#socket = createConnection({ host: "127.0.0.1", port: this.#port() });
      this.positions.reconnect();
      let text = "";
      socket.on("connect", () => socket.write(this.positions.subscribe("t")));
      socket.setEncoding("utf8").on("data", (chunk: string) => {
        const frames = (text + chunk).split("\x01");
        text = frames.pop()!;
        for (const frame of frames) this.#take(frame);
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve());
    });
  }

  #take(text: string): void {
    const frame = this.positions.take(text);
    if (frame.what === "PING") this.#socket?.write("PONG\0");
    else if (frame.what === "resume") this.resumes.push(frame.resume);
    else if (frame.what === "ACK") this.isHere = true;
    else if (frame.what === "message") {
      const [publisher, n] = frame.data as [number, number];
      this.got.push({ publisher, n });
    }
  }
}

/** Publishes one message after the other, each with a receipt, so that it knows what was accepted. */
class Stream {
  readonly number: number;
  readonly client: JanusClient;
  sent = 0;
  accepted = 0;
  #isStopped = false;
  readonly #over: Promise<void>;

  constructor(client: JanusClient, number: number) {
    this.client = client;
    this.number = number;
    this.#over = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped && this.client.ended === null) {
      if (this.sent - this.accepted < 50) {
        await this.client.sent(publishForReceipt(message("t", [this.number, this.sent++])));
      }
      this.accepted += this.client.frames.splice(0).filter((frame) => frame.includes("receipt"))
        .length;
      await sleep(2);
    }
    // What the worker has told before it closed.
    await sleep(100);
    this.accepted += this.client.frames.splice(0).filter((frame) => frame.includes("receipt"))
      .length;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#over;
  }
}

/** Each follower must have got every accepted message once, in each publisher's order. */
function assertComplete(followers: readonly Follower[], streams: readonly Stream[]): void {
  for (const [i, { got, resumes }] of followers.entries()) {
    assert(resumes.slice(1).every(({ recovered }) => recovered), JSON.stringify(resumes));
    for (const { number, accepted } of streams) {
      const numbers = got.filter(({ publisher }) => publisher === number).map(({ n }) => n);
      numbers.forEach((n, at) => assertEquals(n, at, `follower ${i}, publisher ${number}`));
      assert(numbers.length >= accepted, `${i}: ${numbers.length} of ${accepted} of ${number}`);
    }
  }
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`subscribers that come back, on ${runtime}`, { skip: skipWorkers }, () => {
    it(
      "miss nothing, whichever worker they come to, while workers die, and across a restart",
      { timeout: 120_000 },
      () => withFolder((folder) => playWorkers(runtime, folder)),
    );

    it("are told so after a crash of everything", { timeout: 60_000 }, async () => {
      const server = await start(runtime, ["--workers", "2"]);
      let { port } = server;
      const follower = new Follower(() => port);
      await until("it is here", () => follower.isHere);
      const pids = [...workersOf(server), server.pid];
      for (const pid of pids) process.kill(pid, "SIGKILL");
      await server.exited();
      const next = await start(runtime, ["--workers", "2"]);
      ({ port } = next);
      try {
        await until("it is back", () => follower.resumes.length > 1);
        const [, { recovered, reason, missed }] = follower.resumes as [Resume, Resume];
        assertEquals([recovered, reason, missed], [false, "unknown_origin", 0]);
      } finally {
        follower.stop();
        next.signal("SIGTERM");
        await next.exited();
      }
    });
  });

  describe(`a file of stored messages, on ${runtime}`, () => {
    it(
      "outlasts a stop, is its owner's, and is used once",
      { timeout: 60_000 },
      () =>
        withFolder(async (folder) => {
          const file = join(folder, "history");
          const first = await start(runtime, ["--history-file", file]);
          let { port } = first;
          const follower = new Follower(() => port);
          await until("it is here", () => follower.isHere);
          const publisher = await JanusClient.greeted({ hostname: "127.0.0.1", port });
          publisher.send(publishForReceipt(message("t", [0, 0])));
          await until("it came", () => follower.got.length === 1);
          first.signal("SIGTERM");
          assertEquals((await first.exited()).status, 0);
          assertEquals(statSync(file).mode & 0o777, 0o600);
          const next = await start(runtime, ["--history-file", file]);
          ({ port } = next);
          try {
            assert(!existsSync(file));
            await until("it is back", () => follower.resumes.length > 1);
            assertEquals(follower.resumes[1]!.reason, "ok");
            assertEquals(follower.got.length, 1);
          } finally {
            follower.stop();
            await publisher.dispose();
            next.signal("SIGTERM");
            await next.exited();
          }
        }),
    );

    it("is tried at the start, so that no stop is the first to find that it can't be written", {
      timeout: 60_000,
    }, () =>
      withFolder(async (folder) => {
        const file = join(folder, "missing", "history");
        for (const workers of ["1", "2"]) {
          const server = await start(runtime, ["--history-file", file, "--workers", workers]);
          const said = "can't be written: ENOENT";
          await until("it says so", () => server.stderr.includes(said));
          assert(server.stderr.includes("a stop will lose what is stored"), server.stderr);
          server.signal("SIGTERM");
          assertEquals((await server.exited()).status, 0);
        }
      }));

    it("is left out in one line where it is damaged, too new, or no such file at all", {
      timeout: 60_000,
    }, () =>
      withFolder(async (folder) => {
        const file = join(folder, "history");
        const contents: [string, string][] = [
          ["nonsense", "isn't a file of stored messages"],
          ['{"format":"hotwheels-history","version":2,"savedMs":0}\n', "newer version"],
          [`{"format":"hotwheels-history","version":1,"savedMs":0}\n${"x".repeat(50)}`, "damaged"],
        ];
        for (const [content, word] of contents) {
          writeFileSync(file, content);
          const server = await start(runtime, ["--history-file", file]);
          server.signal("SIGTERM");
          const { status, stderr } = await server.exited();
          assertEquals(status, 0);
          const lines = stderr.split("\n").filter((line) => line.includes("--history-file"));
          assertEquals(lines.length, 1, stderr);
          assert(lines[0]!.includes(word), lines[0]);
          // What the stop has written can be read again.
          assert(readFileSync(file).length > 0);
        }
      }));

    it(
      "leaves a pipe as it is, and doesn't wait for what it holds",
      { timeout: 60_000 },
      () =>
        withFolder(async (folder) => {
          const pipe = join(folder, "history");
          assertEquals(spawnSync("mkfifo", [pipe]).status, 0);
          for (const workers of ["1", "2"]) {
            const server = await start(runtime, ["--history-file", pipe, "--workers", workers]);
            server.signal("SIGTERM");
            const { status, stderr } = await server.exited();
            assertEquals(status, 0);
            assert(stderr.includes("can't be used: it isn't a regular file"), stderr);
            assert(stderr.includes("can't be written: it isn't a regular file"), stderr);
            assert(statSync(pipe).isFIFO());
          }
        }),
    );
  });
}

function start(runtime: RuntimeName, flags: readonly string[]): Promise<ServerCommand> {
  return ServerCommand.listening(runtime, [...flags, "--drain-seconds", "0"]);
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-"));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function playWorkers(runtime: RuntimeName, folder: string): Promise<void> {
  const flags = ["--workers", "3", "--history-file", join(folder, "history")];
  // More than a busy machine lets a follower miss.
  flags.push("--history-messages", "100000", "--history-bytes", "16777216");
  let server = await start(runtime, flags);
  let { port } = server;
  const target = () => ({ hostname: "127.0.0.1", port });
  const followers = Array.from({ length: SUBSCRIBERS }, () => new Follower(() => port));
  const all: Stream[] = [];
  const connect = () => JanusClient.greeted(target());
  const streamsOn = async () => {
    const { clients, on } = await onEachWorker(workersOf(server), target(), connect);
    const streams = workersOf(server).map((pid) => {
      const stream = new Stream(on(pid)[0]!, all.length);
      all.push(stream);
      return { pid, stream };
    });
    return { clients, streams };
  };
  try {
    await until("all are here", () => followers.every(({ isHere }) => isHere));
    const { clients, streams } = await streamsOn();
    const cutting = setInterval(() => {
      followers[Math.floor(Math.random() * SUBSCRIBERS)]!.cut();
    }, 40);
    await sleep(700);
    const [killed, ended] = streams as [typeof streams[0], typeof streams[0]];
    process.kill(killed!.pid, "SIGKILL");
    await sleep(700);
    process.kill(ended!.pid, "SIGTERM");
    await sleep(1_500);
    await until("three workers are there again", () => workersOf(server).length === 3);
    await Promise.all(all.map((stream) => stream.stop()));
    clearInterval(cutting);
    for (const client of clients) await client.dispose();
    server.signal("SIGTERM");
    assertEquals((await server.exited()).status, 0);

    server = await start(runtime, flags);
    ({ port } = server);
    const again = await streamsOn();
    await sleep(300);
    await Promise.all(all.map((stream) => stream.stop()));
    await until(
      "all have everything",
      () =>
        followers.every(({ got, isHere }) =>
          isHere &&
          all.every(({ number, accepted }) =>
            got.filter(({ publisher }) => publisher === number).length >= accepted
          )
        ),
    );
    assertComplete(followers, all);
    for (const client of again.clients) await client.dispose();
  } finally {
    for (const follower of followers) follower.stop();
    for (const stream of all) void stream.stop();
    server.signal("SIGTERM");
    await server.exited();
  }
}
