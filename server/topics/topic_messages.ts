import type { ResumeRequest } from "../../protocol/resume.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";
import { type Batch, Collection, MAX_COPIED_REST_BYTES, type Stretch } from "../history/batch.ts";
import type { Origin } from "../history/origins.ts";
import {
  findBehind,
  findLast,
  type Found,
  fromNowOn,
  type SearchedTopic,
} from "../history/search.ts";
import type { TaggedBatch } from "../history/tagging.ts";
import type { Floors, TopicLog, Trace } from "../history/topic_log.ts";
import type { TopicContext } from "./topic_context.ts";
import { UnreadLog } from "./unread_log.ts";

const NO_TRACES: ReadonlyMap<Origin, Trace> = new Map();

/**
 * The messages of a topic: those collected for its next batch, the sealed batches that no pass has begun
 * with, and the stored ones. {@linkcode Topic} inherits from it and hands them to subscribers: one object for
 * both keeps a topic's memory small.
 */
export abstract class TopicMessages implements SearchedTopic {
  readonly name: string;
  protected readonly context: TopicContext;
  readonly #collection: Collection;
  #sealed: Batch[] = [];
  #sealedBytes = 0;
  /** Absent while no subscriber is behind. */
  #unread: UnreadLog | undefined;
  /** Its stored messages; absent before the first one. */
  #log: TopicLog | undefined;

  constructor(name: string, context: TopicContext) {
    this.name = name;
    this.context = context;
    const { history } = context;
    if (history.find(name) !== undefined) this.#log = history.use(name);
    this.#collection = new Collection(context.budget, this.#log?.end ?? 0);
  }

  /** Collects a message, which is copied. */
  protected collect(origin: Origin, micros: number, message: Uint8Array): void {
    const collection = this.#collection;
    const { maxBatchBytes, passes } = this.context;
    if (collection.byteLength + message.byteLength > maxBatchBytes) this.seal();
    if (passes !== undefined) collection.noteAccepted(micros, passes.readMs);
    collection.append(origin, micros, message);
  }

  /** Bytes that no pass has begun with. */
  protected get backlogBytes(): number {
    return this.#collection.byteLength + this.#sealedBytes;
  }

  /** What is kept for subscribers that are behind; absent while none is. */
  protected get unread(): UnreadLog | undefined {
    return this.#unread;
  }

  /** The log for a subscriber that falls behind in the pass that ends with message `end - 1`. */
  protected unreadFrom(end: number): UnreadLog {
    if (this.#unread === undefined || this.#unread.isEmpty) {
      this.#unread = new UnreadLog(this.context, end);
      for (const batch of this.#sealed) this.#unread.append(batch);
    }
    return this.#unread;
  }

  /** Takes the batch for the next pass; `undefined` if nothing waits for one. The taker must release it. */
  protected takeBatch(): Batch | undefined {
    if (this.#sealed.length === 0) return this.#sealCollected();
    const batch = this.#sealed.shift() as Batch;
    this.#sealedBytes -= batch.bytes.byteLength;
    return batch;
  }

  /** The sealed batches that no pass has begun with, the oldest first. */
  protected get sealedBatches(): readonly Batch[] {
    return this.#sealed;
  }

  /**
   * Seals what is collected if it is too much to be copied for a leaver that has had the messages before
   * number `next`. Sealing for each leaver would make a pass over all subscribers for each message.
   */
  protected sealIfLargeFrom(next: number): void {
    if (this.#collection.bytesFrom(next) > MAX_COPIED_REST_BYTES) this.seal();
  }

  /** A copy of the collected messages from number `next` on. */
  protected copyCollected(next: number, isTagged: boolean): SharedChunk {
    const { budget, tagging } = this.context;
    const copy = isTagged
      ? tagging.copyFrom(this.#collection, next, this.name)
      : this.#collection.copyFrom(next);
    return new SharedChunk(copy, budget);
  }

  /** Drops what no subscriber is left for. It is only stored. */
  protected dropBacklog(): void {
    this.seal();
    for (const batch of this.#sealed) batch.release();
    this.#sealed = [];
    this.#sealedBytes = 0;
  }

  /** Leaves its stored messages to the history. */
  protected leaveLog(): void {
    if (this.#log === undefined) return;
    this.context.history.leave(this.#log);
    this.#log = undefined;
  }

  /** Finds where a subscription must begin to get what a client asks for. */
  search(request: ResumeRequest): Found {
    const { history, origins } = this.context;
    if (request.from === "last") return findLast(this, request.count, origins);
    if (request.from === "new") return fromNowOn("new", this.end, origins);
    if (!history.keeps(this.name)) return fromNowOn("off", this.end, origins);
    return findBehind(this, request.position, origins);
  }

  get log(): TopicLog | undefined {
    // A subscription that has left may read on when the topic has vanished.
    return this.#log ?? this.context.history.find(this.name);
  }

  get first(): number {
    const { log } = this;
    return log === undefined || log.isEmpty ? this.#collection.first : log.first;
  }

  get end(): number {
    return this.#collection.end;
  }

  get traces(): ReadonlyMap<Origin, Trace> {
    return this.log?.traces ?? NO_TRACES;
  }

  get floors(): Floors {
    return this.log?.floors ?? this.context.history.floors;
  }

  *newestFirst(): Generator<Stretch> {
    if (this.#collection.byteLength > 0) yield this.#collection;
    if (this.log !== undefined) yield* this.log.newestFirst();
  }

  /** The number of the first message that isn't sealed. */
  get collectedFrom(): number {
    return this.#collection.first;
  }

  /** The number of the first message that no pass has begun with. */
  protected get backlogFrom(): number {
    return this.#sealed[0]?.first ?? this.#collection.first;
  }

  get untaggedOrigin(): Origin | undefined {
    const { hasOtherOrigins, origins } = this.context;
    return hasOtherOrigins ? undefined : origins.own;
  }

  seal(): void {
    const batch = this.#sealCollected();
    if (batch === undefined) return;
    this.#sealed.push(batch);
    this.#sealedBytes += batch.bytes.byteLength;
  }

  /** Makes a batch of the collected messages, if there are any, and stores it. */
  #sealCollected(): Batch | undefined {
    const batch = this.#collection.seal();
    if (batch === undefined) return undefined;
    const { history } = this.context;
    this.#log ??= history.use(this.name);
    if (this.#log !== undefined) history.store(this.#log, batch);
    if (this.#unread?.isEmpty) this.#unread = undefined;
    if (this.#unread !== undefined) {
      this.#unread.append(batch);
      this.context.catchUps.noteGrowth(batch.bytes.byteLength);
    }
    return batch;
  }

  tag(origin: Origin): SharedChunk {
    const { tagging, budget } = this.context;
    return new SharedChunk(tagging.tag(this.name, origin), budget);
  }

  joinFrom(number: number): void {
    const { log } = this;
    if (log !== undefined) this.context.history.joinFrom(log, number);
  }

  tagged(batch: Batch): TaggedBatch {
    return this.context.tagging.tagged(batch, this.name);
  }
}
