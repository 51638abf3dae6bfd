import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import type { RuntimeName } from "../../../cli/program.ts";
import { JanusClient, publish } from "../../support/clients/janus_client.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { quiet, until } from "../../support/until.ts";
import { skipWorkers, withWorkers, workersOf } from "../../support/processes/workers.ts";

/** The error frame of a client that the server closes on a stop. */
interface Goodbye {
  readonly code: string;
  readonly retry_after_ms: number;
}

function goodbyeOf(frame: string | undefined): Goodbye {
  return (JSON.parse(frame ?? "null") as { error: Goodbye }).error;
}

/** The message that this is, or `undefined`. */
function messageOf(frame: string): { data: number; event: string } | undefined {
  const members = JSON.parse(frame) as { data?: number; event: string };
  return members.data === undefined ? undefined : { ...members, data: members.data };
}

/** A server, and clients that are all subscribed to one topic, and all publish to it. */
class Crowd {
  readonly server: ServerCommand;
  readonly clients: readonly JanusClient[];
  readonly #timer: ReturnType<typeof setInterval>;
  #sent = 0;

  private constructor(server: ServerCommand, clients: readonly JanusClient[]) {
    this.server = server;
    this.clients = clients;
    this.#timer = setInterval(() => this.#publish(), 5);
  }

  static async gathered(
    runtime: RuntimeName,
    count: number,
    flags: readonly string[],
  ): Promise<Crowd> {
    const server = await ServerCommand.listening(runtime, ["--log-level=error", ...flags]);
    const clients: JanusClient[] = [];
    for (let i = 0; i < count; i++) clients.push(await JanusClient.subscribed(server, "t"));
    const crowd = new Crowd(server, clients);
    await until("messages flow", () => clients.every(({ frames }) => frames.length > 20));
    return crowd;
  }

  /** Clients that weren't told yet. */
  get left(): number {
    return this.clients.filter(({ ended }) => ended === null).length;
  }

