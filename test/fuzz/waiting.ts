/**
 * Plays clients that make a server wait to one or more servers in memory, and holds them to what
 * docs/design.md says of who may wait for whom: nothing waits for ever, nor for nothing.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { STALL_MS, SWEEP_INTERVAL_MS } from "../../server/limits/clients.ts";
import { CEILING_STEPS, MAX_HOLD_MS, RELAXED_INPUT_SHARE } from "../../server/limits/memory.ts";
import { MemoryBed } from "../support/memory/memory_bed.ts";
import type { MemoryPeer } from "../support/memory/memory_peer.ts";
import { VirtualTimers } from "../support/virtual_timers.ts";

/** The next event. */
export type Step =
  /** A publisher sends the next so many bytes of its messages, which end in the middle of one. */
  | { readonly does: "send"; readonly publisher: number; readonly bytes: number }
  | { readonly does: "stall" | "flow"; readonly reader: number }
  | { readonly does: "take"; readonly reader: number; readonly bytes: number }
  /** A publisher is gone, in the middle of whatever it sends. */
  | { readonly does: "reset" | "end"; readonly publisher: number }
  /** The loop turns so often, and no more. */
  | { readonly does: "turn"; readonly turns: number }
  /** The process has that part of the memory that it may have, from now on. */
  | { readonly does: "memory"; readonly share: number }
  /** A server's process stands still, or goes on. */
  | { readonly does: "hang" | "go on"; readonly server: number }
  /** Time passes. */
  | { readonly does: "pass"; readonly sweeps: number };

/** The events of some servers that are linked with one another. */
export interface Waiting {
  readonly servers: number;
  readonly answers: "at once" | "late";
  /** The bytes that fit between two servers, and between a publisher and its server. */
  readonly bufferBytes: number;
  /** Bytes that all connections of a server may hold. */
  readonly budgetBytes: number;
  /** Bytes that may wait for one reader. */
  readonly pendingBytes: number;
  /** For each publisher the sizes of its messages, which it repeats. */
  readonly publishers: readonly (readonly number[])[];
  /** The number of publishers that want a receipt for each message; they are the last ones. */
  readonly asking: number;
  /** True if those are subscribed to the topic that they publish to. */
  readonly askersRead: boolean;
  /** The bytes that fit between a server and each reader. */
  readonly readers: readonly number[];
  readonly steps: readonly Step[];
}

/** Two topics, so that what waits for one may be in the way of the other. */
const TOPICS = ["a", "b"];

/** No frame of a publisher's is longer. */
export const MAX_MESSAGE_BYTES = 12_000;

/** A reader that takes nothing, or too little, is ended when it has done so for so long. */
const DEADLINE_MS = 2_000;

/** After this long nothing waits any more for a reader that stalls. */
const BOUND_MS = 3 * DEADLINE_MS;

/** After this long nothing waits any more for a process that hangs. */
const HANG_MS = STALL_MS + 2 * SWEEP_INTERVAL_MS;

/** After this long nothing waits any more for frames that aren't complete. */
const FRAME_MS = 1_500;

/** Each process's share of the machine's memory. */
const MEMORY_BYTES = 200_000_000;

/** Nobody is closed for silence. */
const HOUR_MS = 3_600_000;

interface Publisher {
  readonly peer: MemoryPeer;
  readonly bed: MemoryBed;
  readonly number: number;
  readonly topic: string;
  readonly sizes: readonly number[];
  /** True if it wants receipts. */
  readonly asks: boolean;
  /** The rest of the frame that it is sending. */
  rest: string;
  /** Frames that it has begun to send. */
  begun: number;
  /** It doesn't send any more, or was reset, so that some of what it sent may be lost. */
  hasEnded: boolean;
  wasReset: boolean;
}

interface Reader {
  readonly peer: MemoryPeer;
  readonly topic: string;
  stalls: boolean;
}

/**
 * Plays it.
 *
 * @throws {AssertionError} where something waits for nothing, or a reader misses a message.
 */
export async function play(waiting: Waiting): Promise<void> {
  const beds = await MemoryBed.linked(waiting.servers, {
    maxTotalPendingBytes: waiting.budgetBytes,
    maxMemoryBytes: MEMORY_BYTES,
    maxPendingBytes: waiting.pendingBytes,
    softPendingBytes: waiting.pendingBytes / 4,
    softPendingMs: DEADLINE_MS,
    writeDeadlineMs: DEADLINE_MS,
    pingAfterMs: HOUR_MS,
    idleMs: HOUR_MS,
    maxFrameBytes: MAX_MESSAGE_BYTES + 200,
  }, { answers: waiting.answers, bufferBytes: waiting.bufferBytes });
  const timers = new VirtualTimers();
  try {
    new Play(waiting, beds, timers).run();
  } finally {
    timers.restore();
  }
}

