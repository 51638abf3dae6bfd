/**
 * Waiting for what must happen, and for what must not.
 *
 * @module
 */

/** Between two looks passes so many times what a look takes. */
const COST_TIMES = 5;

/** Conditions that already took long are checked so many times until they have taken as long again. */
const PAUSES = 50;

const MAX_PAUSE_MS = 200;

/**
 * Waits until `condition` holds.
 *
 * @param what Names it in the failure, such as `"the peer has ended"`.
 * @param limitMs A generous bound: only a test that fails waits so long.
 */
export async function until(
  what: string,
  condition: () => boolean,
  limitMs = 15_000,
): Promise<void> {
  const startMs = performance.now();
  for (;;) {
    const beganMs = performance.now();
    if (condition()) return;
    const nowMs = performance.now();
    const waitedMs = nowMs - startMs;
    if (waitedMs > limitMs) throw new Error(`waited ${limitMs} ms in vain until ${what}`);
    // What is waited for needs the processor too: a look that starts `ps` takes a good part of one.
    const pauseMs = Math.max(COST_TIMES * (nowMs - beganMs), waitedMs / PAUSES);
    await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, MAX_PAUSE_MS)));
  }
}

/** Gives what must not happen the time to happen. */
export function quiet(ms = 40): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
