import type { Gate, Waiter } from "../flow/gate.ts";
import type { Lag, Subscriber, SubscriberPlace } from "./subscriber.ts";

/**
 * When this share of a subscriber's pending limit waits for it, the passes of its topics wait too. The
 * rest is room for one batch of each of several topics, and for the messages that publishers send
 * before they pause.
 */
const HOLD_SHARE = 1 / 4;

/**
 * Milliseconds that a pass waits for subscribers that have drained nothing since they fell behind: long
 * enough for another process to get the processor on a busy machine, and less than a second.
 */
const TRIAL_MS = 500;

/**
 * The subscribers of a topic that have fallen behind and that its publishers and its next pass wait for.
 *
 * Publishers wait for a subscriber that is behind but still reads. A subscriber that has drained nothing
 * since it fell behind may be slow or dead, so publishers wait for it only if most subscribers fell behind
 * in the same pass: then the publishers were too fast.
 *
 * The next pass waits if it could push such a subscriber over its pending limit. Accepted messages stay
 * with the topic meanwhile, where all subscribers share them, and publishers pause when there are too
 * many. The pass also waits for subscribers that have drained nothing, but only once for a short time as
 * long as any of them is left.
 */
export class LaggingSubscribers implements Waiter {
  readonly #holdBytes: number;
  readonly #onRelease: () => void;
  /** The subscriber that publishers wait for, of the last pass until this pass has met one. */
  #laggard: Subscriber | undefined;
  #hasMetLaggard = false;
  /** The subscriptions in this pass that are behind but read, and those that have drained nothing. */
  #proven: SubscriberPlace[] = [];
  #unproven: SubscriberPlace[] = [];
  #unprovenInPass = 0;
  /** The subscription that the next pass waits for, and its gate. */
  #waitsFor: SubscriberPlace | undefined;
  #waitsAt: Gate | undefined;
  #trial: ReturnType<typeof setTimeout> | undefined;
  #isTrialOver = false;

  /**
   * @param maxPendingBytes The most bytes that may wait for one subscriber.
   * @param onRelease Called when the pass that was held may be tried again.
   */
  constructor(maxPendingBytes: number, onRelease: () => void) {
    this.#holdBytes = maxPendingBytes * HOLD_SHARE;
    this.#onRelease = onRelease;
  }

  /** The gate at which publishers must wait; `undefined` if they needn't. */
  get gate(): Gate | undefined {
    return this.#laggard?.gate;
  }

  /** True while a pass is held. */
  get isHolding(): boolean {
    return this.#waitsAt !== undefined;
  }

  /**
   * Holds the next pass if it must wait for a subscriber.
   *
   * @param passBytes The number of bytes that the pass would deliver to each subscriber.
   * @returns True if the pass is held.
   */
  hold(passBytes: number): boolean {
    if (this.#waitForLast(this.#proven, passBytes)) return true;
    if (this.#isTrialOver) {
      if (this.#gateOfLast(this.#unproven, passBytes) !== undefined) return false;
    } else if (this.#waitForLast(this.#unproven, passBytes)) {
      this.#trial ??= setTimeout(() => this.#endTrial(), TRIAL_MS);
      return true;
    }
    clearTimeout(this.#trial);
    this.#trial = undefined;
    this.#isTrialOver = false;
    return false;
  }

  /** Releases the pass, because the gate has opened. */
  resume(): void {
    if (this.#waitsAt === undefined) return;
    this.#waitsAt.leave(this);
    this.#waitsAt = undefined;
    this.#waitsFor = undefined;
    this.#onRelease();
  }

  /** Notes the beginning of a pass. */
  beginPass(): void {
    this.#hasMetLaggard = false;
    this.#proven = [];
    this.#unproven = [];
    this.#unprovenInPass = 0;
  }

  /** Notes a subscriber that doesn't keep up, one of `subscriberCount`. */
  note(subscription: SubscriberPlace, lag: Lag, subscriberCount: number): void {
    if (lag === "behind") {
      this.#proven.push(subscription);
    } else {
      this.#unproven.push(subscription);
      if (++this.#unprovenInPass * 2 <= subscriberCount) return;
    }
    this.#laggard = subscription.subscriber;
    this.#hasMetLaggard = true;
  }

  /** Notes the end of a pass. */
  endPass(): void {
    if (!this.#hasMetLaggard) this.#laggard = undefined;
  }

  /** Notes the end of a subscription. */
  forget(subscription: SubscriberPlace): void {
    if (this.#laggard === subscription.subscriber) this.#laggard = undefined;
    if (this.#waitsFor === subscription) this.resume();
  }

  #endTrial(): void {
    this.#trial = undefined;
    this.#isTrialOver = true;
    this.resume();
  }

  #waitForLast(subscriptions: SubscriberPlace[], passBytes: number): boolean {
    const gate = this.#gateOfLast(subscriptions, passBytes);
    if (gate === undefined) return false;
    this.#waitsFor = subscriptions.at(-1);
    this.#waitsAt = gate;
    gate.wait(this);
    return true;
  }

  /** The gate of the last subscription that a pass must wait for; later ones are removed. */
  #gateOfLast(subscriptions: SubscriberPlace[], passBytes: number): Gate | undefined {
    for (;;) {
      const last = subscriptions.at(-1);
      if (last === undefined) return undefined;
      const { subscriber, index } = last;
      if (index >= 0 && subscriber.pendingBytes + passBytes > this.#holdBytes) {
        const { gate } = subscriber;
        if (gate !== undefined) return gate;
      }
      subscriptions.pop();
    }
  }
}
