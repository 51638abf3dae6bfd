/**
 * The clients of {@linkcode file://./resuming.ts}, and the processes that they come to.
 *
 * @module
 */

import { Positions, type Resume, subscribeFrame } from "../support/clients/resuming_client.ts";
import type { MemoryBed } from "../support/memory/memory_bed.ts";
import type { MemoryPeer } from "../support/memory/memory_peer.ts";

export const TOPICS = ["a", "b"];

/** The end of a process: killed, or asked to end with all said, or before all was said. */
export interface ProcessEnd {
  readonly how: "killed" | "retired" | "hurried";
  readonly micros: number;
  /** The place, among all that happened, from which on all other processes know it. */
  knownFrom: number;
}

/** One process with its publisher, and a witness that is subscribed to everything from the start. */
export interface Process {
  readonly path: string;
  readonly bed: MemoryBed;
  readonly publisher: MemoryPeer;
  readonly witness: Witness;
  /** The numbers of what it was sent, by topic, in order, and when. */
  readonly sent: { readonly topic: string; readonly n: number; readonly atMs: number }[];
  /** True if it has joined the others later: what it has copied is in an order of its own. */
  readonly hasJoined: boolean;
  origin: string | undefined;
  end: ProcessEnd | undefined;
}

/** What a client asked for. */
export interface Asked {
  /** Its position; `undefined` if it said none. */
  readonly before: Readonly<Record<string, number>> | undefined;
  /** The number of stored messages that it asked for. */
  readonly last: number | undefined;
  /** Its place among all that happened. */
  readonly place: number;
}

/** What one client got of a topic since it subscribed. */
export interface Stint extends Asked {
  readonly topic: string;
  readonly process: Process;
  readonly resume: Resume;
  /** The timestamp of the answer. */
  readonly micros: number;
  /** When it was read, in milliseconds of the play. */
  readonly atMs: number;
  readonly got: { readonly origin: string; readonly micros: number; readonly n: number }[];
  /** True if it was still there in the end, and had read all. */
  isComplete: boolean;
}

/** A client was told that it is too slow. */
export interface Closing {
  readonly code: string;
  readonly message: string;
  readonly process: Process;
  /** What it was subscribed to, and the messages of each topic that its process had got. */
  readonly stints: readonly { readonly stint: Stint; readonly seen: number }[];
  readonly atMs: number;
}

/** Reads the frames of a peer, as they come. */
export class FrameReader {
  readonly #peer: MemoryPeer;
  #takenBytes = 0;

  constructor(peer: MemoryPeer) {
    this.#peer = peer;
  }

  next(): string[] {
    const { received } = this.#peer;
    const end = received.lastIndexOf(1) + 1;
    if (end <= this.#takenBytes) return [];
    const text = new TextDecoder().decode(received.subarray(this.#takenBytes, end));
    this.#takenBytes = end;
    return text.split("\x01").slice(0, -1);
  }
}

/** Sees all messages in the order of one server. */
export class Witness {
  readonly seen: { readonly topic: string; readonly n: number; readonly micros: number }[] = [];
  readonly #reader: FrameReader;

  /** @param source What a server has copied that has joined. */
  constructor(peer: MemoryPeer, source: Witness | undefined) {
    this.#reader = new FrameReader(peer);
    if (source !== undefined) this.seen.push(...source.seen);
  }

  look(): void {
    for (const frame of this.#reader.next()) {
      if (!frame.startsWith('{"timestamp"')) continue;
      const { topic, data, timestamp, token } = JSON.parse(frame);
      if (token !== undefined) continue;
      this.seen.push({ topic, n: data, micros: microsOf(timestamp) });
    }
  }

  /** The numbers of a topic's messages. */
  orderOf(topic: string): number[] {
    return this.seen.flatMap((one) => one.topic === topic ? [one.n] : []);
  }
}

/** What all clients of a play share. */
export interface PlayClock {
  /** Milliseconds that have passed. */
  nowMs: number;
  /** The number of things that have happened. */
  events: number;
}

/** One client, which comes and goes, and says where it was. */
export class Client {
  readonly positions = new Positions();
  readonly stints: Stint[] = [];
  readonly closings: Closing[] = [];
  readonly left = new Set<string>();
  readonly #clock: PlayClock;
  readonly #current = new Map<string, Stint>();
  /** What it has asked for, by topic, and that isn't answered yet. */
  readonly #asked = new Map<string, Asked[]>();
  #reader: FrameReader | undefined;
  peer: MemoryPeer | undefined;
  process: Process | undefined;

  constructor(clock: PlayClock) {
    this.#clock = clock;
  }

  come(process: Process, bufferBytes: number): void {
    this.cut();
    this.process = process;
    this.peer = process.bed.beginDial({ bufferBytes });
    this.#reader = new FrameReader(this.peer);
    this.positions.reconnect();
    this.left.clear();
    for (const topic of TOPICS) this.subscribe(topic);
  }

  /** Goes on in a topic, or begins with its last `last` messages. */
  subscribe(topic: string, last?: number): void {
    if (this.peer === undefined) return;
    this.left.delete(topic);
    // What is on its way comes in front of the answer, which goes back to this position.
    const at = this.positions.of(topic);
    const before = at === undefined || last !== undefined ? undefined : { ...at };
    const asked = this.#asked.get(topic) ?? [];
    asked.push({ before, last, place: this.#clock.events++ });
    this.#asked.set(topic, asked);
    const frame = last === undefined
      ? this.positions.subscribe(topic)
      : subscribeFrame(topic, { last });
    this.peer.send(frame);
  }

  leave(topic: string): void {
    this.left.add(topic);
    this.peer?.send(`{"action":"unsubscribe","data":"${topic}"}\0`);
  }

  cut(): void {
    this.read();
    this.peer?.reset();
    this.#current.clear();
    this.#asked.clear();
    this.peer = this.process = undefined;
  }

  read(): void {
    for (const text of this.#reader?.next() ?? []) {
      const frame = this.positions.take(text);
      if (frame.what === "resume") this.#begin(frame.resume, microsOf(JSON.parse(text).timestamp));
      else if (frame.what === "message") {
        const { topic, origin, micros, data } = frame;
        this.#current.get(topic)?.got.push({ origin, micros, n: data as number });
      } else if (frame.what === "error") this.#onError(frame);
    }
  }

  /** It has read all that it is to get. */
  complete(): void {
    const isThere = this.peer?.ended === false;
    for (const [topic, stint] of this.#current) {
      stint.isComplete = isThere && !this.left.has(topic);
    }
  }

  #begin(resume: Resume, micros: number): void {
    const { topic } = resume;
    const asked = this.#asked.get(topic)!.shift()!;
    const stint: Stint = {
      ...asked,
      topic,
      process: this.process!,
      resume,
      micros,
      atMs: this.#clock.nowMs,
      got: [],
      isComplete: false,
    };
    this.#current.set(topic, stint);
    this.stints.push(stint);
  }

  #onError({ code, message }: { readonly code: string; readonly message: string }): void {
    const process = this.process!;
    process.witness.look();
    const stints = [...this.#current.values()].map((stint) => ({
      stint,
      seen: process.witness.orderOf(stint.topic).length,
    }));
    // An answer that was queued is lost with what followed.
    if ([...this.#asked.values()].some((asked) => asked.length > 0)) return;
    this.closings.push({ code, message, process, stints, atMs: this.#clock.nowMs });
  }
}

/** A timestamp as one number. */
export function microsOf([mega, seconds, micros]: [number, number, number]): number {
  return (mega * 1_000_000 + seconds) * 1_000_000 + micros;
}
