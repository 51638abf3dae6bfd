import type { Batch } from "../history/batch.ts";
import type { Origin } from "../history/origins.ts";
import type { Found } from "../history/search.ts";
import type { TaggedBatch } from "../history/tagging.ts";
import type { CatchUpSource } from "./catch_up.ts";
import { type SubscribedTopic, Subscription, TaggedSubscription } from "./subscription.ts";
import { Gate } from "../flow/gate.ts";
import type { SharedChunk } from "../flow/shared_chunk.ts";
import { SUBSCRIPTION_BYTES } from "../limits/costs.ts";
import { MAX_COLLECTED_BYTES } from "../limits/messages.ts";
import { NOBODY, Receipts, type ReceiptTaker } from "./receipts.ts";
import type { Lag, Subscriber } from "./subscriber.ts";
import { TopicMessages } from "./topic_messages.ts";
import type { SlicedTask } from "../timing/fair_scheduler.ts";

/** The number of subscribers that are counted for receipts in the time of one write. */
const SUBSCRIBERS_PER_WRITE = 64;

/** The cost of leaving a chunk for a later write, in writes: it has no system call. */
const WRITES_PER_PIECE = 1 / 8;

/**
 * A topic: its subscribers, and the fan-out of its messages to them.
 *
 * Messages that arrive during a pass over the subscribers are collected into one buffer for the next
 * pass, so that a thousand messages cost each subscriber a few writes. Each subscription counts the
 * messages that it has had, so that clients may subscribe and unsubscribe at any moment, even in the
 * middle of a pass, and no other subscriber misses a message or gets one twice.
 */
export class Topic extends TopicMessages implements SlicedTask, SubscribedTopic, CatchUpSource {
  #subscriptions: Subscription[] = [];
  #pass: Batch | undefined;
  #cursor = 0;
  /** The number of subscriptions in the pass. Later ones have no message in it. */
  #passLength = 0;
  /** False if a receipt is to say whether its chunks were sent: these can't wait for other topics' chunks. */
  #mayWait = true;
  #endedInPass = 0;
  #isScheduled = false;
  #backlogGate: Gate | undefined;
  /** Messages handed to subscribers so far: one for each message and subscriber. */
  deliveries = 0;
  /** Created by the first message whose publisher asks for a receipt. */
  #receipts: Receipts | undefined;
  /** The number of subscriptions that want to know their messages' origins. */
  #taggedCount = 0;
  /** The pass's batch for these; absent if passes need no tags. */
  #taggedPass: TaggedBatch | undefined;
  #hasHadSubscribers = false;
  /** The number of subscriptions counted for receipts after the pass; -1 before the pass is over. */
  #counted = -1;

  get subscriberCount(): number {
    return this.#subscriptions.length - this.#endedInPass;
  }

  /** False if it exists only to store what is published to it. */
  get hasHadSubscribers(): boolean {
    return this.#hasHadSubscribers;
  }

  /** True if the subscriber has a subscription. Looks at all subscriptions. */
  has(subscriber: Subscriber): boolean {
    return this.#subscriptions.some((one) => one.subscriber === subscriber && one.index >= 0);
  }

