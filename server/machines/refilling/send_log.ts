import { Fifo } from "../../timing/fifo.ts";
import type { Stretch } from "../wire/frames.ts";

/** The bounds of a send log. */
export interface SendLogLimits {
  readonly logBytes: number;
  readonly logMs: number;
}

/** Successive messages of one origin, as they went to other machines. */
export interface SentBatch {
  readonly origin: string;
  /** The timestamp of the message in front of the first. */
  readonly previous: number;
  /** The timestamp of the last. */
  readonly last: number;
  /** The frame as it was sent. Only read. */
  readonly frame: Uint8Array;
}

interface Logged {
  readonly batch: SentBatch;
  readonly sinceMs: number;
}

/** Messages that a log holds of a stretch. */
export interface FoundBatches {
  /** The timestamp up to which messages of the stretch aren't kept, if some aren't. */
  readonly floor: number | undefined;
  readonly batches: readonly SentBatch[];
  /** Bytes that the log had ever taken with the first of them, and those that it has taken since. */
  readonly takenBytes: number;
  readonly bytesBehind: number;
}

/** A batch, and how many bytes the log had ever taken when this one was in. */
interface PlacedBatch {
  readonly batch: SentBatch;
  readonly takenBytes: number;
}

interface Track {
  /** The timestamp of the last message. */
  last: number;
  /** The timestamp up to which messages aren't kept. */
  floor: number;
  readonly batches: Fifo<PlacedBatch>;
}

/** Bytes that a batch takes beside its messages, about. */
const BATCH_OVERHEAD_BYTES = 200;

/**
 * The messages that the processes of this machine have accepted lately, for other machines that miss some. Bounded by
 * bytes and by time; the oldest go first.
 */
export class SendLog {
  readonly #limits: SendLogLimits;
  readonly #tracks = new Map<string, Track>();
  readonly #all = new Fifo<Logged>();
  #bytes = 0;
  #takenBytes = 0;

  constructor(limits: SendLogLimits) {
    this.#limits = limits;
  }

  /** Bytes that it holds. */
  get byteLength(): number {
    return this.#bytes;
  }

  /**
   * Keeps what an origin publishes from now on.
   *
   * @param base A timestamp in front of the first of these messages.
   */
  begin(origin: string, base: number): void {
    if (this.#tracks.has(origin)) return;
    this.#tracks.set(origin, { last: base, floor: base, batches: new Fifo() });
  }

  /** Adds an origin's next batch. */
  append(batch: SentBatch, nowMs: number): void {
    this.begin(batch.origin, batch.previous);
    const track = this.#tracks.get(batch.origin)!;
    track.last = batch.last;
    this.#bytes += costOf(batch);
    this.#takenBytes += costOf(batch);
    track.batches.push({ batch, takenBytes: this.#takenBytes });
    this.#all.push({ batch, sinceMs: nowMs });
    this.sweep(nowMs);
  }

  /** Drops what is too old, or too much. To be called about once a sweep. */
  sweep(nowMs: number): void {
    const { logBytes, logMs } = this.#limits;
    for (let oldest = this.#all.peek(); oldest !== undefined; oldest = this.#all.peek()) {
      if (this.#bytes <= logBytes && nowMs - oldest.sinceMs < logMs) return;
      this.#all.shift();
      const { batch } = oldest;
      this.#bytes -= costOf(batch);
      const track = this.#tracks.get(batch.origin);
      // Its origin may be forgotten already.
      if (track?.batches.peek()?.batch !== batch) continue;
      track.batches.shift();
      track.floor = batch.last;
    }
  }

  /** Forgets an origin that has ended. */
  forget(origin: string): void {
    this.#tracks.delete(origin);
  }

  /**
   * The batches that bring an origin's messages in a stretch.
   *
   * @param maxBytes Bytes that they have together, about.
   * @returns `undefined` if the origin isn't known.
   */
  in(origin: string, { after, to }: Stretch, maxBytes: number): FoundBatches | undefined {
    const track = this.#tracks.get(origin);
    if (track === undefined) return undefined;
    const batches: SentBatch[] = [];
    let bytes = 0;
    let first = this.#takenBytes;
    for (const { batch, takenBytes } of track.batches) {
      if (batch.last <= after) continue;
      if (batch.previous >= to) break;
      if (bytes > 0 && bytes + batch.frame.length > maxBytes) break;
      if (bytes === 0) first = takenBytes;
      batches.push(batch);
      bytes += batch.frame.length;
    }
    const floor = track.floor > after ? track.floor : undefined;
    return { floor, batches, takenBytes: first, bytesBehind: this.#takenBytes - first };
  }
}

function costOf({ frame }: SentBatch): number {
  return frame.length + BATCH_OVERHEAD_BYTES;
}
