import type { Counters } from "../counters.ts";
import { Batch, Collection, MAX_COPIED_REST_BYTES } from "./batch.ts";
import { Gate } from "../flow/gate.ts";
import { MAX_COLLECTED_BYTES, SUBSCRIPTION_BYTES } from "../limits.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { Runtime } from "../../runtime/types.ts";
import { Receipts, type ReceiptTaker } from "./receipts.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";
import { LaggingSubscribers } from "./lagging_subscribers.ts";
import type { Lag, Subscriber, SubscriberPlace } from "./subscriber.ts";
import type { FairScheduler, SlicedTask } from "../timing/fair_scheduler.ts";

/** The number of subscribers that are counted for receipts in the time of one write. */
const SUBSCRIBERS_PER_WRITE = 64;

/** The cost of leaving a chunk for a later write, in writes: it has no system call. */
const WRITES_PER_PIECE = 1 / 8;

/** The subscription of one subscriber to one topic. */
export class Subscription implements SubscriberPlace {
  readonly topic: Topic;
  readonly subscriber: Subscriber;
  /** The number of the next message for it. */
  next: number;
  /** The number of the first message for it. */
  readonly since: number;
  /** Its index in the topic's subscriptions; -1 once it has ended. */
  index: number;

  constructor(topic: Topic, subscriber: Subscriber, next: number, index: number) {
    this.topic = topic;
    this.subscriber = subscriber;
    this.next = next;
    this.since = next;
    this.index = index;
  }
}

/** Measures passes; see `PassRecorder`. */
export interface PassObserver {
  /** A monotonic clock, in milliseconds. */
  readonly readMs: () => number;
  /** Called once for each pass that reached somebody, when the batch was handed to all subscribers. */
  observe(batch: Batch): void;
  /** Called for each slice of a pass over a topic's subscribers. */
  countDeliveries(topic: string, messages: number): void;
}

/** The parts of the server that topics use; all topics share one object. */
export interface TopicContext {
  readonly counters: Pick<Counters, "deliveries">;
  /** Absent if nobody wants to know how long passes take. */
  readonly passes: PassObserver | undefined;
  readonly runtime: Runtime;
  readonly budget: MemoryBudget;
  readonly scheduler: FairScheduler;
  /** The most bytes that may wait for one subscriber. */
  readonly maxPendingBytes: number;
  /** Bytes of a batch; see `maxBatchBytesFor`. */
  readonly maxBatchBytes: number;
  /** Called when the topic has no subscribers any more. */
  onVanish(topic: Topic): void;
}