  /** Accepts a message, which all present subscribers will get. `message` is copied. */
  publish(origin: Origin, micros: number, message: Uint8Array): void {
    this.collect(origin, micros, message);
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      this.context.scheduler.schedule(this);
    }
  }

  /** The same, and answers `taker` with the message's receipt after its pass. */
  publishForReceipt(
    origin: Origin,
    micros: number,
    message: Uint8Array,
    taker: ReceiptTaker,
  ): void {
    if (this.subscriberCount === 0) taker.take(NOBODY);
    else {
      this.#receipts ??= new Receipts();
      this.#receipts.owe(this.end, this.subscriberCount, taker);
    }
    this.publish(origin, micros, message);
  }

  /** The gate at which publishers of this topic must wait; `undefined` if they needn't. */
  get gate(): Gate | undefined {
    if (this.backlogBytes > MAX_COLLECTED_BYTES) {
      return this.#backlogGate ??= new Gate(this.context.runtime, "backlog");
    }
    return this.unread?.gate;
  }

  /** Subscribes to every message that is accepted from now on. */
  subscribe(subscriber: Subscriber): Subscription {
    return this.#subscribe(subscriber, false);
  }

  #subscribe(subscriber: Subscriber, isTagged: boolean): Subscription {
    const index = this.#subscriptions.length;
    const Kind = isTagged ? TaggedSubscription : Subscription;
    const subscription = new Kind(this, subscriber, this.end, index);
    this.#subscriptions.push(subscription);
    if (isTagged) this.#taggedCount++;
    this.context.budget.countStanding(SUBSCRIPTION_BYTES);
    if (index === 0) subscriber.holder?.addTopic();
    if (!this.#hasHadSubscribers) {
      this.#hasHadSubscribers = true;
      this.context.onSubscribed(this);
    }
    return subscription;
  }

  /** Subscribes to the messages from where {@linkcode search} found, which must have been just before. */
  resume(subscriber: Subscriber, found: Found): Subscription {
    const subscription = this.#subscribe(subscriber, true);
    if (found.missed === 0) return subscription;
    const isLevel = found.next >= this.levelFrom && found.next === found.cleanFrom;
    const isTold = this.untaggedOrigin === undefined || this.untaggedOrigin === found.origin;
    if (isLevel && isTold) subscription.join(found.next);
    else this.context.catchUps.begin(subscription, this, found);
    return subscription;
  }

  /** See {@linkcode CatchUpSource.levelFrom}. */
  get levelFrom(): number {
    if (this.#pass !== undefined) return this.#pass.end;
    return this.backlogFrom;
  }

  /**
   * Ends a subscription.
   *
   * @param deliverRest True to deliver the messages accepted so far, at once.
   */
  unsubscribe(subscription: Subscription, deliverRest: boolean): void {
    if (subscription.index < 0) return;
    if (subscription.isCatchingUp) this.#leaveCatchingUp(subscription, deliverRest);
    else if (deliverRest) this.#deliverRest(subscription);
    // Delivering may have ended it.
    const { index } = subscription;
    if (index < 0) return;
    if (deliverRest) this.#countLeaver(subscription);
    subscription.index = -1;
    if (subscription.isTagged) this.#taggedCount--;
    this.context.budget.countStanding(-SUBSCRIPTION_BYTES);
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
    return this.#isScheduled;
  }

  runSlice(budget: number): number {
    const batch = this.#pass ?? this.#beginPass();
    if (batch === undefined) return 1;
    if (this.#counted >= 0) return this.#countForReceipts(batch, budget);
    const subscriptions = this.#subscriptions;
    const { first, end } = batch;
    const stop = Math.min(this.#cursor + budget, this.#passLength);
    const start = this.#cursor;
    const mayWait = this.#mayWait;
    const tagged = this.#taggedPass;
    let pieces = 0;
    let messages = 0;
    let i = start;
    for (; i < stop; i++) {
      const subscription = subscriptions[i] as Subscription;
      const { next } = subscription;
      if (next >= end || next < 0 || subscription.index < 0) continue;
      subscription.next = end;
      messages += end - next;
      batch.reached++;
      const { subscriber } = subscription;
      const lag = tagged !== undefined && subscription.isTagged
        ? deliverAll(subscriber, tagged.chunksFrom(next), mayWait)
        : subscriber.deliver(next === first ? batch : batch.chunkFrom(next), mayWait);
      if (lag === "keeps_up") continue;
      if (lag === "is_due") pieces++;
      else this.#follow(subscription, end);
    }
    this.#cursor = i;
    this.countDeliveries(messages);
    if (pieces > 0) batch.hasLeftPieces = true;
    if (i >= this.#passLength) {
      if (batch.reached > 0) this.context.passes?.observe(batch);
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
    const batch = this.takeBatch();
    if (batch === undefined) {
      this.#isScheduled = false;
      return undefined;
    }
    this.#pass = batch;
    this.#passLength = this.#subscriptions.length;
    this.#cursor = 0;
    const wantsTags = this.#taggedCount > 0 && this.context.hasOtherOrigins;
    this.#taggedPass = wantsTags ? this.tagged(batch) : undefined;
    this.#taggedPass?.chunk.retain();
    this.#mayWait = !this.#receipts?.owesBelow(batch.end);
    this.unread?.notePass(batch.end);
    return batch;
  }

  /** Lets a subscription that is behind read on at its own pace, from number `next` on. */
  #follow(subscription: Subscription, next: number): void {
    // Taking the chunk may have ended it.
    if (subscription.index < 0) return;
    this.context.catchUps.follow(subscription, this, next, this.unreadFrom(next));
  }

  #endPass(batch: Batch): void {
    this.#pass = undefined;
    batch.release();
    if (this.#taggedPass !== undefined) {
      this.#taggedPass.chunk.release();
      this.#taggedPass = undefined;
      this.context.tagging.forget(batch);
    }
    if (this.#endedInPass > 0) this.#removeEnded();
    this.#isScheduled = this.backlogBytes > 0;
    if (this.backlogBytes <= MAX_COLLECTED_BYTES / 2) this.#backlogGate?.open();
    this.unread?.judge();
    this.#vanishIfEmpty();
  }

  #countForReceipts(batch: Batch, budget: number): number {
    const receipts = this.#receipts as Receipts;
    const subscriptions = this.#subscriptions;
    const start = this.#counted;
    const stop = Math.min(start + budget * SUBSCRIBERS_PER_WRITE, this.#passLength);
    for (let i = start; i < stop; i++) {
      const subscription = subscriptions[i] as Subscription;
      const { index, subscriber, since, isCatchingUp } = subscription;
      if (index >= 0) receipts.count(subscriber.hasUnsent || isCatchingUp, since, batch.end);
    }
    this.#counted = stop;
    if (stop >= this.#passLength) {
      receipts.settle(batch.end);
      this.#counted = -1;
      this.#endPass(batch);
    }
    return Math.max(1, Math.ceil((stop - start) / SUBSCRIBERS_PER_WRITE));
  }

  #countLeaver({ subscriber, since, index, isCatchingUp }: Subscription): void {
    const isCounted = this.#pass !== undefined && index < this.#counted;
    const from = isCounted ? Math.max(since, (this.#pass as Batch).end) : since;
    this.#receipts?.countLeaver(subscriber.hasUnsent || isCatchingUp, from);
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

  #leaveCatchingUp(subscription: Subscription, deliverRest: boolean): void {
    if (deliverRest) this.seal();
    this.context.catchUps.leave(subscription, deliverRest ? this.end : undefined);
  }

  #deliverRest(subscription: Subscription): void {
    if (subscription.next >= this.end) return;
    this.sealIfLargeFrom(subscription.next);
    const isTagged = subscription.isTagged && this.context.hasOtherOrigins;
    const sealed = this.sealedBatches;
    const rest = this.#pass === undefined ? [...sealed] : [this.#pass, ...sealed];
    for (const batch of rest) {
      if (subscription.next >= batch.end || subscription.index < 0) continue;
      this.countDeliveries(batch.end - subscription.next);
      const chunks = isTagged
        ? this.tagged(batch).chunksFrom(subscription.next)
        : [batch.chunkFrom(subscription.next)];
      subscription.next = batch.end;
      deliverAll(subscription.subscriber, chunks, false);
    }
    const { end } = this;
    if (subscription.next >= end || subscription.index < 0) return;
    const collected = this.copyCollected(subscription.next, isTagged);
    this.countDeliveries(end - subscription.next);
    subscription.next = end;
    subscription.subscriber.deliver(collected, false);
  }

  countDeliveries(messages: number): void {
    this.deliveries += messages;
    const { counters, passes } = this.context;
    counters.deliveries += messages;
    passes?.countDeliveries(this.name, messages);
  }

  #vanishIfEmpty(): void {
    if (this.#subscriptions.length > 0) return;
    this.dropBacklog();
    this.#backlogGate?.open();
    this.#receipts?.settle(Infinity);
    this.context.onVanish(this);
    this.leaveLog();
  }
}

/** Delivers chunks one after the other. @returns How the subscriber keeps up, with all of them included. */
function deliverAll(
  subscriber: Subscriber,
  chunks: readonly SharedChunk[],
  mayWait: boolean,
): Lag {
  let lag: Lag = "keeps_up";
  for (const chunk of chunks) lag = subscriber.deliver(chunk, mayWait);
  return lag;
}
