/**
 * Judges what the bots received in a round.
 *
 * @module
 */

import { type GroupRound, Mark } from "../fleet/group.ts";

/** A round's result. The counts are bots. */
export interface Score {
  /** Bots that received the message within the limit, once, and nothing else. */
  readonly good: number;
  readonly bad: number;
  /** Bots that received neither the message within the limit nor a damaged copy. */
  readonly missing: number;
  /** Bots that received the message more than once. */
  readonly duplicate: number;
  /** Bots that received a damaged copy, or bytes that are no frame of the protocol. */
  readonly corrupt: number;
  /** Bots that received the message, and another on the topic that these bots didn't publish. */
  readonly foreign: number;
  /** Bots that received a message after its limit. They count as missing in that message's round. */
  readonly late: number;
  /** The good bots' latencies in milliseconds, from the server's timestamp; in no order. */
  readonly latencyMs: Float64Array;
  /** The good bots' latencies in milliseconds, from the publish; in no order. */
  readonly endToEndMs: Float64Array;
  /** 1 for each good bot and 0 for each other, group by group. */
  readonly isGood: Uint8Array;
  /** The moment at which the last bot had the message, or at which the limit had passed. */
  readonly endedAtMs: number;
}

/**
 * The moment of the publish and the time that bots have to receive the message; milliseconds by
 * `clockMs`.
 */
export interface RoundTimes {
  readonly publishedAtMs: number;
  readonly timeoutMs: number;
  /**
   * A message may seem to arrive so many milliseconds before its publish, since the clocks of other machines
   * are known so exactly only; 0 for bots of this machine.
   */
  readonly clockErrorMs: number;
}

/** Judges a round. */
export function score(groups: readonly GroupRound[], times: RoundTimes): Score {
  const counts = { missing: 0, duplicate: 0, corrupt: 0, foreign: 0, late: 0 };
  const latencyMs: number[] = [];
  const endToEndMs: number[] = [];
  const isGood: number[] = [];
  for (const group of groups) {
    const marksOf = new Map(group.marks);
    for (const [index, receivedAtMs] of group.receivedAtMs.entries()) {
      const marks = marksOf.get(index) ?? 0;
      const tookMs = receivedAtMs - times.publishedAtMs;
      const hasMessage = receivedAtMs !== 0 && tookMs >= -times.clockErrorMs;
      const isInTime = hasMessage && tookMs <= times.timeoutMs;
      const hasOther = (marks & Mark.different) !== 0 || (receivedAtMs !== 0 && !hasMessage);
      // Every bot must get every message. So a bot with another message in its place got a damaged one.
      const isCorrupt = (marks & Mark.damaged) !== 0 || (hasOther && !hasMessage);
      const isForeign = hasOther && hasMessage;
      const isDuplicate = (marks & Mark.duplicate) !== 0;
      if (isDuplicate) counts.duplicate++;
      if (isCorrupt) counts.corrupt++;
      if (isForeign) counts.foreign++;
      if (!isInTime && !isCorrupt) counts.missing++;
      if ((hasMessage && !isInTime) || (marks & Mark.late) !== 0) counts.late++;
      const good = isInTime && !isDuplicate && !isCorrupt && !isForeign;
      isGood.push(good ? 1 : 0);
      if (!good) continue;
      endToEndMs.push(tookMs);
      latencyMs.push(receivedAtMs - group.stampMicros! / 1000);
    }
  }
  const good = endToEndMs.length;
  const lastMs = good === isGood.length ? maximum(endToEndMs) : times.timeoutMs;
  return {
    ...counts,
    good,
    bad: isGood.length - good,
    latencyMs: Float64Array.from(latencyMs),
    endToEndMs: Float64Array.from(endToEndMs),
    isGood: Uint8Array.from(isGood),
    endedAtMs: times.publishedAtMs + lastMs,
  };
}

/** `Math.max(...values)` overflows the stack with 100,000 of them. */
function maximum(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}
