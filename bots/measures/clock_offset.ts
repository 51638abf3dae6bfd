/**
 * How far the clocks of other processes are from this one's, and how exactly that is known.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { clockMs } from "./clock.ts";

/** One clock against this process's. All times are milliseconds. */
export interface ClockOffset {
  /** The other clock's time, less this one's at the same moment. */
  readonly offsetMs: number;
  /** The offset is wrong by so much at most. */
  readonly errorMs: number;
  /** The exchange that says so took so long, there and back. */
  readonly roundTripMs: number;
}

/** One clock against this process's, before a run and after it. */
export interface ClockComparison {
  readonly before: ClockOffset;
  readonly after: ClockOffset;
  /** The offset during the run: the middle of all that both measurements allow. */
  readonly offsetMs: number;
  /** The offset is wrong by so much at most. */
  readonly errorMs: number;
}

/** The number of exchanges. The best of so many is hardly ever one that something held up. */
const EXCHANGES = 20;

/** Milliseconds between two exchanges, so that one disturbance doesn't meet all of them. */
const PAUSE_MS = 5;

/**
 * Compares clocks by repeated exchanges, of which the one with the least round trip counts: the answer was
 * read at some moment of it, so half of it is the error.
 *
 * @param read Asks for what the other clocks show, in milliseconds.
 * @param now This process's clock.
 * @returns the offsets in the order of the clocks.
 */
export async function measureOffsets(
  read: () => Promise<readonly number[]>,
  now: () => number = clockMs,
): Promise<ClockOffset[]> {
  let best: ClockOffset[] = [];
  for (let exchange = 0; exchange < EXCHANGES; exchange++) {
    if (exchange > 0) await sleep(PAUSE_MS);
    const askedMs = now();
    const shownMs = await read();
    const roundTripMs = now() - askedMs;
    if (best.length > 0 && roundTripMs >= best[0]!.roundTripMs) continue;
    best = shownMs.map((ms) => ({
      offsetMs: ms - (askedMs + roundTripMs / 2),
      errorMs: roundTripMs / 2,
      roundTripMs,
    }));
  }
  return best;
}

/**
 * The offset between two measurements. Clocks drift; whatever this one did in between, if it went steadily
 * from the one to the other, is within the error.
 */
export function compared(before: ClockOffset, after: ClockOffset): ClockComparison {
  const least = Math.min(before.offsetMs - before.errorMs, after.offsetMs - after.errorMs);
  const most = Math.max(before.offsetMs + before.errorMs, after.offsetMs + after.errorMs);
  return { before, after, offsetMs: (least + most) / 2, errorMs: (most - least) / 2 };
}
