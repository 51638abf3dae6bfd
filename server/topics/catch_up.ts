import { type Batch, endOfRun } from "../history/batch.ts";
import type { Origin } from "../history/origins.ts";
import { firstAfter, type Found } from "../history/search.ts";
import type { TaggedBatch } from "../history/tagging.ts";
import type { TopicLog } from "../history/topic_log.ts";
import type { WaitingRoom } from "../flow/gate.ts";
import type { SharedChunk } from "../flow/shared_chunk.ts";
import type { Pace } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";

/** What a subscription that catches up begins with. */
export type Beginning = Pick<Found, "next" | "cleanFrom" | "scattered" | "had" | "origin">;

/** The topic of a subscription that catches up. */
export interface CatchUpSource {
  /** Absent if nothing is stored. */
  readonly log: TopicLog | undefined;
  /** The number of the first message that isn't sealed. */
  readonly collectedFrom: number;
  /** The number of the first message that the next pass over the topic brings. */
  readonly levelFrom: number;
  /** The origin of messages that come without a `from` frame in passes; absent if they have one. */
  readonly untaggedOrigin: Origin | undefined;
  /** Seals what is collected, so that the log has it. */
  seal(): void;
  /** A `from` frame, in a chunk of its own. */
  tag(origin: Origin): SharedChunk;
  /** Joins small batches of the log from the one with this message on. */
  joinFrom(number: number): void;
  tagged(batch: Batch): TaggedBatch;
  /** Counts messages that were handed to a subscriber. */
  countDeliveries(messages: number): void;
}

/**
 * Gives a subscription what its topic's history has for it, a chunk at a time as the subscriber takes them, until
 * passes can go on. Its subscriber shares the chunks with all others that read the same.
 */
export class CatchUp {
  readonly subscription: Subscription;
  readonly #source: CatchUpSource;
  readonly #cleanFrom: number;
  readonly #had: ReadonlyMap<Origin, number>;
  #mayWait = false;
  #next: number;
  /** The number of messages that it has yet to give in front of the clean ones. */
  #scattered: number;
  /** The number behind its last message, if the subscription has ended. */
  #end = Infinity;
  #lastOrigin: Origin | undefined;
  #isOver = false;
  /** A client that subscribes to the topic anew waits here; absent if it needn't. */
  readonly gate: WaitingRoom | undefined;

  constructor(
    subscription: Subscription,
    source: CatchUpSource,
    from: Beginning,
    gate?: WaitingRoom,
  ) {
    this.subscription = subscription;
    this.#source = source;
    this.#next = from.next;
    this.#cleanFrom = from.cleanFrom;
    this.#scattered = from.scattered;
    this.#had = from.had;
    this.#lastOrigin = from.origin;
    this.gate = gate;
  }

  /** The number of the next message that it gives. */
  get next(): number {
    return this.#next;
  }

  /** True if its messages are stored ones, which may be dropped before it has given them. */
  get isReplay(): boolean {
    return true;
  }

  /** Bytes that are kept for it because it is behind; the history's don't count. */
  get bytesBehind(): number {
    return 0;
  }

  /** The same, to be added up for its subscriber. */
  addBytes(): number {
    return 0;
  }

  /** Notes that its subscriber takes what it is given in another way, or that more or less waits for it. */
  noteChange(_before: Pace): void {}

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Lets it go on until message number `end` after its subscription has ended. */
  detach(end: number): void {
    this.#end = end;
  }

  /** Ends it. */
  stop(): void {
    this.#isOver = true;
    this.gate?.open();
  }

  /**
   * Gives the subscriber the next piece.
   *
   * @param mayWait True if a small piece may wait for others, so that they share a write.
   * @returns The number of its messages that are replayed; 0 if it is over now.
   */
  step(mayWait: boolean): number {
    this.#mayWait = mayWait;
    const source = this.#source;
    while (!this.#isOver) {
      // What the client has had needn't be stored any more.
      if (this.#scattered === 0) this.#next = Math.max(this.#next, this.#cleanFrom);
      if (this.#next >= this.#end) {
        this.stop();
        break;
      }
      if (this.#end === Infinity && this.#isLevel) {
        this.#join();
        break;
      }
      const { batch } = this;
      if (batch !== undefined) {
        const count = this.#give(batch);
        if (count > 0) {
          source.countDeliveries(count);
          return count;
        }
      } else if (this.#next >= source.collectedFrom) {
        source.seal();
      } else {
        this.stop();
        this.subscription.subscriber.fallBehind("not_stored");
      }
    }
    return 0;
  }

  /** The batch that has message {@linkcode next}, if it is kept. */
  protected get batch(): Batch | undefined {
    this.#source.joinFrom(this.#next);
    return this.#source.log?.batchWith(this.#next);
  }

  get #isLevel(): boolean {
    return this.#next >= this.#source.levelFrom && this.#next >= this.#cleanFrom;
  }

  #join(): void {
    const { untaggedOrigin } = this.#source;
    if (untaggedOrigin !== undefined) this.#tell(untaggedOrigin);
    // Telling may have ended the subscriber.
    if (this.#isOver) return;
    this.stop();
    this.subscription.join(this.#next);
  }

  #give(batch: Batch): number {
    const from = this.#next;
    if (!this.subscription.isTagged) {
      this.#next = Math.min(batch.end, this.#end);
      this.#deliver(batch.chunkOf(from, this.#next));
      return this.#next - from;
    }
    const { runs } = batch;
    let run = runs.length - 1;
    while (runs[run]!.first > from) run--;
    const { origin } = runs[run]!;
    const runEnd = endOfRun(batch, run);
    // Messages that came after the subscription's end may be in one batch with its last ones.
    const to = Math.min(runEnd, this.#end);
    if (from < this.#cleanFrom) {
      const begin = Math.min(to, firstAfter(batch, from, runEnd, this.#had.get(origin) ?? -1));
      this.#next = to;
      this.#scattered -= to - begin;
      if (begin < to) this.#giveRun(batch, origin, begin, to);
      return to - begin;
    }
    if (runEnd === batch.end || this.#end < batch.end) {
      this.#next = to;
      this.#giveRun(batch, origin, from, to);
      return to - from;
    }
    this.#next = batch.end;
    this.#lastOrigin = runs.at(-1)!.origin;
    for (const chunk of this.#source.tagged(batch).chunksFrom(from)) this.#deliver(chunk);
    return batch.end - from;
  }

  #giveRun(batch: Batch, origin: Origin, from: number, to: number): void {
    this.#tell(origin);
    this.#deliver(batch.chunkOf(from, to));
  }

  #tell(origin: Origin): void {
    if (origin === this.#lastOrigin || !this.subscription.isTagged) return;
    this.#lastOrigin = origin;
    this.#deliver(this.#source.tag(origin));
  }

  /** Called before each delivery, when {@linkcode next} is behind what is delivered. */
  protected noteNext(): void {}

  #deliver(chunk: SharedChunk): void {
    if (this.#isOver) return;
    this.noteNext();
    this.subscription.subscriber.deliver(chunk, this.#mayWait);
  }
}
