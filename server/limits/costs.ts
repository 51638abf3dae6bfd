/**
 * Bytes of memory that things cost, as measured. The memory budget counts by these.
 *
 * @module
 */

/**
 * Bytes that an idle connection costs on Deno with its task's flags, which is more than on Bun (see
 * docs/performance.md).
 */
export const CONNECTION_BYTES = 9_500;

/**
 * Bytes that a subscription costs: 90 on Deno, 160 on Bun (measured with 20,000 clients of 128 topics,
 * by what the process had after a collection).
 */
export const SUBSCRIPTION_BYTES = 160;

/**
 * Bytes that a topic costs with its first subscription, besides its name: 600 on Bun, 800 on Deno
 * (measured with 100,000 of them, in the same way).
 */
export const TOPIC_BYTES = 800;

/**
 * Bytes that a waiting chunk costs besides its content: two objects and a place in a queue. Four bytes
 * of `ACK` cost some 90 of memory (measured with ten million of them, on Bun).
 */
export const CHUNK_OVERHEAD_BYTES = 96;

/**
 * Bytes that an owed receipt costs: 240 in one process, 50 more for each other process that has to count too
 * (measured with 300,000 of them, on both runtimes).
 */
export const RECEIPT_OVERHEAD_BYTES = 300;

/** Bytes that a stored batch costs besides its content, on Deno: six objects and places in two lists. */
export const HISTORY_BATCH_BYTES = 400;

/** Bytes that a topic with stored messages costs besides its name and its batches. */
export const HISTORY_LOG_BYTES = 700;

/** Bytes that each resume counts as besides what it replays: a search, a position, and two more frames. */
export const RESUME_BYTES = 2_048;
