import { getLogger } from "@logtape/logtape";
import process from "node:process";
import { TEXT } from "../log/format.ts";
import type { CommandOptions } from "./options.ts";
import type { ServiceManager } from "./service_manager.ts";

/**
 * Milliseconds after which a further signal counts as a second one: one Ctrl-C may arrive three times.
 */
const SECOND_SIGNAL_MS = 500;

/** The most milliseconds that a stop takes, on top of `--drain-seconds`. */
export const STOP_WITHIN_MS = 10_000;

/** Signals that stop the server. */
type StopSignal = "SIGINT" | "SIGTERM";

/**
 * Resolves on the first SIGINT or SIGTERM; the second one ends the process.
 *
 * @param onSecond Called before the second one ends the process.
 */
export function firstSignal(onSecond: () => void = () => {}): Promise<StopSignal> {
  return new Promise((resolve) => {
    let firstMs: number | undefined;
    const onSignal = (name: StopSignal) => {
      const nowMs = performance.now();
      if (firstMs === undefined) {
        firstMs = nowMs;
        resolve(name);
      } else if (nowMs - firstMs >= SECOND_SIGNAL_MS) {
        onSecond();
        process.exit(1);
      }
    };
    for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => onSignal(name));
  });
}

/**
 * Stops, and logs when the stop begins and when it is done.
 *
 * @param signal The signal that asked for it.
 */
export async function logStop(
  signal: StopSignal,
  what: string,
  stop: () => Promise<void>,
  { drainMs = 0, drainDelayMs }: CommandOptions,
  manager: ServiceManager,
): Promise<void> {
  manager.stopping(STOP_WITHIN_MS + drainMs + drainDelayMs);
  const logger = getLogger("hotwheels");
  const beganMs = performance.now();
  const most = (STOP_WITHIN_MS + drainMs) / 1000;
  if (drainDelayMs === 0) {
    logger.info("got {signal}: {text.what}, within {within_s} s", {
      signal,
      within_s: most,
      [TEXT]: { what },
    });
  } else {
    logger.info("got {signal}: serving on for {delay_s} s; then {text.what}, within {within_s} s", {
      signal,
      delay_s: drainDelayMs / 1000,
      within_s: most,
      [TEXT]: { what },
    });
  }
  await stop();
  const tookMs = Math.round(performance.now() - beganMs);
  logger.info("stopped after {text.seconds} s", {
    took_ms: tookMs,
    [TEXT]: { seconds: (tookMs / 1000).toFixed(1) },
  });
  await manager.end();
}

/** Waits for a stop, for so many milliseconds at most; the process then ends anyway. */
export async function within(ms: number, stopping: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<true>((resolve) => timer = setTimeout(() => resolve(true), ms));
  const isLate = await Promise.race([stopping, patience]);
  clearTimeout(timer);
  if (isLate) getLogger("hotwheels").error("the stop took too long: what still waits is dropped");
}
