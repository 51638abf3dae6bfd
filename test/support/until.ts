/**
 * Waiting for what must happen, and for what must not.
 *
 * @module
 */

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
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Gives what must not happen the time to happen. */
export function quiet(ms = 40): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
