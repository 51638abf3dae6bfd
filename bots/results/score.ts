/**
 * What the bots received in a round, judged.
 *
 * @module
 */

import { Mark, type SquadRound } from "../fleet/group.ts";

/** A round's result. The counts are bots. */
export interface Score {
  /** Received the message within the limit, once, and nothing else. */
  readonly good: number;
  readonly bad: number;
  /** Neither received the message within the limit, nor a damaged copy. */
  readonly missing: number;
  /** Received the message more than once. */
  readonly duplicate: number;
  /** Received something that isn't what was published: a damaged copy, or no frame of the protocol. */
  readonly corrupt: number;
  /** Received the message, and another on the topic that these bots didn't publish. */
  readonly foreign: number;
  /** Received the message, but past the limit: they count as missing in the message's round. */
  readonly late: number;
  /** The good bots' latencies in milliseconds, from the server's timestamp; in no order. */
  readonly latencyMs: Float64Array;
  /** The good bots' latencies in milliseconds, from the publish; in no order. */
  readonly endToEndMs: Float64Array;
  /** For each bot, squad by squad, whether it is good: 1 or 0. */
  readonly isGood: Uint8Array;
  /** When the last bot had the message, or when the limit had passed. */
  readonly endedAtMs: number;
}

/** When the message was published, and how long bots had to receive it; milliseconds by `clockMs`. */
export interface RoundTimes {
  readonly publishedAtMs: number;
  readonly timeoutMs: number;
}

/** Judges a round. */
export function score(squads: readonly SquadRound[], times: RoundTimes): Score {
  const counts = { missing: 0, duplicate: 0, corrupt: 0, foreign: 0, late: 0 };
  const latencyMs: number[] = [];
  const endToEndMs: number[] = [];
  const isGood: number[] = [];
  for (const squad of squads) {
    const marksOf = new Map(squad.marks);
    for (const [index, receivedAtMs] of squad.receivedAtMs.entries()) {
      const marks = marksOf.get(index) ?? 0;
      const tookMs = receivedAtMs - times.publishedAtMs;
      const hasMessage = receivedAtMs !== 0 && tookMs >= 0;
      const isInTime = hasMessage && tookMs <= times.timeoutMs;
      const hasOther = (marks & Mark.different) !== 0 || (receivedAtMs !== 0 && !hasMessage);
      // Everyone gets everything: whoever has something else instead of the message has it damaged.
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
      latencyMs.push(receivedAtMs - squad.stampMicros! / 1000);
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
