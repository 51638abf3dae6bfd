import type { Gate, Waiter } from "../flow/gate.ts";
import type { Pace, Subscriber, SubscriberPlace } from "./subscriber.ts";

/**
 * The share of what may wait for a reader at which its topics' passes wait too. There is room for a
 * batch of each of some topics above it, and for what publishers get through before they pause.
 */
const HOLD_SHARE = 1 / 4;

/**
 * How long a pass waits to see whether those read who haven't taken anything yet, in milliseconds:
 * enough for another process to get its turn on a busy machine, and less than a second.
 */
const TRIAL_MS = 500;

/**
 * Those of a topic's subscribers who have fallen behind, as far as its publishers and its next pass
 * wait for them.
 *
 * Publishers wait for a reader that is behind and reads. Whether one reads that has taken nothing yet
 * can't be told from one that never will; but where most subscribers fell behind together, the
 * publishers were too fast for them.
 *
 * The next pass waits where it could cost such a reader its connection: what was accepted stays with
 * the topic then, where all subscribers share it, and publishers pause for that. It waits for those
 * who have taken nothing yet as well, but not for long, and not again while any of them is left.
 */
export class Stragglers implements Waiter {
  readonly #holdBytes: number;
  readonly #onRelease: () => void;
  /** For whom publishers wait: whom the last pass met, unless that met none yet. */
  #laggard: Subscriber | undefined;
  #hasMetLaggard = false;
  /** Those whom the pass met who read, and those who have taken nothing. */
  #proven: SubscriberPlace[] = [];
  #unproven: SubscriberPlace[] = [];
  #unprovenInPass = 0;
  /** For whom the next pass waits, and where. */
  #waitsFor: SubscriberPlace | undefined;
  #waitsAt: Gate | undefined;
  #trial: ReturnType<typeof setTimeout> | undefined;
  #isTrialOver = false;

  /**
   * @param maxPendingBytes What may wait for one subscriber.
   * @param onRelease The pass that was held may begin, unless it's held again.
   */
  constructor(maxPendingBytes: number, onRelease: () => void) {
    this.#holdBytes = maxPendingBytes * HOLD_SHARE;
    this.#onRelease = onRelease;
  }

  /** Where publishers should wait, if they should. */
  get gate(): Gate | undefined {
    return this.#laggard?.gate;
  }

  /** Whether a pass is held. */
  get isHolding(): boolean {
    return this.#waitsAt !== undefined;
  }

  /**
   * Holds a pass of so many bytes, if it should wait.
   *
   * @returns Whether it's held.
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

  /** The gate has opened. */
  resume(): void {
    if (this.#waitsAt === undefined) return;
    this.#waitsAt.leave(this);
    this.#waitsAt = undefined;
    this.#waitsFor = undefined;
    this.#onRelease();
  }

  /** A pass begins. */
  beginPass(): void {
    this.#hasMetLaggard = false;
    this.#proven = [];
    this.#unproven = [];
    this.#unprovenInPass = 0;
  }

  /** The pass has met somebody who doesn't keep up, one of so many. */
  note(subscription: SubscriberPlace, pace: Pace, subscriberCount: number): void {
    if (pace === "behind") {
      this.#proven.push(subscription);
    } else {
      this.#unproven.push(subscription);
      if (++this.#unprovenInPass * 2 <= subscriberCount) return;
    }
    this.#laggard = subscription.subscriber;
    this.#hasMetLaggard = true;
  }

  /** The pass is over. */
  endPass(): void {
    if (!this.#hasMetLaggard) this.#laggard = undefined;
  }

  /** The subscription has ended. */
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

  /** The gate of the last of them for whom a pass should wait; those behind it are forgotten. */
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
