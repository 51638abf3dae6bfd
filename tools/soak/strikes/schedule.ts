import type { Random } from "../../harness/random.ts";
import { CLUSTER_STRIKES, type Strike, STRIKES } from "../checks/strike_history.ts";
import { CLUSTER_ROUND, Deck, KILL_ROUND, Round, type StrikeOrder, WithOne } from "./order.ts";

/** The most milliseconds that a worker hangs between two kills. */
const MAX_HANG_MS = 4_000;

/** The same with `--chaos-every`. The server ends a worker that hangs for more than 10 s. */
const CHAOS_HANG_MS = { min: 1_000, max: 15_000 };

/** The parts of a soak's plan that are about strikes. */
export interface StrikePlan {
  /** Milliseconds from one kill to the next, with other strikes between; `null` for none. */
  readonly killEveryMs: number | null;
  /** Milliseconds from one strike of any kind to the next, in place of kills; `null` for none. */
  readonly chaosEveryMs: number | null;
  /** The server's processes. */
  readonly workers: number;
}

/** The times of strikes, and the length of hangs. */
export interface StrikeSchedule {
  readonly isChaos: boolean;
  readonly isCluster: boolean;
  /** The strikes that take turns. */
  readonly strikes: readonly Strike[];
  readonly everyMs: number;
  /** Milliseconds until every strike has happened once. */
  readonly periodMs: number;
  readonly hangMs: { readonly min: number; readonly max: number };
}

/**
 * The schedule of a soak; `null` without strikes.
 *
 * @param isCluster True if the server has other members beside it.
 */
export function strikeSchedule(
  { killEveryMs, chaosEveryMs, workers }: StrikePlan,
  isCluster: boolean,
): StrikeSchedule | null {
  if (chaosEveryMs !== null) {
    const strikes = STRIKES.filter((strike) => isCluster || !CLUSTER_STRIKES.includes(strike));
    const periodMs = chaosEveryMs * strikes.length;
    const hangMs = CHAOS_HANG_MS;
    return { isChaos: true, isCluster, strikes, everyMs: chaosEveryMs, periodMs, hangMs };
  }
  if (killEveryMs === null) return null;
  const strikes = roundOf(workers, isCluster);
  const everyMs = killEveryMs / strikes.length;
  const ms = Math.min(everyMs / 2, MAX_HANG_MS);
  const hangMs = { min: ms, max: ms };
  return { isChaos: false, isCluster, strikes, everyMs, periodMs: killEveryMs, hangMs };
}

function roundOf(workers: number, isCluster: boolean): readonly Strike[] {
  if (!isCluster) return KILL_ROUND;
  // The only worker of a server has to survive.
  return workers === 1 ? ["member_killed"] : CLUSTER_ROUND;
}

/** The order of a schedule's strikes in a soak of so many milliseconds. NATS is restarted halfway, once. */
export function orderOf(
  { isChaos, isCluster, strikes, everyMs }: StrikeSchedule,
  durationMs: number,
  random: Random,
): StrikeOrder {
  if (isChaos) return new Deck(strikes, random);
  const round = new Round(strikes);
  const half = Math.floor(durationMs / everyMs / 2);
  return isCluster ? new WithOne(round, "nats_restarted", half) : round;
}
