import { assert, assertEquals, assertMatch } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import type { RuntimeName } from "../../../cli/program.ts";
import {
  JanusClient,
  message,
  publish,
  publishForReceipt,
  receiptOf,
} from "../../support/clients/janus_client.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { quiet, until } from "../../support/until.ts";
import { onEachWorker, skipWorkers, workersOf } from "../../support/processes/workers.ts";

const runtime = TESTED_RUNTIMES[0] as RuntimeName;

const FILLING = "x".repeat(20_000);

/** A server with three workers, one of which will be stopped. */
async function withThreeWorkers(
  flags: readonly string[],
  body: (server: ServerCommand, pids: readonly number[]) => Promise<void>,
): Promise<void> {
  const server = await ServerCommand.listening(runtime, [
    ...["--workers", "3", "--log-level", "error"],
    ...flags,
  ]);
  const pids = pidsOf(server);
  try {
    await body(server, pids);
  } finally {
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGCONT");
      } catch {
        // It was ended.
      }
    }
    server.signal("SIGTERM");
    await server.exited();
  }
}

/** Opens a reader of a topic and a publisher on each worker, and says which worker is to hang. */
async function populate(server: ServerCommand, pids: readonly number[], topic: string) {
  const readers = await onEachWorker(pids, server, () => JanusClient.subscribed(server, topic));
  const publishers = await onEachWorker(pids, server, () => JanusClient.greeted(server));
  const [publisherPid, victim, other] = pids as [number, number, number];
  return {
    readers,
    publisher: publishers.on(publisherPid)[0] as JanusClient,
    victim,
    healthy: [...readers.on(publisherPid), ...readers.on(other)],
    async dispose(): Promise<void> {
      for (const client of [...readers.clients, ...publishers.clients]) await client.dispose();
    },
  };
}

/** The process ids of its workers. */
function pidsOf({ stdout }: ServerCommand): number[] {
  return workersOf({ pid: Number(/ pid (\d+)/.exec(stdout)?.[1]) });
}

/** The `data` members of the messages that a client has received, in order. */
function dataOf({ frames }: JanusClient): unknown[] {
  return frames.map((frame) => (JSON.parse(frame) as { data: { n: unknown } }).data.n);
}

