import { SetQueue } from "../../runtime/set_queue.ts";
import type { Runtime } from "../../runtime/types.ts";
import { type WaitingPlace, WaitingRoom } from "../flow/gate.ts";
import type { Found } from "../history/search.ts";
import { CAUGHT_UP_SHARE } from "../limits/clients.ts";
import { Fifo } from "../timing/fifo.ts";
import type { FairScheduler, SlicedTask } from "../timing/fair_scheduler.ts";
import { CatchUp, type CatchUpSource } from "./catch_up.ts";
import { Follower, type FollowingSubscriber } from "./follower.ts";
import type { Pace, Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";
import type { UnreadLog } from "./unread_log.ts";

/** Counts of what was given. */
export interface ReplayCounts {
  messagesReplayed: number;
}

/** Bytes that logs grow by for each subscription before its subscriber's bytes are added up again. */
const BYTES_PER_ADDITION = 64;

/** The subscriptions of one subscriber that catch up: they take turns. */
class Catching implements FollowingSubscriber {
  readonly subscriber: Subscriber;
  readonly catchUps = new SetQueue<CatchUp>();
  /** How the subscriber takes what it was given since the first of them began. */
  pace: Pace = "unproven";
  isLaden = false;
  pendingBytes = 0;
  isQueued = false;
  /** The number of its subscriptions that get stored messages. */
  replays = 0;

  constructor(subscriber: Subscriber) {
    this.subscriber = subscriber;
  }
}

/**
 * All subscriptions that get messages from a log instead of from passes, because they are behind, or want older
 * ones. Subscribers take turns. When one has taken what it was given, it gets a chunk of a log, or a chunk of what
 * is stored for each of its subscriptions.
 */
export class CatchUps implements SlicedTask {
  readonly #runtime: Runtime;
  readonly #scheduler: FairScheduler;
  readonly #counters: ReplayCounts;
  readonly #softPendingBytes: number;
  readonly #bySubscriber = new Map<Subscriber, Catching>();
  readonly #bySubscription = new Map<Subscription, CatchUp>();
  readonly #ready = new Fifo<Catching>();
  #isScheduled = false;
  /** Bytes that logs have grown by since the bytes of all subscribers were added up. */
  #grownBytes = 0;

  /** @param softPendingBytes Bytes that may wait for a subscriber that reads, before publishers wait for it. */
  constructor(
    runtime: Runtime,
    scheduler: FairScheduler,
    counters: ReplayCounts,
    softPendingBytes: number,
  ) {
    this.#runtime = runtime;
    this.#scheduler = scheduler;
    this.#counters = counters;
    this.#softPendingBytes = softPendingBytes;
  }

  /** True if no subscription catches up. */
  get isEmpty(): boolean {
    return this.#bySubscriber.size === 0;
  }

  /** Gives a subscription what was found, from the next turn on, and lets it join the passes then. */
  begin(subscription: Subscription, source: CatchUpSource, found: Found): void {
    subscription.beginCatchingUp();
    const room = new WaitingRoom(this.#runtime);
    this.#add(new CatchUp(subscription, source, found, room));
  }

  /** Lets a subscription that is behind read a log from message `next` on, as its subscriber takes bytes. */
  follow(subscription: Subscription, source: CatchUpSource, next: number, log: UnreadLog): void {
    subscription.beginCatchingUp();
    const following = this.#catchingOf(subscription.subscriber);
    const isFirst = following.catchUps.size === 0;
    this.#add(new Follower(subscription, source, next, log, following));
    if (isFirst) this.#addUp(following);
  }

  #catchingOf(subscriber: Subscriber): Catching {
    let catching = this.#bySubscriber.get(subscriber);
    if (catching === undefined) {
      catching = new Catching(subscriber);
      this.#bySubscriber.set(subscriber, catching);
    }
    return catching;
  }

  #add(catchUp: CatchUp): void {
    const { subscription } = catchUp;
    const catching = this.#catchingOf(subscription.subscriber);
    catching.catchUps.add(catchUp);
    if (catchUp.isReplay) catching.replays++;
    this.#bySubscription.set(subscription, catchUp);
    this.#queueIfDrained(catching);
  }

  /** Forgets one that is over. */
  #forget(catchUp: CatchUp): void {
    const { isReplay, subscription } = catchUp;
    const catching = this.#bySubscriber.get(subscription.subscriber);
    if (!catching?.catchUps.delete(catchUp)) return;
    this.#bySubscription.delete(subscription);
    if (isReplay) catching.replays--;
    if (catching.catchUps.size === 0) this.#bySubscriber.delete(subscription.subscriber);
  }

  /**
   * To be called when a subscription ends that catches up. What a log keeps for it is delivered at once, or the
   * log would keep what comes behind it, too; stored messages come as the subscriber takes them.
   *
   * @param end The number behind the last message that it still gets; absent if it gets none.
   */
  leave(subscription: Subscription, end: number | undefined): void {
    const catchUp = this.#bySubscription.get(subscription);
    if (catchUp === undefined) return;
    if (end === undefined) catchUp.stop();
    else {
      catchUp.detach(end);
      if (catchUp.isReplay) return;
      this.#finish(catchUp);
      subscription.join(end);
    }
    this.#forget(catchUp);
  }

  #finish(catchUp: CatchUp): void {
    while (!catchUp.isOver) this.#counters.messagesReplayed += catchUp.step(false);
  }

  /** The place where a client waits that subscribes to a topic of which stored messages still come. */
  placeOf(subscriber: Subscriber, topic: string): WaitingPlace | undefined {
    const { catchUps, replays = 0 } = this.#bySubscriber.get(subscriber) ?? {};
    if (catchUps === undefined || replays === 0) return undefined;
    for (const { isOver, subscription, gate } of catchUps) {
      if (!isOver && gate !== undefined && subscription.topic.name === topic) return gate;
    }
    return undefined;
  }

  /** To be called when a log that is read has grown. */
  noteGrowth(bytes: number): void {
    this.#grownBytes += bytes;
    const additions = this.#bySubscription.size;
    if (this.#grownBytes < Math.max(this.#softPendingBytes / 2, additions * BYTES_PER_ADDITION)) {
      return;
    }
    this.#grownBytes = 0;
    for (const catching of this.#bySubscriber.values()) this.#addUp(catching);
  }

  /** Adds up what waits for a subscriber. Publishers of all of its topics wait if logs keep too much for it. */
  #addUp(catching: Catching): void {
    const { subscriber, catchUps, isLaden } = catching;
    let keptBytes = 0;
    for (const one of catchUps) keptBytes += one.addBytes();
    catching.pendingBytes = subscriber.unsentBytes + keptBytes;
    const share = isLaden ? CAUGHT_UP_SHARE : 1;
    catching.isLaden = keptBytes > this.#softPendingBytes * share;
    if (catching.isLaden === isLaden) return;
    for (const one of catchUps) one.noteChange(catching.pace);
  }

  /** Bytes that are kept for a subscriber because it is behind. */
  bytesBehind(subscriber: Subscriber): number {
    let bytes = 0;
    for (const one of this.#bySubscriber.get(subscriber)?.catchUps ?? []) bytes += one.bytesBehind;
    return bytes;
  }

  /** To be called when a subscriber has taken what it was given. */
  onDrain(subscriber: Subscriber, pace: Pace): void {
    const catching = this.#bySubscriber.get(subscriber);
    if (catching === undefined) return;
    this.#setPace(catching, pace);
    this.#queueIfDrained(catching);
  }

  /** To be called when a subscriber has taken nothing for a while, or too little. */
  onStall(subscriber: Subscriber): void {
    const catching = this.#bySubscriber.get(subscriber);
    if (catching !== undefined) this.#setPace(catching, "stalled");
  }

  #setPace(catching: Catching, pace: Pace): void {
    const before = catching.pace;
    if (before === pace) return;
    catching.pace = pace;
    for (const one of catching.catchUps) one.noteChange(before);
  }

  /** Gives a subscriber all that is still to come, at once, because it is about to end. */
  finish(subscriber: Subscriber): void {
    for (const one of [...this.#bySubscriber.get(subscriber)?.catchUps ?? []]) this.#finish(one);
    this.drop(subscriber);
  }

  /** Drops what is still to come to a subscriber that is gone. */
  drop(subscriber: Subscriber): void {
    const catching = this.#bySubscriber.get(subscriber);
    if (catching === undefined) return;
    this.#bySubscriber.delete(subscriber);
    for (const one of catching.catchUps) {
      one.stop();
      this.#bySubscription.delete(one.subscription);
    }
  }

  get hasMore(): boolean {
    return this.#isScheduled;
  }

  runSlice(budget: number): number {
    let writes = 0;
    while (writes < budget) {
      const catching = this.#ready.shift();
      if (catching === undefined) break;
      writes += this.#serve(catching);
    }
    this.#isScheduled = this.#ready.size > 0;
    return Math.max(1, writes);
  }

  /** Gives a subscriber a piece for each of its subscriptions, or as many as it takes. */
  #serve(catching: Catching): number {
    const { subscriber, catchUps } = catching;
    const { size } = catchUps;
    catching.isQueued = false;
    if (this.#bySubscriber.get(subscriber) !== catching) return 0;
    let steps = 0;
    for (; steps < size; steps++) {
      // It stays in the queue meanwhile, since its subscriber may end from inside.
      const one = catchUps.first;
      if (one === undefined) break;
      if (one.isReplay ? !subscriber.takesMore : subscriber.hasUnsent) break;
      this.#counters.messagesReplayed += one.step(size > 1);
      if (one.isOver) this.#forget(one);
      else if (catchUps.delete(one)) catchUps.add(one);
    }
    if (this.#bySubscriber.get(subscriber) !== catching) return Math.max(1, steps);
    if (catching.isLaden) this.#addUp(catching);
    this.#queueIfDrained(catching);
    return steps;
  }

  #queueIfDrained(catching: Catching): void {
    if (catching.isQueued || catching.subscriber.hasUnsent) return;
    catching.isQueued = true;
    this.#ready.push(catching);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#scheduler.schedule(this);
  }
}