  async dispose(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.clients.map((client) => client.dispose()));
    await this.server.dispose();
  }

  /** One message from the next client that is still there. */
  #publish(): void {
    const { clients } = this;
    for (let i = 0; i < clients.length; i++) {
      const number = this.#sent++ % clients.length;
      const client = clients[number]!;
      if (client.ended !== null) continue;
      client.send(publish(JSON.stringify({ topic: "t", event: `${number}`, data: this.#sent })));
      return;
    }
  }
}

/** Nothing is missing of what each publisher sent, in a stream that may begin and end anywhere. */
function assertUnbroken(frames: readonly string[], all: ReadonlyMap<string, number[]>): void {
  const byEvent = new Map<string, number[]>();
  for (const frame of frames) {
    const message = messageOf(frame);
    if (message === undefined) continue;
    const own = byEvent.get(message.event) ?? [];
    own.push(message.data);
    byEvent.set(message.event, own);
  }
  for (const [event, own] of byEvent) {
    assertEquals(own, all.get(event)!.slice(0, own.length));
  }
}

/** A server's log but for its workers' links, which a busy machine breaks. */
function withoutLinks(log: string): string {
  return log.replaceAll(/^\S+ \[error\] hotwheels\.worker-\d: no link to .*\n/gm, "");
}

/** The messages of each publisher that any subscriber got. */
function longestStreams(streams: readonly (readonly string[])[]): Map<string, number[]> {
  const all = new Map<string, Set<number>>();
  for (const frames of streams) {
    for (const frame of frames) {
      const message = messageOf(frame);
      if (message === undefined) continue;
      const own = all.get(message.event) ?? new Set();
      all.set(message.event, own.add(message.data));
    }
  }
  return new Map([...all].map(([event, own]) => [event, [...own].sort((a, b) => a - b)]));
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`a lame duck on ${runtime}`, () => {
    for (const workers of process.platform === "linux" ? [1, 2] : [1]) {
      it(`closes one connection after the other and serves those left, with ${workers} workers`, {
        timeout: 60_000,
      }, async () => {
        const crowd = await Crowd.gathered(runtime, 40, [
          "--drain-seconds=2",
          `--workers=${workers}`,
        ]);
        const { server, clients } = crowd;
        try {
          server.signal("SIGTERM");
          await until("the first is told", () => crowd.left < 40);
          await assertRejects(() => JanusClient.greeted(server));
          const ends = await Promise.all(clients.map((client) => client.closed()));
          const goodbyes = ends.map(({ how, frames }) => {
            assertEquals(how, "fin");
            return goodbyeOf(frames.pop());
          });
          for (const { code, retry_after_ms } of goodbyes) {
            assertEquals(code, "server_shutdown");
            assert(Number.isInteger(retry_after_ms));
            // A second to be there again; what is left of two seconds; a window of one.
            assert(retry_after_ms >= 1_000 && retry_after_ms < 4_000, `${retry_after_ms} ms`);
          }
          assertGreater(new Set(goodbyes.map(({ retry_after_ms }) => retry_after_ms)).size, 10);
          // Who is told later has got what was published meanwhile, and has missed nothing before.
          const streams = ends.map(({ frames }) => frames);
          assertGreater(new Set(streams.map((frames) => frames.length)).size, 10);
          const all = longestStreams(streams);
          for (const frames of streams) assertUnbroken(frames, all);
          const exit = await server.exited();
          assertEquals([exit.status, exit.signal, withoutLinks(exit.stderr)], [0, null, ""]);
        } finally {
          await crowd.dispose();
        }
      });

      it(`ends at once on a second signal, with ${workers} workers`, {
        timeout: 60_000,
      }, async () => {
        const crowd = await Crowd.gathered(runtime, 10, [
          "--drain-seconds=600",
          `--workers=${workers}`,
        ]);
        const { server, clients } = crowd;
        try {
          server.signal("SIGTERM");
          await until("the first is told", () => crowd.left < 10);
          await quiet(600);
          assertGreater(crowd.left, 5);
          server.signal("SIGTERM");
          assertEquals((await server.exited()).status, 1);
          await Promise.all(clients.map((client) => client.closed()));
        } finally {
          await crowd.dispose();
        }
      });
    }

    it("closes a few at once unless it's told how long to take", async () => {
      const server = await ServerCommand.listening(runtime, ["--log-level=error"]);
      const clients: JanusClient[] = [];
      try {
        for (let i = 0; i < 20; i++) clients.push(await JanusClient.subscribed(server, "t"));
        server.signal("SIGTERM");
        for (const client of clients) {
          const { retry_after_ms } = goodbyeOf((await client.closed()).frames.pop());
          assert(retry_after_ms >= 1_000, `${retry_after_ms} ms`);
          assertLess(retry_after_ms, 2_010);
        }
        assertEquals((await server.exited()).status, 0);
      } finally {
        for (const client of clients) await client.dispose();
        await server.dispose();
      }
    });
  });
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`workers on ${runtime}`, { skip: skipWorkers }, () => {
    it(
      "end as they were told to when their supervisor is no more",
      { timeout: 60_000 },
      async () => {
        await withWorkers(runtime, 2, async (server, target) => {
          const clients: JanusClient[] = [];
          for (let i = 0; i < 40; i++) clients.push(await JanusClient.subscribed(target, "t"));
          const left = () => clients.filter(({ ended }) => ended === null).length;
          const workers = workersOf(server);
          try {
            process.kill(server.pid, "SIGKILL");
            await until("the first is told", () => left() < 40);
            await quiet(600);
            // All would be gone by now if it were for the default.
            assertGreater(left(), 20);
          } finally {
            for (const worker of workers) process.kill(worker, "SIGTERM");
            await Promise.all(clients.map((client) => client.closed()));
          }
        }, ["--drain-seconds", "600"]);
      },
    );
  });
}

describe("a supervisor", { skip: skipWorkers }, () => {
  it("gives its workers the time that they were told to take", { timeout: 90_000 }, async () => {
    // More than it would give them otherwise.
    await Promise.all(TESTED_RUNTIMES.map(async (runtime) => {
      const crowd = await Crowd.gathered(runtime, 24, ["--drain-seconds=12", "--workers=2"]);
      try {
        crowd.server.signal("SIGTERM");
        for (const client of crowd.clients) {
          const { how, frames } = await client.closed();
          assertEquals([how, goodbyeOf(frames.pop()).code], ["fin", "server_shutdown"]);
        }
        assertEquals((await crowd.server.exited()).status, 0);
      } finally {
        await crowd.dispose();
      }
    }));
  });
});
