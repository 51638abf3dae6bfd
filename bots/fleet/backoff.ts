/** Milliseconds: the upper bound of the first pause. It doubles with each failed attempt. */
const FIRST_MS = 500;

/** Milliseconds: the bound never grows past this. */
const LONGEST_MS = 10_000;

/**
 * Milliseconds to wait before connecting again if the server didn't say: a random part of a bound that
 * doubles (the "full jitter" of
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). So bots that lost their
 * connections together don't come back together.
 *
 * @param failures Failed attempts since the connection was lost.
 * @param random From 0 up to but not including 1.
 */
export function backoffMs(failures: number, random: number = Math.random()): number {
  return random * Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 16));
}
