/**
 * What one client or one address may do, and the time that it has for it.
 *
 * @module
 */

/**
 * Addresses without connections that are remembered until their tokens are back: 4 MB. An attacker with
 * more addresses isn't bound by the limits of one.
 */
export const MAX_RECENT_ADDRESSES = 16_384;

/** Refusals of one address are reported once in so many milliseconds: a flood must not fill a log. */
export const REFUSAL_REPORT_INTERVAL_MS = 1_000;

/** Seconds' worth of {@linkcode Limits.publishRate} that may come at once. */
export const PUBLISH_BURST_SECONDS = 1;

/**
 * Milliseconds for which a key waits if its address has shown too many wrong ones. A right key waits as
 * long, so that a client that guesses learns nothing by hanging up early.
 */
export const SLOW_KEY_DELAY_MS = 1_000;

/**
 * Keys a second that the server checks from such an address, on all processes together. 32: a key of 64
 * bits or more withstands that for ever, and a client that shares the address waits some seconds.
 */
export const SLOW_KEYS_PER_SECOND = 32;

/**
 * Bytes a second that clients of one address may have replayed of the history, since 60 bytes ask for
 * {@linkcode Limits.historyBytes}; a subscribe that would begin beyond that waits. 64 MiB: a tenth of what one
 * core can send.
 */
export const REPLAY_BYTES_PER_SECOND = 64 * 1024 * 1024;

/**
 * Bytes that may be replayed at once for one address: 20,000 clients behind one address come back after a
 * deploy, and each has missed 25 KB.
 */
export const REPLAY_BURST_BYTES = 512 * 1024 * 1024;

/**
 * Milliseconds for which a subscribe with `resume` waits for another process: for messages that the client
 * has had from there and this process hasn't, or until it's known whether a process has died.
 */
export const RESUME_PATIENCE_MS = 5_000;

/**
 * Milliseconds without taking a byte after which a reader counts as stalled: no publisher waits for it.
 * After as many without a sign of life another process of the server does, and no receipt waits for it.
 */
export const STALL_MS = 1_000;

/**
 * A reader that was behind has caught up when this share of what may wait for it for long is left: publishers
 * that waited for it go on then, and there is room for all of them, also where it is slow.
 */
export const CAUGHT_UP_SHARE = 1 / 8;

/**
 * Milliseconds between two sweeps, which act on deadlines; no deadline is more exact than this. With more
 * than 1,024 sessions a sweep doesn't look at all of them, but at each session once a second.
 */
export const SWEEP_INTERVAL_MS = 250;

/**
 * Milliseconds of further silence that a client has when it is looked at for the first time since the server
 * let it wait: what it sent meanwhile comes with a turn of the loop.
 */
export const BACK_GRACE_MS = 1_000;

/**
 * Milliseconds after an unterminated MESSAGE until the server closes the connection. Publishers of 2009 close
 * at once; this is for those that don't, or whose NUL is on its way.
 */
export const PUBLISHER_LINGER_MS = 1_000;

/** Milliseconds that the peer of a closed connection has to close its side too. */
export const CLOSE_LINGER_MS = 2_000;

/**
 * Milliseconds for which the server waits for the first bytes of a refused connection. They show whether the
 * client is of 2009, which must not get an error frame.
 */
export const FIRST_BYTES_MS = 1_000;

/** Milliseconds that a refused connection has for its TLS handshake. */
export const REFUSED_HANDSHAKE_MS = 5_000;

/**
 * Connections that may be in the course of being refused at once, if there are descriptors for so many: some
 * 10 MB on Deno. There is room for {@linkcode KEPT_FOR_REFUSALS} at least.
 */
export const MAX_REFUSALS = 1_024;
