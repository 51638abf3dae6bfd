import type { Runtime } from "../../runtime/types.ts";
import { type WaitingPlace, WaitingRoom } from "../flow/gate.ts";
import type { Found } from "../history/search.ts";
import { Fifo } from "../timing/fifo.ts";
import type { FairScheduler, SlicedTask } from "../timing/fair_scheduler.ts";
import { CatchUp, type CatchUpSource } from "./catch_up.ts";
import { Follower } from "./follower.ts";
import type { Pace, Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";
import type { UnreadLog } from "./unread_log.ts";

/** Counts of what was given. */
export interface ReplayCounts {
  messagesReplayed: number;
}

/** The subscriptions of one subscriber that catch up: they take turns. */
class Catching {
  readonly subscriber: Subscriber;
  readonly catchUps = new Fifo<CatchUp>();
  /** How the subscriber takes what it was given since the first of them began. */
  pace: Pace = "unproven";
  isQueued = false;

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
  readonly #bySubscriber = new Map<Subscriber, Catching>();
  readonly #ready = new Fifo<Catching>();
  #isScheduled = false;

  constructor(runtime: Runtime, scheduler: FairScheduler, counters: ReplayCounts) {
    this.#runtime = runtime;
    this.#scheduler = scheduler;
    this.#counters = counters;
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
    const room = new WaitingRoom(this.#runtime);
    const pace = this.#bySubscriber.get(subscription.subscriber)?.pace ?? "unproven";
    this.#add(new Follower(subscription, source, next, log, pace, room));
  }

  #add(catchUp: CatchUp): void {
    const { subscriber } = catchUp.subscription;
    let catching = this.#bySubscriber.get(subscriber);
    if (catching === undefined) {
      catching = new Catching(subscriber);
      this.#bySubscriber.set(subscriber, catching);
    }
    catching.catchUps.push(catchUp);
    this.#queueIfDrained(catching);
  }

  /**
   * To be called when a subscription ends that catches up.
   *
   * @param end The number behind the last message that it still gets; absent if it gets none.
   */
  leave(subscription: Subscription, end: number | undefined): void {
    const catchUp = this.#find(subscription.subscriber, (one) => one.subscription === subscription);
    if (end === undefined) catchUp?.stop();
    else catchUp?.detach(end);
  }

  /** The place where a client waits that subscribes to a topic of which older messages still come. */
  placeOf(subscriber: Subscriber, topic: string): WaitingPlace | undefined {
    return this.#find(subscriber, ({ subscription }) => subscription.topic.name === topic)?.gate;
  }

  #find(subscriber: Subscriber, isWanted: (one: CatchUp) => boolean): CatchUp | undefined {
    for (const one of this.#bySubscriber.get(subscriber)?.catchUps ?? []) {
      if (!one.isOver && isWanted(one)) return one;
    }
    return undefined;
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
    if (catching.pace === pace) return;
    catching.pace = pace;
    for (const one of catching.catchUps) one.setPace(pace);
  }

  /** Gives a subscriber all that is still to come, at once, because it is about to end. */
  finish(subscriber: Subscriber): void {
    const { catchUps } = this.#bySubscriber.get(subscriber) ?? {};
    if (catchUps === undefined) return;
    for (const one of [...catchUps]) {
      while (!one.isOver) this.#counters.messagesReplayed += one.step(false);
    }
    this.#bySubscriber.delete(subscriber);
  }

  /** Drops what is still to come to a subscriber that is gone. */
  drop(subscriber: Subscriber): void {
    for (const one of this.#bySubscriber.get(subscriber)?.catchUps ?? []) one.stop();
    this.#bySubscriber.delete(subscriber);
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
    let steps = 0;
    for (; steps < size; steps++) {
      // It stays in the queue meanwhile, since its subscriber may end from inside.
      const one = catchUps.peek() as CatchUp;
      if (!one.isOver) {
        if (one.isReplay ? !subscriber.takesMore : subscriber.hasUnsent) break;
        this.#counters.messagesReplayed += one.step(size > 1);
      }
      if (this.#bySubscriber.get(subscriber) !== catching) return steps + 1;
      catchUps.shift();
      if (!one.isOver) catchUps.push(one);
    }
    if (catchUps.size === 0) this.#bySubscriber.delete(subscriber);
    else this.#queueIfDrained(catching);
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
