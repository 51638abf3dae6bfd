import type { Runtime } from "../../runtime/types.ts";
import { type WaitingPlace, WaitingRoom } from "../flow/gate.ts";
import type { Found } from "../history/search.ts";
import { Fifo } from "../timing/fifo.ts";
import type { FairScheduler, SlicedTask } from "../timing/fair_scheduler.ts";
import { CatchUp, type CatchUpSource } from "./catch_up.ts";
import type { Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";

/** Counts of what was given. */
export interface ReplayCounts {
  messagesReplayed: number;
}

/** All subscriptions that get older messages from the history. They take turns, a chunk each. */
export class CatchUps implements SlicedTask {
  readonly #runtime: Runtime;
  readonly #scheduler: FairScheduler;
  readonly #counters: ReplayCounts;
  readonly #bySubscriber = new Map<Subscriber, CatchUp[]>();
  readonly #ready = new Fifo<CatchUp>();
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
    const catchUp = new CatchUp(subscription, source, found, new WaitingRoom(this.#runtime));
    const { subscriber } = subscription;
    const others = this.#bySubscriber.get(subscriber);
    if (others === undefined) this.#bySubscriber.set(subscriber, [catchUp]);
    else others.push(catchUp);
    this.#queue(catchUp);
  }

  /**
   * To be called when a subscription ends that catches up.
   *
   * @param end The number behind the last message that it still gets; absent if it gets none.
   */
  leave(subscription: Subscription, end: number | undefined): void {
    const catchUp = this.#bySubscriber.get(subscription.subscriber)?.find((one) =>
      one.subscription === subscription
    );
    if (catchUp === undefined) return;
    if (end !== undefined) return catchUp.detach(end);
    catchUp.stop();
    this.#remove(catchUp);
  }

  /** The place where a client waits that subscribes to a topic of which older messages still come. */
  placeOf(subscriber: Subscriber, topic: string): WaitingPlace | undefined {
    return this.#bySubscriber.get(subscriber)
      ?.find(({ subscription }) => subscription.topic.name === topic)?.gate;
  }

  /** To be called when a subscriber has taken what it was given. */
  onDrain(subscriber: Subscriber): void {
    for (const catchUp of this.#bySubscriber.get(subscriber) ?? []) {
      if (catchUp.isWaiting) this.#queue(catchUp);
    }
  }

  /** Gives a subscriber all that is still to come, at once, because it is about to end. */
  finish(subscriber: Subscriber): void {
    for (const catchUp of [...this.#bySubscriber.get(subscriber) ?? []]) {
      while (!catchUp.isOver) this.#counters.messagesReplayed += catchUp.step();
      this.#remove(catchUp);
    }
  }

  /** Drops what is still to come to a subscriber that is gone. */
  drop(subscriber: Subscriber): void {
    for (const catchUp of [...this.#bySubscriber.get(subscriber) ?? []]) {
      catchUp.stop();
      this.#remove(catchUp);
    }
  }

  get hasMore(): boolean {
    return this.#isScheduled;
  }

  runSlice(budget: number): number {
    let writes = 0;
    for (; writes < budget; writes++) {
      const catchUp = this.#ready.shift();
      if (catchUp === undefined) break;
      catchUp.isWaiting = true;
      if (!catchUp.isOver) this.#counters.messagesReplayed += catchUp.step();
      if (catchUp.isOver) this.#remove(catchUp);
      else if (!catchUp.subscription.subscriber.hasUnsent) this.#queue(catchUp);
    }
    this.#isScheduled = this.#ready.size > 0;
    return Math.max(1, writes);
  }

  #queue(catchUp: CatchUp): void {
    catchUp.isWaiting = false;
    this.#ready.push(catchUp);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#scheduler.schedule(this);
  }

  #remove(catchUp: CatchUp): void {
    const { subscriber } = catchUp.subscription;
    const left = this.#bySubscriber.get(subscriber)?.filter((one) => one !== catchUp) ?? [];
    if (left.length === 0) this.#bySubscriber.delete(subscriber);
    else this.#bySubscriber.set(subscriber, left);
  }
}
