import { Fifo } from "../timing/fifo.ts";

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

/** What an origin is known to have published. */
export interface Published {
  /** A timestamp in front of its first message. */
  readonly base: number;
  /** The timestamp of its last message. */
  readonly last: number;
}

interface Logged {
  readonly batch: SentBatch;
  readonly sinceMs: number;
}

interface Track extends Published {
  last: number;
  /** The timestamp up to which messages aren't kept. */
  floor: number;
  readonly batches: Fifo<SentBatch>;
}

/** Bytes that a batch takes beside its messages, about. */
const BATCH_OVERHEAD_BYTES = 200;

/**
 * What the processes of this machine have accepted lately, for other machines that miss some of it. Bounded by
 * bytes and by time; what is oldest goes first.
 */
export class SendLog {
  readonly #limits: SendLogLimits;
  readonly #tracks = new Map<string, Track>();
  readonly #all = new Fifo<Logged>();
  #bytes = 0;

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
    this.#tracks.set(origin, { base, last: base, floor: base, batches: new Fifo() });
  }

  /** What an origin has published; `undefined` if it isn't known. */
  find(origin: string): Published | undefined {
    return this.#tracks.get(origin);
  }

  /** Adds an origin's next batch. */
  append(batch: SentBatch, nowMs: number): void {
    this.begin(batch.origin, batch.previous);
    const track = this.#tracks.get(batch.origin)!;
    track.last = batch.last;
    track.batches.push(batch);
    this.#all.push({ batch, sinceMs: nowMs });
    this.#bytes += costOf(batch);
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
      if (track?.batches.peek() !== batch) continue;
      track.batches.shift();
      track.floor = batch.last;
    }
  }

  /** Forgets an origin that has ended. */
  forget(origin: string): void {
    this.#tracks.delete(origin);
  }

  /**
   * The batches that bring an origin's messages behind a timestamp.
   *
   * @param maxBytes Bytes that they have together, about.
   * @returns And the timestamp up to which these aren't kept, if some aren't; `undefined` if the origin isn't
   * known.
   */
  after(
    origin: string,
    micros: number,
    maxBytes: number,
  ): { readonly floor: number | undefined; readonly batches: readonly SentBatch[] } | undefined {
    const track = this.#tracks.get(origin);
    if (track === undefined) return undefined;
    const batches: SentBatch[] = [];
    let bytes = 0;
    for (const batch of track.batches) {
      if (batch.last <= micros) continue;
      if (bytes > 0 && bytes + batch.frame.length > maxBytes) break;
      batches.push(batch);
      bytes += batch.frame.length;
    }
    return { floor: track.floor > micros ? track.floor : undefined, batches };
  }
}

function costOf({ frame }: SentBatch): number {
  return frame.length + BATCH_OVERHEAD_BYTES;
}
