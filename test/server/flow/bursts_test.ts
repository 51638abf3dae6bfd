import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import type { RuntimeName } from "../../../cli/program.ts";
import { JanusClient, publish } from "../../support/clients/janus_client.ts";
import { dataOf, framesOf, MemoryBed } from "../../support/memory/memory_bed.ts";
import type { MemoryPeer } from "../../support/memory/memory_peer.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { until } from "../../support/until.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Numbered messages of about that many bytes, one behind the other. */
function burst(from: number, to: number, bytes: number): string {
  const padding = "p".repeat(bytes);
  let text = "";
  for (let i = from; i < to; i++) {
    text += publish(`{"topic":"t","data":${i},"padding":"${padding}"}`);
  }
  return text;
}

/** Reader after reader got every message, each publisher's in order. */
function assertComplete(streams: readonly number[][], publishers: number, each: number): void {
  const first = streams[0]!;
  assertEquals(first.length, publishers * each);
  for (let p = 0; p < publishers; p++) {
    const own = first.filter((number) => Math.floor(number / each) === p);
    assertEquals(own, Array.from({ length: each }, (_, i) => p * each + i));
  }
  for (const stream of streams) assertEquals(stream, first);
}

const PUBLISHERS = 50;
const EACH = 10;

/** 50 publishers send 600 kB at once to readers that take as much in a turn. */
async function crowd(readerBytes: readonly number[], answers: "at once" | "late") {
  const bed = await MemoryBed.start({}, { bufferBytes: MIB, answers });
  const readers = readerBytes.map((bufferBytes) => bed.subscribed(["t"], { bufferBytes }));
  const publishers = Array.from({ length: PUBLISHERS }, () => bed.dial());
  const send = () => {
    for (const [p, publisher] of publishers.entries()) {
      publisher.send(burst(p * EACH, (p + 1) * EACH, 60_000));
    }
  };
  return { bed, readers, send };
}

function streamOf(reader: MemoryPeer): number[] {
  return dataOf(reader) as number[];
}

describe("many publishers that burst at once", () => {
  for (const answers of ["at once", "late"] as const) {
    it(`cost no reader its connection, however fast it is (writes end ${answers})`, async () => {
      const { bed, readers, send } = await crowd([16, 64, 256].map((kib) => kib * KIB), answers);
      send();
      while (!bed.net.isSettled) {
        bed.net.turn();
        // What they sent, once, and a few batches that wait.
        assertLess(bed.server.heldBytes, 40 * MIB);
      }
      assertEquals(bed.ended, []);
      assertComplete(readers.map(streamOf), PUBLISHERS, EACH);
      assertEquals(bed.server.heldBytes, 0);
    });
  }

  it("don't wait for long for a reader that never reads", async () => {
    const { bed, readers, send } = await crowd([64 * KIB, 64 * KIB, KIB], "at once");
    const deaf = readers.pop()!;
    deaf.stall();
    send();
    await until("the burst is over", () => {
      // Publishers may wait for a second to see whether it reads.
      bed.pass(250);
      return readers.every(({ byteCount }) => byteCount > PUBLISHERS * EACH * 60_000);
    });
    assertEquals(bed.server.counters.ended.slow_consumer, 1);
    assertComplete(readers.map(streamOf), PUBLISHERS, EACH);
    assertEquals(bed.ended.map(({ reason }) => reason), ["slow_consumer"]);
  });

  /** A reader whose topic waits for it, with most of the burst still to come. */
  async function held() {
    const { bed, readers, send } = await crowd([64 * KIB, MIB], "at once");
    const [lagging, healthy] = readers as [MemoryPeer, MemoryPeer];
    send();
    while (bed.net.turnCount < 2_000 && lagging.byteCount < 3 * MIB) bed.net.turn();
    lagging.stall();
    bed.net.settle();
    assertLess(framesOf(healthy).length, 300);
    assertEquals(bed.ended, []);
    return { bed, lagging, healthy };
  }

  it("wait no longer than a second for a reader that stalls", async () => {
    const { bed, healthy } = await held();
    bed.pass(750);
    assertLess(framesOf(healthy).length, 300);
    bed.pass(1_000);
    assertEquals(dataOf(healthy).length, PUBLISHERS * EACH);
  });

  it("wait no longer for a reader that trickles than more than it may have may wait", async () => {
    const { bed, lagging, healthy } = await held();
    bed.pass(9_000, () => lagging.take(10));
    assertLess(framesOf(healthy).length, 300);
    bed.pass(2_000, () => lagging.take(10));
    assertEquals(dataOf(healthy).length, PUBLISHERS * EACH);
  });

  for (
    const [how, leave] of [
      ["is gone", (peer: MemoryPeer) => peer.reset()],
      ["unsubscribes", (peer: MemoryPeer) => peer.send('{"action":"unsubscribe","data":"t"}\0')],
    ] as const
  ) {
    it(`don't wait any more for a reader that ${how}`, async () => {
      const { bed, lagging, healthy } = await held();
      leave(lagging);
      bed.net.settle();
      assertEquals(dataOf(healthy).length, PUBLISHERS * EACH);
    });
  }
});

