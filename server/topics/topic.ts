import { Batch, Collection, MAX_COPIED_REST_BYTES } from "./batch.ts";
import { Gate } from "../flow/gate.ts";
import { MAX_COLLECTED_BYTES, maxBatchBytesFor, SUBSCRIPTION_BYTES } from "../limits.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { Runtime } from "../../runtime/types.ts";
import { Receipts, type ReceiptTaker } from "./receipts.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";
import { Stragglers } from "./lagging_subscribers.ts";
import type { Pace, Subscriber, SubscriberPlace } from "./subscriber.ts";
import type { FairScheduler, SlicedTask } from "../timing/fair_scheduler.ts";

/** Subscribers that may be counted for receipts in the time of one write. */
const SUBSCRIBERS_PER_WRITE = 64;

/** What leaving a chunk for a later write takes of the time of a write: none of the kernel's. */
const WRITES_PER_PIECE = 1 / 8;

/** One subscriber's place in one topic. */
export class Subscription implements SubscriberPlace {
  readonly topic: Topic;
  readonly subscriber: Subscriber;
  /** The number of the message that it gets next. */
  next: number;
  /** The number of the first message that it gets. */
  readonly since: number;
  /** Where it stands among the topic's subscriptions; -1 once it has ended. */
  index: number;

  constructor(topic: Topic, subscriber: Subscriber, next: number, index: number) {
    this.topic = topic;
    this.subscriber = subscriber;
    this.next = next;
    this.since = next;
    this.index = index;
  }
}

/** What topics need to know of the server; one object for all of them. */
export interface TopicContext {
  readonly runtime: Runtime;
  readonly budget: MemoryBudget;
  readonly turns: FairScheduler;
  /** Bytes that may wait for one subscriber. */
  readonly maxPendingBytes: number;
  /** The topic has no subscribers any more. */
  onVanish(topic: Topic): void;
}

/**
 * A topic: its subscribers, and the fan-out of its messages to them.
 *
 * Messages that come in while a pass over the subscribers is under way are collected into one buffer
 * for the next pass, so that a thousand messages cost each subscriber a few writes. Each
 * subscription counts what it has had, so subscribing and unsubscribing may happen at any moment,
 * also in the middle of a pass, and cost or gain nobody a message.
 */
export class Topic implements SlicedTask {
  readonly name: string;
  readonly #context: TopicContext;
  readonly #collection: Collection;
  #subscriptions: Subscription[] = [];
  #sealed: Batch[] = [];
  #sealedBytes = 0;
  #pass: Batch | undefined;
  #cursor = 0;
  /** How many subscriptions the pass goes over: whoever came later has nothing to get from it. */
  #passLength = 0;
  /** Whether its chunks may wait for those of other topics: where no receipt tells if they're sent. */
  #mayWait = true;
  #endedInPass = 0;
  #isScheduled = false;
  #backlogGate: Gate | undefined;
  /** From the first time on that somebody doesn't keep up. */
  #stragglers: Stragglers | undefined;
  readonly #maxBatchBytes: number;
  /** From the first message on whose publisher wants to know what becomes of it. */
  #receipts: Receipts | undefined;
  /** How many subscriptions have been counted for receipts, behind a pass; -1 before. */
  #counted = -1;

  constructor(name: string, context: TopicContext) {
    this.name = name;
    this.#context = context;
    this.#collection = new Collection(context.budget);
    this.#maxBatchBytes = maxBatchBytesFor(context.maxPendingBytes);
  }

  get subscriberCount(): number {
    return this.#subscriptions.length - this.#endedInPass;
  }

  /** Whether somebody is subscribed; as much work as there are subscribers. */
  has(subscriber: Subscriber): boolean {
    return this.#subscriptions.some((one) => one.subscriber === subscriber && one.index >= 0);
  }

  /** Accepts a message: everyone subscribed now will get it. `message` is copied. */
  publish(micros: number, message: Uint8Array): void {
    const collection = this.#collection;
    if (collection.byteLength + message.byteLength > this.#maxBatchBytes) this.#seal();
    collection.append(micros, message);
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      this.#context.turns.schedule(this);
    }
  }