/**
 * A topic: its subscribers, and the fan-out of its messages to them.
 *
 * Messages that arrive during a pass over the subscribers are collected into one buffer for the next
 * pass, so that a thousand messages cost each subscriber a few writes. Each subscription counts the
 * messages that it has had, so that clients may subscribe and unsubscribe at any moment, even in the
 * middle of a pass, and no other subscriber misses a message or gets one twice.
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
  /** The number of subscriptions in the pass. Later ones have no message in it. */
  #passLength = 0;
  /** False if a receipt is to say whether its chunks were sent: these can't wait for other topics' chunks. */
  #mayWait = true;
  #endedInPass = 0;
  #isScheduled = false;
  #backlogGate: Gate | undefined;
  /** Created when a subscriber first falls behind. */
  #lagging: LaggingSubscribers | undefined;
  /** Messages handed to subscribers so far: one for each message and subscriber. */
  deliveries = 0;
  /** Created by the first message whose publisher asks for a receipt. */
  #receipts: Receipts | undefined;
  /** The number of subscriptions counted for receipts after the pass; -1 before the pass is over. */
  #counted = -1;

  constructor(name: string, context: TopicContext) {
    this.name = name;
    this.#context = context;
    this.#collection = new Collection(context.budget);
  }

  get subscriberCount(): number {
    return this.#subscriptions.length - this.#endedInPass;
  }

  /** True if the subscriber has a subscription. Looks at all subscriptions. */
  has(subscriber: Subscriber): boolean {
    return this.#subscriptions.some((one) => one.subscriber === subscriber && one.index >= 0);
  }

  /** Accepts a message, which all present subscribers will get. `message` is copied. */
  publish(micros: number, message: Uint8Array): void {
    const collection = this.#collection;
    const { maxBatchBytes, passes } = this.#context;
    if (collection.byteLength + message.byteLength > maxBatchBytes) this.#seal();
    if (passes !== undefined) collection.noteAccepted(micros, passes.readMs);
    collection.append(micros, message);
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      this.#context.scheduler.schedule(this);
    }
  }

  /** The same, and answers `taker` with the message's receipt after its pass. */
  publishForReceipt(micros: number, message: Uint8Array, taker: ReceiptTaker): void {
    this.#receipts ??= new Receipts();
    this.#receipts.owe(this.#collection.next, this.subscriberCount, taker);
    this.publish(micros, message);
  }

  /** The gate at which publishers of this topic must wait; `undefined` if they needn't. */
  get gate(): Gate | undefined {
    if (this.#collection.byteLength + this.#sealedBytes > MAX_COLLECTED_BYTES) {
      return this.#backlogGate ??= new Gate(this.#context.runtime, "backlog");
    }
    return this.#lagging?.gate;
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
   * @param deliverRest True to deliver the messages accepted so far, at once.
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
    this.#lagging?.forget(subscription);
    if (this.#pass !== undefined && index < this.#passLength) {
      // Indices must not change during a pass.
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
    return this.#isScheduled && !this.#lagging?.isHolding;
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
    let messages = 0;
    let i = start;
    for (; i < stop; i++) {
      const subscription = subscriptions[i] as Subscription;
      const { next } = subscription;
      if (next >= end || subscription.index < 0) continue;
      subscription.next = end;
      messages += end - next;
      batch.reached++;
      const { subscriber } = subscription;
      const lag = subscriber.deliver(
        next === first ? chunk : batch.chunkFrom(next),
        mayWait,
      );
      if (lag === "keeps_up") continue;
      if (lag === "is_due") pieces++;
      else this.#noteBehind(subscription, lag);
    }
    this.#cursor = i;
    this.#countDeliveries(messages);
    if (pieces > 0) batch.hasLeftPieces = true;
    if (i >= this.#passLength) {
      if (batch.reached > 0) this.#context.passes?.observe(batch);
      if (this.#receipts?.owesBelow(end)) {
        // Count from the next turn on: some runtimes report the result of a write one turn later.
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
    this.#lagging?.beginPass();
    return batch;
  }

  /** Delays the next pass if it could push a subscriber that is still reading over its pending limit. */
  #mustWait(): boolean {
    const { budget, scheduler } = this.#context;
    // The messages of a delayed pass take memory too.
    if (this.#lagging === undefined || budget.isTight) return false;
    const nextBytes = this.#sealed[0]?.chunk.bytes.byteLength ?? this.#collection.byteLength;
    if (!this.#lagging.hold(nextBytes)) return false;
    scheduler.park();
    return true;
  }

  #noteBehind(subscription: Subscription, lag: Lag): void {
    const { maxPendingBytes, scheduler } = this.#context;
    this.#lagging ??= new LaggingSubscribers(maxPendingBytes, () => scheduler.unpark(this));
    this.#lagging.note(subscription, lag, this.subscriberCount);
  }

  #endPass(batch: Batch): void {
    this.#pass = undefined;
    batch.chunk.release();
    this.#lagging?.endPass();
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

  /** Counts the topic for the address of its new first subscriber, since the first one has ended. */
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
    // Sealing for each leaver would make a pass over all subscribers for each message.
    const isCopied = collection.bytesFrom(subscription.next) <= MAX_COPIED_REST_BYTES;
    if (!isCopied) this.#seal();
    const rest = this.#pass === undefined ? [...this.#sealed] : [this.#pass, ...this.#sealed];
    for (const batch of rest) {
      if (subscription.next >= batch.end || subscription.index < 0) continue;
      const chunk = batch.chunkFrom(subscription.next);
      this.#countDeliveries(batch.end - subscription.next);
      subscription.next = batch.end;
      subscription.subscriber.deliver(chunk, false);
    }
    if (subscription.next >= collection.next || subscription.index < 0) return;
    const copy = new SharedChunk(collection.copyFrom(subscription.next), this.#context.budget);
    this.#countDeliveries(collection.next - subscription.next);
    subscription.next = collection.next;
    subscription.subscriber.deliver(copy, false);
  }

  #countDeliveries(messages: number): void {
    this.deliveries += messages;
    const { counters, passes } = this.#context;
    counters.deliveries += messages;
    passes?.countDeliveries(this.name, messages);
  }

  #vanishIfEmpty(): void {
    if (this.#subscriptions.length > 0) return;
    // No subscriber is left for the collected messages.
    this.#seal();
    for (const batch of this.#sealed) batch.chunk.release();
    this.#sealed = [];
    this.#sealedBytes = 0;
    this.#backlogGate?.open();
    this.#receipts?.settle(Infinity);
    this.#context.onVanish(this);
  }
}
