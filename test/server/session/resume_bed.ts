import { assert } from "@std/assert";
import type { Limits } from "../../../server/limits.ts";
import { Positions, type Resume, type ServerFrame } from "../../support/clients/resuming_client.ts";
import { MemoryBed } from "../../support/memory/memory_bed.ts";
import type { DialOptions, MemoryPeer } from "../../support/memory/memory_peer.ts";

/** A client in memory that knows its position. */
export class Client {
  readonly positions: Positions;
  readonly peer: MemoryPeer;
  #takenBytes = 0;

  constructor(bed: MemoryBed, positions = new Positions(), options: DialOptions = {}) {
    this.positions = positions;
    positions.reconnect();
    this.peer = bed.dial(options);
  }

  /** The frames that have come since the last call. */
  frames(): ServerFrame[] {
    const { received } = this.peer;
    const text = new TextDecoder().decode(received.subarray(this.#takenBytes));
    const end = text.lastIndexOf("\x01") + 1;
    this.#takenBytes += new TextEncoder().encode(text.slice(0, end)).length;
    return text.slice(0, end).split("\x01").slice(0, -1).map((frame) => this.positions.take(frame));
  }
}

export function publish(bed: MemoryBed, topic: string, ...data: unknown[]): void {
  const peer = bed.dial();
  for (const each of data) {
    peer.send(`PUBLISH\0${JSON.stringify({ topic, data: each })}\0`);
    bed.net.settle();
  }
  peer.reset();
  bed.net.settle();
}

/** What came, in short: the words, and the data of messages. */
export function outline(frames: readonly ServerFrame[]): unknown[] {
  return frames.filter(({ what }) => what !== "token").map((frame) =>
    frame.what === "message" ? frame.data : frame.what
  );
}

export function resumeOf(frames: readonly ServerFrame[]): Resume {
  const frame = frames.find(({ what }) => what === "resume");
  assert(frame?.what === "resume");
  return frame.resume;
}

export async function start(limits: Partial<Limits> = {}): Promise<MemoryBed> {
  return await MemoryBed.start(limits);
}

/** A client that has subscribed with `resume`, has had some messages, and is gone. */
export function gone(bed: MemoryBed, topic: string, ...data: unknown[]): Positions {
  const client = new Client(bed);
  client.peer.send(client.positions.subscribe(topic));
  bed.net.settle();
  publish(bed, topic, ...data);
  client.frames();
  client.peer.reset();
  bed.net.settle();
  return client.positions;
}
