import { encodeFrom } from "../../protocol/encoder.ts";
import type { TimestampIssuer } from "../../protocol/timestamp.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";
import { type Batch, endOfRun, type Stretch } from "./batch.ts";
import type { Origin } from "./origins.ts";

/** A batch with a `from` frame in front of each run, which names the process that accepted it. */
export class TaggedBatch {
  /** The whole batch. */
  readonly chunk: SharedChunk;
  readonly #batch: Batch;
  /** For each run the offset in the chunk at which its `from` frame begins. */
  readonly #starts: readonly number[];
  readonly #tags: readonly Uint8Array[];
  readonly #budget: MemoryBudget;

  constructor(batch: Batch, tagging: Tagging, topic: string) {
    const tags = batch.runs.map(({ origin }) => tagging.tag(topic, origin));
    const bytes = spliceTags(batch, batch.first, tags);
    this.chunk = new SharedChunk(bytes, tagging.budget);
    this.#batch = batch;
    this.#tags = tags;
    this.#budget = tagging.budget;
    const starts: number[] = [];
    let tagBytes = 0;
    for (let i = 0; i < tags.length; i++) {
      starts.push(tagBytes + batch.offsetOf(batch.runs[i]!.first));
      tagBytes += tags[i]!.byteLength;
    }
    this.#starts = starts;
  }

  /** The messages from number `next` on, which is in the batch, in one chunk, or in two. */
  chunksFrom(next: number): readonly SharedChunk[] {
    const batch = this.#batch;
    if (next <= batch.first) return [this.chunk];
    const { runs } = batch;
    let run = runs.length - 1;
    while (runs[run]!.first > next) run--;
    const { byteLength } = this.chunk.bytes;
    if (runs[run]!.first === next) return [this.chunk.slice(this.#starts[run]!, byteLength)];
    const tag = this.#tags[run]!;
    const start = this.#starts[run]! + tag.byteLength + batch.offsetOf(next) -
      batch.offsetOf(runs[run]!.first);
    return [new SharedChunk(tag, this.#budget), this.chunk.slice(start, byteLength)];
  }
}

interface Cached {
  readonly tagged: TaggedBatch;
  /** True if it was used since the last sweep. */
  isWanted: boolean;
}

/** Makes the `from` frames, which name the process that accepted the messages behind them. */
export class Tagging {
  readonly budget: MemoryBudget;
  readonly #timestamps: TimestampIssuer;
  /** Tagged batches that subscribers share which come back at about the same time. */
  readonly #cache = new Map<Batch, Cached>();

  constructor(budget: MemoryBudget, timestamps: TimestampIssuer) {
    this.budget = budget;
    this.#timestamps = timestamps;
  }

  /** A `from` frame, in a buffer of its own. */
  tag(topic: string, origin: Origin): Uint8Array {
    return encodeFrom(this.#timestamps.next(), topic, origin.name);
  }

  /** A batch with tags. Calls within a sweep of each other get the same one. */
  tagged(batch: Batch, topic: string): TaggedBatch {
    let cached = this.#cache.get(batch);
    if (cached === undefined) {
      cached = { tagged: new TaggedBatch(batch, this, topic), isWanted: true };
      this.#cache.set(batch, cached);
      cached.tagged.chunk.store();
    }
    cached.isWanted = true;
    return cached.tagged;
  }

  /** Keeps a tagged batch no longer. */
  forget(batch: Batch): void {
    this.#cache.get(batch)?.tagged.chunk.discard();
    this.#cache.delete(batch);
  }

  /** Forgets the tagged batches that weren't used since the last sweep. */
  sweep(): void {
    for (const [batch, cached] of this.#cache) {
      if (!cached.isWanted) this.forget(batch);
      cached.isWanted = false;
    }
  }

  /** A copy of a stretch's messages from number `next` on, with `from` frames. */
  copyFrom(stretch: Stretch, next: number, topic: string): Uint8Array {
    return spliceTags(stretch, next, stretch.runs.map(({ origin }) => this.tag(topic, origin)));
  }
}

/** A stretch's messages from number `next` on, with its tag in front of each run. */
function spliceTags(stretch: Stretch, next: number, tags: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let byteLength = 0;
  for (let i = 0; i < tags.length; i++) {
    const end = endOfRun(stretch, i);
    if (end <= next) continue;
    const start = Math.max(stretch.runs[i]!.first, next);
    const part = stretch.bytes.subarray(stretch.offsetOf(start), stretch.offsetOf(end));
    parts.push(tags[i]!, part);
    byteLength += tags[i]!.byteLength + part.byteLength;
  }
  const bytes = new Uint8Array(byteLength);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return bytes;
}
