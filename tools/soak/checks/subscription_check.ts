import type { Faults } from "./faults.ts";
import { type Delivery, type Lane, type Ledger, messageTail } from "./ledger.ts";

/** The messages of one lane that one subscription has received. */
interface Progress {
  /** The first number that must arrive; all later ones must, too. */
  readonly mustFrom: number;
  /** The next expected number; `undefined` before the first message. */
  next: number | undefined;
  lastMicros: number;
  /** Messages without order from before this number must arrive if the server has accepted them. */
  sureFrom: number;
  /** Numbers that were skipped. */
  readonly gaps: Set<number>;
  /** Received numbers; only for a lane without order. */
  readonly had: Set<number>;
}

/**
 * Checks one subscription's messages against the published ones: from its `ACK` on there is no gap, no
 * duplicate, no change of order, and every byte is as it was sent.
 */
export class SubscriptionCheck {
  readonly topic: string;
  readonly #who: string;
  readonly #ledger: Ledger;
  readonly #faults: Faults;
  readonly #progress = new Map<Lane, Progress>();
  /** Lost lanes of which the server said, by silence, that what it had accepted isn't lost. */
  readonly #whole = new Set<Lane>();
  /** Those of which it said that something may be lost. */
  readonly #excused = new Set<Lane>();
  /** For each lane, the first number that must not arrive any more. */
  #closedAt: Map<Lane, number> | undefined;

  /**
   * Begins when the `ACK` has just arrived.
   *
   * @param who The subscriber's name in faults.
   */
  constructor(topic: string, who: string, ledger: Ledger, faults: Faults) {
    this.topic = topic;
    this.#who = who;
    this.#ledger = ledger;
    this.#faults = faults;
    for (const lane of ledger.lanesOf(topic)) this.#begin(lane, lane.sent);
  }

  /**
   * Goes on after a break, because the server said that nothing is lost but, perhaps, what processes had
   * accepted last that crashed.
   */
  goOn(crashed: readonly string[]): void {
    const nowMs = performance.now();
    for (const lane of this.#ledger.lanesOf(this.topic)) {
      const { origin, lostMs } = lane;
      const progress = this.#progress.get(lane) ?? this.#begin(lane, 0);
      progress.sureFrom = lane.sent;
      if (origin === undefined) continue;
      // It is named once, since the position is behind its end from then on.
      if (crashed.includes(origin)) this.#excused.add(lane);
      else if (nowMs >= lostMs + this.#ledger.knownMs && !this.#excused.has(lane)) {
        this.#whole.add(lane);
      }
    }
  }

  /** The most messages that were published since the last one that it received. */
  get missedAtMost(): { readonly messages: number; readonly bytes: number } {
    let messages = 0;
    let bytes = 0;
    for (const lane of this.#ledger.lanesOf(this.topic)) {
      const progress = this.#progress.get(lane);
      const from = Math.max(progress?.next ?? progress?.mustFrom ?? 0, progress?.had.size ?? 0);
      messages += lane.sent - from;
      bytes += (lane.sent - from) * (lane.maxDataBytes * 2 + 200);
    }
    return { messages, bytes };
  }

  /**
   * Notes that the server has read the unsubscribe: messages that are published from now on must not
   * arrive.
   */
  close(): void {
    this.#closedAt = new Map(this.#ledger.lanesOf(this.topic).map((lane) => [lane, lane.sent]));
  }

  /**
   * Checks a received message of this topic.
   *
   * @param origin The process that accepted it, if the server said so.
   */
  receive(delivery: Delivery, origin?: string): void {
    const { laneId, number, micros } = delivery;
    const lane = this.#ledger.lane(laneId);
    const where = `${this.#who}, ${delivery.topic} ${laneId}.${number}`;
    if (lane === undefined || lane.topic !== this.topic || number >= lane.sent) {
      return this.#faults.add("foreign", where);
    }
    if (delivery.tail !== messageTail(lane, number)) return this.#faults.add("damaged", where);
    if (this.#closedAt !== undefined && number >= (this.#closedAt.get(lane) ?? 0)) {
      return this.#faults.add("after_unsubscribe", where);
    }
    lane.seen = Math.max(lane.seen, number);
    if (origin !== undefined && lane.journeys === null) this.#checkOrigin(lane, origin, where);
    // Of a lane that began after the ACK, all messages must arrive.
    const progress = this.#progress.get(lane) ?? this.#begin(lane, 0);
    if (lane.journeys === null) this.#receiveInOrder(progress, number, micros, where);
    else if (progress.had.has(number)) this.#faults.add("duplicate", where);
    else {
      progress.had.add(number);
      lane.arrived.add(number);
    }
  }

  /** True if all messages that must arrive have arrived. */
  get isComplete(): boolean {
    for (const lane of this.#ledger.lanesOf(this.topic)) {
      if (this.#owed(lane).length > 0) return false;
    }
    return true;
  }

  /** Reports the messages that never arrived. Call it once, when nothing more can arrive. */
  settle(): void {
    for (const lane of this.#ledger.lanesOf(this.topic)) {
      const owed = this.#owed(lane);
      if (owed.length === 0) continue;
      const numbers = owed.slice(0, 5).map((number) => {
        const beganMs = lane.journeys?.beganMs(number);
        return beganMs === undefined ? number : `${number} (set out at ${beganMs.toFixed(0)} ms)`;
      });
      this.#faults.add(
        "missing",
        `${this.#who}, ${owed.length} of ${lane.topic} ${lane.id}: ${numbers.join(", ")}`,
        owed.length,
      );
    }
  }

  /** One connection is at one process. */
  #checkOrigin(lane: Lane, origin: string, where: string): void {
    lane.origin ??= origin;
    if (lane.origin !== origin) {
      this.#faults.add("resume", `${where}: from ${origin}, and others of it from ${lane.origin}`);
    }
  }

  #begin(lane: Lane, mustFrom: number): Progress {
    const progress = {
      mustFrom,
      next: undefined,
      sureFrom: mustFrom,
      lastMicros: 0,
      gaps: new Set<number>(),
      had: new Set<number>(),
    };
    this.#progress.set(lane, progress);
    return progress;
  }

  #receiveInOrder(progress: Progress, number: number, micros: number, where: string): void {
    const expected = progress.next ?? Math.min(progress.mustFrom, number);
    if (number < expected) {
      const isLate = progress.gaps.delete(number);
      return this.#faults.add(isLate ? "reordered" : "duplicate", where);
    }
    if (number > expected) {
      const missing = number - expected;
      for (let gap = expected; gap < number; gap++) progress.gaps.add(gap);
      this.#faults.add("missing", `${where}: ${missing} before it, from ${expected}`, missing);
    }
    if (micros <= progress.lastMicros) this.#faults.add("timestamp", where);
    progress.lastMicros = micros;
    progress.next = number + 1;
  }

  /** The numbers of a lane that should have arrived and haven't, without those of known gaps. */
  #owed(lane: Lane): number[] {
    const end = !lane.isLost ? lane.sent : this.#whole.has(lane) ? lane.seen + 1 : 0;
    const progress = this.#progress.get(lane);
    const owed: number[] = [];
    for (let number = progress?.next ?? progress?.mustFrom ?? 0; number < end; number++) {
      if (progress?.had.has(number) || lane.journeys?.isExcused(number)) continue;
      // One that came in the break may have been lost on its way to the server.
      const mayBeLost = lane.journeys !== null && number < (progress?.sureFrom ?? 0);
      if (mayBeLost && !lane.arrived.has(number)) continue;
      owed.push(number);
    }
    return owed;
  }
}
