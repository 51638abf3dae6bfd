/** The longest first pause; it doubles with each attempt that fails. */
const FIRST_MS = 500;

/** No pause is longer. */
const LONGEST_MS = 10_000;

/**
 * How long to wait before connecting again, where the server didn't say: a random part of a bound that
 * doubles (the "full jitter" of https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/),
 * so that those who lost their connections together don't come back together.
 *
 * @param failures Attempts that have failed since the connection was lost.
 * @param random From 0 up to but not including 1.
 */
export function backoffMs(failures: number, random: number = Math.random()): number {
  return random * Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 16));
}