class Play {
  readonly #steps: readonly Step[];
  readonly #beds: readonly MemoryBed[];
  readonly #timers: VirtualTimers;
  readonly #readers: readonly Reader[];
  readonly #publishers: readonly Publisher[];

  readonly #budgetBytes: number;

  constructor(
    { steps, readers, publishers, asking, askersRead, budgetBytes }: Waiting,
    beds: MemoryBed[],
    timers: VirtualTimers,
  ) {
    this.#steps = steps;
    this.#budgetBytes = budgetBytes;
    this.#beds = beds;
    this.#timers = timers;
    const others = readers.map((bufferBytes, i) => {
      const topic = TOPICS[i % TOPICS.length] as string;
      const peer = this.#bed(i >> 1).subscribed([topic], { bufferBytes });
      return { peer, topic, stalls: false };
    });
    this.#publishers = publishers.map((sizes, number) => ({
      peer: this.#bed(number + 1).dial(),
      bed: this.#bed(number + 1),
      number,
      topic: TOPICS[(number >> 1) % TOPICS.length] as string,
      sizes,
      asks: number >= publishers.length - asking,
      rest: "",
      begun: 0,
      hasEnded: false,
      wasReset: false,
    }));
    const both = askersRead ? this.#publishers.filter(({ asks }) => asks) : [];
    for (const { peer, topic } of both) peer.send(`{"action":"subscribe","data":"${topic}"}\0`);
    this.#settle();
    this.#readers = [...others, ...both.map(({ peer, topic }) => ({ peer, topic, stalls: false }))];
  }

  run(): void {
    for (const step of this.#steps) {
      this.#do(step);
      if (step.does !== "pass") continue;
      if (this.#readers.every(({ stalls }) => !stalls)) this.#check(step);
      else this.#checkTopics();
    }
    for (const bed of this.#beds) bed.hangs = false;
    // Those that read go on, those that don't are ended: so all that was sent is read.
    this.#pass(BOUND_MS);
    this.#assertAllRead("readers that stalled were ended");
    for (const reader of this.#readers) {
      reader.stalls = false;
      reader.peer.flow();
    }
    for (const publisher of this.#publishers) {
      if (!publisher.hasEnded) send(publisher, publisher.rest.length);
    }
    this.#pass(BOUND_MS);
    this.#assertAllRead("all read");
    for (const reader of this.#readers) this.#assertComplete(reader);
    for (const publisher of this.#publishers) this.#assertReceipts(publisher);
    this.#assertNoneStalled();
    for (const { peer } of [...this.#publishers, ...this.#readers]) peer.reset();
    this.#settle();
    assertEquals(this.#beds.map(({ server }) => server.heldBytes), this.#beds.map(() => 0));
  }

  #do(step: Step): void {
    if (step.does === "pass") return this.#pass(step.sweeps * SWEEP_INTERVAL_MS);
    if (step.does === "turn") {
      for (let turn = 0; turn < step.turns; turn++) this.#bed(0).net.turn();
      return;
    }
    if (step.does === "memory") {
      this.#bed(0).net.residentBytes = step.share * MEMORY_BYTES;
      return;
    }
    if ("server" in step) {
      this.#bed(step.server).hangs = step.does === "hang" && this.#beds.length > 1;
      return;
    }
    if ("publisher" in step) {
      const publisher = this.#publishers[step.publisher % this.#publishers.length] as Publisher;
      if (publisher.hasEnded) return;
      if (step.does === "send") return send(publisher, step.bytes);
      publisher.hasEnded = true;
      publisher.wasReset = step.does === "reset";
      return publisher.peer[step.does]();
    }
    const reader = this.#readers[step.reader % this.#readers.length] as Reader;
    if (step.does === "take") return void reader.peer.take(step.bytes);
    reader.stalls = step.does === "stall";
    reader.peer[step.does]();
  }

  /**
   * No reader stalls, so there is nothing to wait for, but for frames that hold too much to come, and for
   * a second for a process that hangs, receipts included.
   */
  #check({ does }: Step): void {
    this.#settle();
    if (this.#publishers.every(({ peer }) => peer.unreadBytes === 0)) return;
    this.#pass(FRAME_MS + HANG_MS + (this.#isMemoryShort ? MAX_HOLD_MS : 0));
    this.#assertAllRead(`nobody stalls, behind ${does}`, this.#free);
  }

  /** Publishers wait for the readers of their own topic only, wherever these are, unless memory is short. */
  #checkTopics(): void {
    this.#settle();
    const topics = TOPICS.filter((topic) =>
      this.#readers.every((reader) => reader.topic !== topic || !reader.stalls)
    );
    const publishers = this.#free.filter(({ topic }) => topics.includes(topic));
    if (publishers.every(({ peer }) => peer.unreadBytes === 0)) return;
    this.#pass(FRAME_MS + HANG_MS);
    if (this.#isMemoryShort) return;
    if (this.#beds.some(({ server }) => server.heldBytes > this.#budgetBytes / 2)) return;
    this.#assertAllRead("only another topic's readers stall", publishers);
  }

  /**
   * Those that need not wait for a process that hangs: it isn't theirs, and what waits for it doesn't
   * take the memory for what waits to be read.
   */
  get #free(): readonly Publisher[] {
    if (!this.#beds.some(({ hangs }) => hangs)) return this.#publishers;
    return this.#publishers.filter(({ bed }) => {
      const { heldBytes, standingBytes } = bed.server;
      const roomBytes = (this.#budgetBytes - standingBytes) * RELAXED_INPUT_SHARE;
      return !bed.hangs && heldBytes < roomBytes;
    });
  }

  get #isMemoryShort(): boolean {
    const { residentBytes } = this.#bed(0).net;
    return residentBytes >= MEMORY_BYTES * CEILING_STEPS.holds_bulk.until;
  }

  #assertAllRead(why: string, publishers = this.#publishers): void {
    for (const { peer, number } of publishers) {
      // One that reads nothing can't see that it was closed.
      const stalls = this.#readers.some((reader) => reader.peer === peer && reader.stalls);
      if (stalls || hasClosed(peer)) continue;
      assertEquals(peer.unreadBytes, 0, `publisher ${number} isn't read although ${why}`);
    }
  }

  /** A reader that was never ended has all messages, those of each publisher in order. */
  #assertComplete({ peer, topic }: Reader): void {
    const isWhole = !hasClosed(peer);
    const got = new Map<number, number>();
    for (const [, publisher, number] of peer.text.matchAll(/"p":(\d+),"n":(\d+),/g)) {
      const next = got.get(Number(publisher)) ?? 0;
      assertEquals(Number(number), next, `publisher ${publisher}'s messages in order`);
      got.set(Number(publisher), next + 1);
    }
    if (!isWhole) return;
    for (const publisher of this.#publishers) {
      if (publisher.topic !== topic || publisher.wasReset || hasClosed(publisher.peer)) continue;
      const count = publisher.begun - (publisher.rest === "" ? 0 : 1);
      assertEquals(got.get(publisher.number) ?? 0, count, `all of publisher ${publisher.number}'s`);
    }
  }

  /** A publisher that asked has a receipt for each of its messages. */
  #assertReceipts({ peer, number, asks, begun, hasEnded }: Publisher): void {
    if (!asks || hasEnded || hasClosed(peer)) return;
    assertEquals(peer.text.match(/"receipt":/g)?.length ?? 0, begun, `receipts of ${number}`);
  }

  /** A process that only makes others wait isn't taken for one that hangs. */
  #assertNoneStalled(): void {
    if (this.#steps.some(({ does }) => does === "hang")) return;
    for (const { server } of this.#beds) assertEquals(server.counters.linkStalls, 0);
  }

  #pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += SWEEP_INTERVAL_MS) {
      this.#settle();
      this.#timers.pass(SWEEP_INTERVAL_MS);
      for (const bed of this.#beds) bed.pass(SWEEP_INTERVAL_MS);
      this.#wakeOverdue();
    }
  }

  /** A client that a server would end goes on. */
  #wakeOverdue(): void {
    for (const { overdue } of this.#beds) {
      for (const { path } of overdue.splice(0)) this.#bed(Number(path.slice(1))).hangs = false;
    }
  }

  #settle(): void {
    this.#bed(0).net.settle();
  }

  #bed(i: number): MemoryBed {
    return this.#beds[i % this.#beds.length] as MemoryBed;
  }
}

/** The server has closed the connection, with a word or without. */
function hasClosed(peer: MemoryPeer): boolean {
  return peer.ended || peer.failed || peer.text.includes('"error":{');
}

/** Sends the next bytes of a publisher's messages. */
function send(publisher: Publisher, bytes: number): void {
  const { peer, number, topic, sizes } = publisher;
  if (hasClosed(peer)) return;
  let text = "";
  while (text.length < bytes) {
    if (publisher.rest === "") {
      const size = sizes[publisher.begun % sizes.length] ?? 0;
      const members = `"topic":"${topic}","p":${number},"n":${publisher.begun++}`;
      const message = `{${members},"x":"${"x".repeat(size)}"}`;
      publisher.rest = publisher.asks
        ? `{"action":"publish","data":${message}}\0`
        : `PUBLISH\0${message}\0`;
    }
    const part = publisher.rest.slice(0, bytes - text.length);
    publisher.rest = publisher.rest.slice(part.length);
    text += part;
  }
  if (text !== "") peer.send(text);
}
