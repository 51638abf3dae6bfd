import { setTimeout as sleep } from "node:timers/promises";
import { EXIT_STATUS } from "../../../bots/results/outcome.ts";
import type { Ended } from "../../support/processes/command_process.ts";

/** So many runs in a row that a busy machine spoils are no accident. */
const MAX_RUNS = 20;

/** Milliseconds behind such a run, in which what spoiled it may end. */
const PAUSE_MS = 300;

/** Milliseconds for a test that repeats runs until they are valid: only one that fails takes so long. */
export const REPEATS_TIMEOUT_MS = 240_000;

/** Runs bots until their run is valid: on a machine that is busy with other tests some are not. */
export async function untilValid(run: () => Promise<Ended>): Promise<Ended> {
  for (let runs = 1;; runs++) {
    const ended = await run();
    if (ended.status !== EXIT_STATUS.invalid || runs === MAX_RUNS) return ended;
    await sleep(PAUSE_MS);
  }
}
