/**
 * How long, and with how much, the processes of a server wait for each other.
 *
 * @module
 */

import type { Limits } from "../limits.ts";

/**
 * Milliseconds for which a link to another process may be down before one of the two is ended. 10 s: it is
 * dialled again every second at least, and a process that hangs is ended after 10 s too.
 */
export const LINK_DEADLINE_MS = 10_000;

/**
 * The share of {@linkcode Limits.maxTotalPendingBytes} that may wait, on top of it, for another process that
 * gives no sign of life, before that is ended. By default 32 MiB with two workers: some ten
 * seconds of 3 MB/s, after which it would be ended for its silence.
 */
const OWED_SHARE = 0.25;

/** The least that may wait for it, in bytes: a short burst must not end a process. */
const MIN_OWED_BYTES = 4 * 1024 * 1024;

/** Bytes that may wait for another process that gives no sign of life. */
export function maxOwedFor({ maxTotalPendingBytes }: Limits): number {
  return Math.max(maxTotalPendingBytes * OWED_SHARE, MIN_OWED_BYTES);
}

/**
 * Milliseconds that a worker has to count what became of another worker's message. Then the receipt goes out
 * without its counts. This deadline is for a worker that is alive and has slow readers; one that gives no
 * sign of life is left out after {@linkcode STALL_MS}.
 */
export const RECEIPT_DEADLINE_MS = 10_000;

/** Milliseconds for which a worker waits for the supervisor's answer, and the supervisor for a worker's. */
export const ANSWER_DEADLINE_MS = 1_000;