  /** The same, and tells what became of the message once its pass is over. */
  publishForReceipt(micros: number, message: Uint8Array, taker: ReceiptTaker): void {
    this.#receipts ??= new Receipts();
    this.#receipts.owe(this.#collection.next, this.subscriberCount, taker);
    this.publish(micros, message);
  }

  /** Where a publisher of this topic should wait before it publishes more, if it should. */
  get gate(): Gate | undefined {
    if (this.#collection.byteLength + this.#sealedBytes > MAX_COLLECTED_BYTES) {
      return this.#backlogGate ??= new Gate(this.#context.runtime);
    }
    return this.#stragglers?.gate;
  }

  /** Subscribes to every message that is accepted from now on. */
  subscribe(subscriber: Subscriber): Subscription {
    const index = this.#subscriptions.length;
    const subscription = new Subscription(this, subscriber, this.#collection.next, index);
    this.#subscriptions.push(subscription);
    this.#context.budget.countStanding(SUBSCRIPTION_BYTES);
    if (index === 0) subscriber.holder?.addTopic();
    return subscription;
  }

  /**
   * Ends a subscription.
   *
   * @param deliverRest Whether what was accepted so far is still delivered, at once.
   */
  unsubscribe(subscription: Subscription, deliverRest: boolean): void {
    if (subscription.index < 0) return;
    if (deliverRest) this.#deliverRest(subscription);
    // Delivering may have ended it.
    const { index } = subscription;
    if (index < 0) return;
    if (deliverRest) this.#countLeaver(subscription);
    subscription.index = -1;
    this.#context.budget.countStanding(-SUBSCRIPTION_BYTES);
    this.#stragglers?.forget(subscription);
    if (this.#pass !== undefined && index < this.#passLength) {
      // What a pass goes over isn't changed under it.
      this.#endedInPass++;
      return;
    }
    const last = this.#subscriptions.pop() as Subscription;
    if (last !== subscription) {
      this.#subscriptions[index] = last;
      last.index = index;
    }
    if (index === 0) this.#passOn(subscription);
    this.#vanishIfEmpty();
  }

  get hasMore(): boolean {
    return this.#isScheduled && !this.#stragglers?.isHolding;
  }

  runSlice(budget: number): number {
    const batch = this.#pass ?? this.#beginPass();
    if (batch === undefined) return 1;
    if (this.#counted >= 0) return this.#countForReceipts(batch, budget);
    const subscriptions = this.#subscriptions;
    const { chunk, first, end } = batch;
    const stop = Math.min(this.#cursor + budget, this.#passLength);
    const start = this.#cursor;
    const mayWait = this.#mayWait;
    let pieces = 0;
    let i = start;
    for (; i < stop; i++) {
      const subscription = subscriptions[i] as Subscription;
      const { next } = subscription;
      if (next >= end || subscription.index < 0) continue;
      subscription.next = end;
      const { subscriber } = subscription;
      const pace = subscriber.deliver(
        next === first ? chunk : batch.chunkFrom(next),
        mayWait,
      );
      if (pace === "keeps_up") continue;
      if (pace === "is_due") pieces++;
      else this.#noteBehind(subscription, pace);
    }
    this.#cursor = i;
    if (i >= this.#passLength) {
      if (this.#receipts?.owesBelow(end)) {
        // From the next turn on, when runtimes that answer late have answered.
        this.#counted = 0;
        return budget;
      }
      this.#endPass(batch);
    }
    return Math.max(WRITES_PER_PIECE, i - start - pieces + pieces * WRITES_PER_PIECE);
  }

  #beginPass(): Batch | undefined {
    if (this.#mustWait()) return undefined;
    if (this.#sealed.length === 0) this.#seal();
    const batch = this.#sealed.shift();
    if (batch === undefined) {
      this.#isScheduled = false;
      return undefined;
    }
    this.#sealedBytes -= batch.chunk.bytes.byteLength;
    this.#pass = batch;
    this.#passLength = this.#subscriptions.length;
    this.#cursor = 0;
    this.#mayWait = !this.#receipts?.owesBelow(batch.end);
    this.#stragglers?.beginPass();
    return batch;
  }

  /** Waits before the next pass where that could cost a subscriber its connection that reads. */
  #mustWait(): boolean {
    const { budget, turns } = this.#context;
    // What is held back is memory too.
    if (this.#stragglers === undefined || budget.isTight) return false;
    const nextBytes = this.#sealed[0]?.chunk.bytes.byteLength ?? this.#collection.byteLength;
    if (!this.#stragglers.hold(nextBytes)) return false;
    turns.park();
    return true;
  }

  #noteBehind(subscription: Subscription, pace: Pace): void {
    const { maxPendingBytes, turns } = this.#context;
    this.#stragglers ??= new Stragglers(maxPendingBytes, () => turns.unpark(this));
    this.#stragglers.note(subscription, pace, this.subscriberCount);
  }

  #endPass(batch: Batch): void {
    this.#pass = undefined;
    batch.chunk.release();
    this.#stragglers?.endPass();
    if (this.#endedInPass > 0) this.#removeEnded();
    this.#isScheduled = this.#sealed.length > 0 || this.#collection.byteLength > 0;
    if (this.#sealedBytes + this.#collection.byteLength <= MAX_COLLECTED_BYTES / 2) {
      this.#backlogGate?.open();
    }
    this.#vanishIfEmpty();
  }

  #countForReceipts(batch: Batch, budget: number): number {
    const receipts = this.#receipts as Receipts;
    const subscriptions = this.#subscriptions;
    const start = this.#counted;
    const stop = Math.min(start + budget * SUBSCRIBERS_PER_WRITE, this.#passLength);
    for (let i = start; i < stop; i++) {
      const { index, subscriber, since } = subscriptions[i] as Subscription;
      if (index >= 0) receipts.count(subscriber, since, batch.end);
    }
    this.#counted = stop;
    if (stop >= this.#passLength) {
      receipts.settle(batch.end);
      this.#counted = -1;
      this.#endPass(batch);
    }
    return Math.max(1, Math.ceil((stop - start) / SUBSCRIBERS_PER_WRITE));
  }

  #countLeaver({ subscriber, since, index }: Subscription): void {
    const isCounted = this.#pass !== undefined && index < this.#counted;
    const from = isCounted ? Math.max(since, (this.#pass as Batch).end) : since;
    this.#receipts?.countLeaver(subscriber, from);
  }

  /** The first subscription has ended: the topic counts for whose is the first now. */
  #passOn(ended: Subscription): void {
    ended.subscriber.holder?.removeTopic();
    this.#subscriptions[0]?.subscriber.holder?.addTopic();
  }

  #removeEnded(): void {
    const first = this.#subscriptions[0];
    this.#subscriptions = this.#subscriptions.filter((subscription) => subscription.index >= 0);
    if (first !== undefined && first.index < 0) this.#passOn(first);
    this.#subscriptions.forEach((subscription, index) => subscription.index = index);
    this.#endedInPass = 0;
  }

  #seal(): void {
    const batch = this.#collection.seal();
    if (batch === undefined) return;
    this.#sealed.push(batch);
    this.#sealedBytes += batch.chunk.bytes.byteLength;
  }

  #deliverRest(subscription: Subscription): void {
    const collection = this.#collection;
    if (subscription.next >= collection.next) return;
    // Sealing for each who leaves would make a pass over everybody of each message.
    const isCopied = collection.bytesFrom(subscription.next) <= MAX_COPIED_REST_BYTES;
    if (!isCopied) this.#seal();
    const rest = this.#pass === undefined ? [...this.#sealed] : [this.#pass, ...this.#sealed];
    for (const batch of rest) {
      if (subscription.next >= batch.end || subscription.index < 0) continue;
      const chunk = batch.chunkFrom(subscription.next);
      subscription.next = batch.end;
      subscription.subscriber.deliver(chunk, false);
    }
    if (subscription.next >= collection.next || subscription.index < 0) return;
    const copy = new SharedChunk(collection.copyFrom(subscription.next), this.#context.budget);
    subscription.next = collection.next;
    subscription.subscriber.deliver(copy, false);
  }

  #vanishIfEmpty(): void {
    if (this.#subscriptions.length > 0) return;
    // Nobody is left to whom the collected messages are due.
    this.#seal();
    for (const batch of this.#sealed) batch.chunk.release();
    this.#sealed = [];
    this.#sealedBytes = 0;
    this.#backlogGate?.open();
    this.#receipts?.settle(Infinity);
    this.#context.onVanish(this);
  }
}
