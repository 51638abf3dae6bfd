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

/** The same on this process's standard error. */
export interface TerminalProgress extends Progress {
  /** Prints a line there, above the bar where there is one. */
  say(line: string): void;
}

/** Four times a second is smooth enough, and costs the bots nothing. */
const FRAMES_PER_SECOND = 4;

/** A bar on standard error where that is a terminal; else nothing at all, not even the library. */
export async function startProgress(total: number): Promise<TerminalProgress> {
  if (process.stderr.isTTY !== true) {
    return { update() {}, stop() {}, say: (line) => console.error(line) };
  }
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
  let reached = 0;
  bar.start(total, reached);
  return {
    update: (subscribed) => bar.update(reached = subscribed),
    stop: () => bar.stop(),
    say(line) {
      const isShown = bar.isActive;
      bar.stop();
      console.error(line);
      if (isShown) bar.start(total, reached);
    },
  };
}
