/**
 * The bounds of what a leader and its agents take from each other, and the reason for each.
 *
 * @module
 */

/** The version of the words between them. Both sides must have the same. */
export const AGENTS_VERSION = 1;

/** Connections at an agent that haven't proved the key. With one more, the oldest is closed. */
export const MAX_UNPROVEN = 16;

/** The part of these that one address may have, so that it can't turn out a leader elsewhere. */
export const MAX_UNPROVEN_OF_ADDRESS = 8;

/** Milliseconds from a connect to the proof: a few round trips, on any line. */
export const PROOF_PATIENCE_MS = 10_000;

/** Bytes of a frame before the proof: numbers of 64 digits, and a few words. */
export const MAX_GREETING_BYTES = 512;

/** Wrong proofs within a minute, wherever they come from; after that each proof is looked at late. */
export const MAX_WRONG_PROOFS = 10;

/** Milliseconds for which each proof then waits, right or wrong: so there are 16 guesses a second at most. */
export const SLOW_PROOF_MS = 1_000;

/** Milliseconds. */
export const WRONG_PROOFS_WINDOW_MS = 60_000;

/**
 * Bytes of a frame after the proof. The longest is the result of a round: up to 20 bytes for the arrival at
 * each of a million bots, and some more for each that has marks.
 */
export const MAX_FRAME_BYTES = 36 * 1024 * 1024;

/** Calls of a leader that may wait for their answers. A run has three at a time. */
export const MAX_PENDING_CALLS = 16;

/** Milliseconds between two signs of life, which both sides send. */
export const BEAT_MS = 1_000;

/** Milliseconds of silence after which the other side is given up: it's gone, or stands still. */
export const SILENCE_MS = 10_000;
