/**
 * The shares of the two memory limits at which the server acts, one after the other.
 *
 * @module
 */

/** The share of {@linkcode Limits.maxTotalPendingBytes} at which the server begins to defend it. */
export const TIGHT_BUDGET_SHARE = 0.75;

/** The share below which publishers are read again. The gap keeps the server from flapping. */
export const RELAXED_BUDGET_SHARE = 0.625;

/** The share of it that partial frames may hold before those that take long are given up. */
export const UNFINISHED_TIGHT_SHARE = 0.1875;

/**
 * The share that partial frames may hold at all, however fast they come. Pooled buffers for further frames
 * count within it.
 */
export const UNFINISHED_CRITICAL_SHARE = 0.5;

/**
 * Bytes of a partial frame that is too small to matter: with 20,000 connections that is 80 MB, as much as
 * the connections themselves.
 */
export const SMALL_FRAME_BYTES = 4 * 1024;

/** Milliseconds that a large frame has to be completed once all partial frames hold too much. */
export const CRITICAL_FRAME_MS = 100;

/**
 * Milliseconds after which half of the pooled buffers that weren't needed are freed. So they are still there
 * for an attack that comes again after some seconds, and are gone in a minute.
 */
export const BUFFER_TRIM_INTERVAL_MS = 1_000;

/** The share that bytes waiting to be read may hold before clients that hold nothing aren't read. */
export const DEFERRED_SHARE = 0.3125;

/**
 * The share to which each of the two must fall before everything is read again. It is more than large frames
 * hold that get the time they need.
 */
export const RELAXED_INPUT_SHARE = 0.25;

/**
 * The share of {@linkcode Limits.maxTotalPendingBytes} that subscriptions and topics may hold before clients
 * of the address that holds most are closed: 800,000 subscriptions by default, as 20,000 clients with 40
 * topics each have. The other half is always left for messages.
 */
export const STANDING_SHARE = 0.5;

/** The part of that share to which they are brought down. */
export const RELAXED_STANDING_SHARE = 0.875;

/** The least that they may hold, in bytes: a small limit isn't meant to bound them. */
export const MIN_STANDING_BYTES = 4 * 1024 * 1024;

/** The steps that the server takes as its process nears {@linkcode Limits.maxMemoryBytes}, in this order. */
export type CeilingStep =
  | "gives_back"
  | "holds_bulk"
  | "holds_publishers"
  | "evicts"
  | "refuses";

/**
 * The shares of {@linkcode Limits.maxMemoryBytes} from which each step is taken, and until which. The steps
 * are so far apart that there is room for what arrives between two looks: with 400 MB a step is 20 MB. The
 * gap between from and until keeps a step from flapping.
 */
export const CEILING_STEPS: Readonly<
  Record<CeilingStep, { readonly from: number; readonly until: number }>
> = {
  gives_back: { from: 0.7, until: 0.65 },
  holds_bulk: { from: 0.75, until: 0.7 },
  holds_publishers: { from: 0.85, until: 0.8 },
  evicts: { from: 0.9, until: 0.82 },
  refuses: { from: 0.95, until: 0.87 },
};

/** The share that a collection must free so that another one is worth it soon. */
export const FUTILE_SHARE = 1 / 64;

/** If clients hold less than this share, they aren't the reason why memory is short. */
export const HELD_FOR_NOTHING_SHARE = 1 / 8;

/** Milliseconds for which publishers of small messages wait at a time; then they go on for as long. */
export const MAX_PUBLISHERS_HOLD_MS = 200;

/** The most milliseconds for which clients wait for memory that doesn't become free. */
export const MAX_HOLD_MS = 2_000;