describe("a burst, where little may wait for a reader", () => {
  for (const answers of ["at once", "late"] as const) {
    for (const maxPendingBytes of [256 * KIB, 64 * KIB]) {
      it(`costs none of them its connection, at ${maxPendingBytes} bytes (writes end ${answers})`, async () => {
        const bed = await MemoryBed.start({ maxPendingBytes }, { bufferBytes: 64 * KIB, answers });
        const readers = [8, 32, 64].map((kib) => bed.subscribed(["t"], { bufferBytes: kib * KIB }));
        bed.dial().send(burst(0, 2_000, KIB));
        bed.net.settle();
        assertEquals(bed.ended, []);
        assertComplete(readers.map(streamOf), 1, 2_000);
      });
    }

    it(`costs none of them its connection, with the largest messages (writes end ${answers})`, async () => {
      const maxPendingBytes = 256 * KIB;
      const bed = await MemoryBed.start({ maxPendingBytes }, { bufferBytes: 64 * KIB, answers });
      const readers = [16, 64].map((kib) => bed.subscribed(["t"], { bufferBytes: kib * KIB }));
      bed.dial().send(burst(0, 50, 60_000));
      bed.net.settle();
      assertEquals(bed.ended, []);
      assertComplete(readers.map(streamOf), 1, 50);
    });
  }
});

/** The numbers of the messages that a client got. */
function numbersOf(client: JanusClient): number[] {
  return client.frames.map((frame) => Number(/"data":(\d+)/.exec(frame)?.[1]));
}

/** The most milliseconds that this process may be late for its readers to count as good ones. */
const MAX_LATE_MS = 150;

/** The most repetitions of a burst for which this process was too late. */
const MAX_TRIES = 5;

/** The greatest delay of this process's loop. */
class Lateness {
  #lastMs = performance.now();
  #lateMs = 0;
  readonly #timer = setInterval(() => this.#look(), 10);

  /** @returns Milliseconds. */
  stop(): number {
    clearInterval(this.#timer);
    this.#look();
    return this.#lateMs;
  }

  #look(): void {
    const nowMs = performance.now();
    this.#lateMs = Math.max(this.#lateMs, nowMs - this.#lastMs - 10);
    this.#lastMs = nowMs;
  }
}

/**
 * Lets 50 publishers burst at a server and its readers.
 *
 * @param isLast Whether it isn't tried again.
 * @returns Whether the readers got all; false where this process was too late to be a good reader.
 */
async function burstAtOnce(runtime: RuntimeName, isLast: boolean): Promise<boolean> {
  const server = await ServerCommand.listening(runtime, ["--log-level=warning"]);
  const clients: JanusClient[] = [];
  const lateness = new Lateness();
  try {
    for (let i = 0; i < 10; i++) clients.push(await JanusClient.subscribed(server, "t"));
    const publishers: JanusClient[] = [];
    for (let p = 0; p < PUBLISHERS; p++) publishers.push(await JanusClient.greeted(server));
    const readers = [...clients];
    clients.push(...publishers);
    for (const [p, publisher] of publishers.entries()) {
      publisher.send(burst(p * EACH, (p + 1) * EACH, 60_000));
    }
    await until(
      "all have come",
      () =>
        readers.every(({ frames, ended }) => frames.length === PUBLISHERS * EACH || ended !== null),
      60_000,
    );
    const lateMs = lateness.stop();
    if (server.stderr !== "" && lateMs > MAX_LATE_MS && !isLast) return false;
    assertEquals(server.stderr, "", `${lateMs} ms late`);
    assertComplete(readers.map(numbersOf), PUBLISHERS, EACH);
    return true;
  } finally {
    lateness.stop();
    for (const client of clients) await client.dispose();
    await server.dispose();
  }
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`a server on ${runtime}`, () => {
    it("loses no reader to 50 publishers that burst at once", { timeout: 120_000 }, async () => {
      // Readers that a busy machine keeps from reading are slow ones.
      for (let tries = 1; !await burstAtOnce(runtime, tries === MAX_TRIES); tries++);
    });

    it("loses no reader to a burst where no more than a batch may wait for one", {
      timeout: 120_000,
    }, async () => {
      const server = await ServerCommand.listening(runtime, [
        "--log-level=warning",
        `--max-pending-bytes=${256 * KIB}`,
      ]);
      const clients: JanusClient[] = [];
      try {
        for (let i = 0; i < 5; i++) clients.push(await JanusClient.subscribed(server, "t"));
        const readers = [...clients];
        const publisher = await JanusClient.greeted(server);
        clients.push(publisher);
        await publisher.sent(burst(0, 8_000, KIB));
        await until(
          "all have come",
          () => readers.every(({ frames, ended }) => frames.length === 8_000 || ended !== null),
          60_000,
        );
        assertEquals(server.stderr, "");
        assertComplete(readers.map(numbersOf), 1, 8_000);
        assertGreater(readers[0]!.byteCount, 8 * MIB);
      } finally {
        for (const client of clients) await client.dispose();
        await server.dispose();
      }
    });
  });
}