/** The timestamp of a frame, in microseconds. */
function timeOf(frame: string): number {
  const { timestamp } = JSON.parse(frame) as { timestamp: readonly [number, number, number] };
  const [mega, seconds, micros] = timestamp;
  return (mega * 1e6 + seconds) * 1e6 + micros;
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** Publishes so many messages of 20 kB, numbered. */
function publishMany(client: JanusClient, topic: string, count: number): void {
  for (let n = 0; n < count; n++) client.send(publish(message(topic, { n, FILLING })));
}

describe(`a worker that hangs, on ${runtime}`, { skip: skipWorkers }, () => {
  it("delays the others' clients only briefly, and gets what it's owed when it goes on", {
    timeout: 60_000,
  }, async () => {
    await withThreeWorkers([], async (server, pids) => {
      const { readers, publisher, victim, healthy, dispose } = await populate(server, pids, "bulk");
      process.kill(victim, "SIGSTOP");
      // More than the links' buffers and what is owed before publishers wait.
      publishMany(publisher, "bulk", 200);
      await until("the others have all", () => {
        return healthy.every(({ frames }) => frames.length === 200);
      });
      // They didn't have to wait until it was ended for its silence, which takes ten seconds.
      assert(pidsOf(server).includes(victim));
      for (const reader of healthy) assertEquals(dataOf(reader), numbers(200));
      process.kill(victim, "SIGCONT");
      for (const reader of readers.on(victim)) {
        await until("it has all", () => reader.frames.length === 200);
        assertEquals(dataOf(reader), numbers(200));
      }
      assertEquals(server.stderr, "");
      await dispose();
    });
  });

  it("is ended when more waits for it than may, and replaced, and a line says so", {
    timeout: 60_000,
  }, async () => {
    await withThreeWorkers(["--max-total-pending-bytes", "60000000"], async (server, pids) => {
      const { publisher, victim, healthy, dispose } = await populate(server, pids, "bulk");
      process.kill(victim, "SIGSTOP");
      publishMany(publisher, "bulk", 400);
      await until("the others have all", () => {
        return healthy.every(({ frames }) => frames.length === 400);
      });
      for (const reader of healthy) assertEquals(dataOf(reader), numbers(400));
      await until("another worker has come", () => {
        const now = pidsOf(server);
        return now.length === 3 && !now.includes(victim);
      });
      assertMatch(
        server.stderr,
        /worker-\d has taken nothing from another worker for \d\.\d s, and \d{7} bytes wait for it; it is ended/,
      );
      assert(!server.stderr.includes("no sign of life"), server.stderr);
      await dispose();
    });
  });

  it("holds no receipt up for long, which then tells of the others only", {
    timeout: 60_000,
  }, async () => {
    await withThreeWorkers([], async (server, pids) => {
      const { readers, publisher, victim, healthy, dispose } = await populate(
        server,
        pids,
        "asked",
      );
      let sent = 0;
      const ask = (count: number) => {
        const texts = Array.from(
          { length: count },
          () => publishForReceipt(message("asked", { n: sent++ })),
        );
        publisher.send(texts.join(""));
      };
      // It stops in the middle of what it's given.
      ask(1_000);
      await until("the first receipt comes", () => publisher.frames.length > 0);
      process.kill(victim, "SIGSTOP");
      ask(1_000);
      await until("all receipts come, and the others have all", () => {
        return [publisher, ...healthy].every(({ frames }) => frames.length === sent);
      });
      // They didn't wait for its end, which ten seconds of silence bring.
      assert(pidsOf(server).includes(victim));
      for (const reader of healthy) assertEquals(dataOf(reader), numbers(sent));
      const receipts = publisher.frames.map(receiptOf);
      for (const { matched, written, queued, evicted } of receipts) {
        assertEquals(written + queued + evicted, matched);
        assert(matched <= readers.clients.length);
      }
      for (const { matched } of receipts.slice(-500)) assert(matched <= healthy.length);
      assert(receipts.slice(-500).some(({ matched }) => matched === healthy.length));
      const times = publisher.frames.map(timeOf);
      assertEquals(times, times.toSorted((a, b) => a - b));
      process.kill(victim, "SIGCONT");
      for (const reader of readers.on(victim)) {
        await until("it has all", () => reader.frames.length === sent);
        assertEquals(dataOf(reader), numbers(sent));
      }
      // What it says of them now comes too late, what it says of later ones doesn't.
      await until("it's counted again", () => {
        if (publisher.frames.length === sent) ask(1);
        return receiptOf(publisher.frames.at(-1) as string).matched === readers.clients.length;
      });
      assertEquals(server.stderr, "");
      await dispose();
    });
  });

  it("costs no message of publishers that close at once", { timeout: 60_000 }, async () => {
    await withThreeWorkers([], async (server, pids) => {
      const readers = await onEachWorker(
        pids,
        server,
        () => JanusClient.subscribed(server, "brief"),
      );
      const [, victim] = pids as [number, number];
      process.kill(victim, "SIGSTOP");
      let sent = 0;
      const gone: Promise<void>[] = [];
      for (const endMs = performance.now() + 3_000; performance.now() < endMs;) {
        for (let i = 0; i < 10; i++) gone.push(publishOnce(server, sent++));
        await quiet(20);
      }
      process.kill(victim, "SIGCONT");
      await Promise.all(gone);
      for (const reader of readers.clients) {
        await until("it has all", () => reader.frames.length === sent);
        const got = (dataOf(reader) as number[]).sort((a, b) => a - b);
        assertEquals(got, numbers(sent));
      }
      for (const client of readers.clients) await client.dispose();
    });
  });
});

/** Publishes one message as the clients of 2009 did: it isn't terminated, and nothing is read. */
async function publishOnce(server: ServerCommand, n: number): Promise<void> {
  const client = await JanusClient.open(server, { deaf: true });
  await client.sent(`PUBLISH\0${message("brief", { n })}`);
  client.close();
}
