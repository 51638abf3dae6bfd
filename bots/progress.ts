/**
 * A progress bar for people.
 *
 * @module
 */

import process from "node:process";

/** Shows how far setting up has come. */
export interface Progress {
  /** The bots that are subscribed now. */
  update(subscribed: number): void;
  /** Takes the bar away; idempotent. */
  stop(): void;
}

/** Four times a second is smooth enough, and costs the bots nothing. */
const FRAMES_PER_SECOND = 4;

/** A bar on standard error where that is a terminal; else nothing at all, not even the library. */
export async function startProgress(total: number): Promise<Progress> {
  if (process.stderr.isTTY !== true) return { update() {}, stop() {} };
  const { default: cliProgress } = await import("cli-progress");
  const bar = new cliProgress.SingleBar(
    {
      format: "subscribing {bar} {value}/{total}, {duration_formatted}",
      fps: FRAMES_PER_SECOND,
      clearOnComplete: true,
      hideCursor: true,
      gracefulExit: false,
    },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total, 0);
  return { update: (subscribed) => bar.update(subscribed), stop: () => bar.stop() };
}
