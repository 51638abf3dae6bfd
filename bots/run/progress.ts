/**
 * A progress bar for people.
 *
 * @module
 */

import process from "node:process";

/** Shows how many bots are subscribed so far. */
export interface Progress {
  /** @param subscribed The number of bots that are subscribed now. */
  update(subscribed: number): void;
  /** Removes the bar. May be called more than once. */
  stop(): void;
}

/** A progress display on this process's standard error. */
export interface TerminalProgress extends Progress {
  /** Prints a line, above the bar if there is one. */
  say(line: string): void;
}

/** Four updates a second look smooth and cost the bots nothing. */
const FRAMES_PER_SECOND = 4;

/**
 * Starts a progress bar on standard error if that is a terminal. Otherwise shows nothing, and doesn't
 * load the library.
 */
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
