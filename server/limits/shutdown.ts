/**
 * How fast a stop closes connections, and when their clients come back.
 *
 * @module
 */

/**
 * Milliseconds within which a graceful stop ends, whatever the peers do, on top of the time over which it is
 * asked to spread the closes: 2 s to read what had arrived, {@linkcode MAX_DEFAULT_DRAIN_MS}
 * for the closes, 1 s for publishers that wait, and 2 s for the peers to close too.
 */
export const STOP_DEADLINE_MS = 9_000;

/**
 * Connections that a stop closes in a second without `--drain-seconds`: half of what one core can accept in
 * that time, since clients that know no better come back at once.
 */
export const CLOSES_PER_SECOND = 5_000;

/** The most milliseconds that this takes: 20,000 connections' worth, so that a stop ends within 10 s. */
export const MAX_DEFAULT_DRAIN_MS = 4_000;

/**
 * Connections a second that a restarted server can take while it does its work: a fifth of what one core can
 * accept, since each client will subscribe too, and may speak TLS.
 */
export const RETURNS_PER_SECOND = 2_000;

/** The least milliseconds over which clients are told to come back, however few they are. */
export const RETURN_WINDOW_MIN_MS = 1_000;

/** Milliseconds that a stopped server may take to be there again. */
export const RESTART_MS = 1_000;
