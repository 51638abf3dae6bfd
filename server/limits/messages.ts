/**
 * What waits on the way of a message: bytes to read, batches, receipts.
 *
 * @module
 */

/**
 * Bytes that may wait to be read for one connection while its socket is still read. Few, since they are
 * copies, but enough that small messages don't pause and resume the connection each time.
 */
export const READ_AHEAD_BYTES = 16 * 1024;

/**
 * Bytes that a topic may collect while its fan-out is busy, before its publishers are paused. Four full
 * batches keep the fan-out busy meanwhile.
 */
export const MAX_COLLECTED_BYTES = 1024 * 1024;

/**
 * Bytes of a batch, which is written to each subscriber at once. It is so large that a write's fixed cost
 * doesn't matter, and small against a connection's usual limit.
 */
export const MAX_BATCH_BYTES = 256 * 1024;

/**
 * The bytes of a batch if a connection's limit is small: a quarter of it, so that several batches of an
 * ordinary burst fit. A larger message is a batch by itself.
 *
 * @param maxPendingBytes {@linkcode Limits.maxPendingBytes}.
 */
export function maxBatchBytesFor(maxPendingBytes: number): number {
  return Math.min(MAX_BATCH_BYTES, maxPendingBytes / 4);
}

/**
 * Receipts that one publisher may be owed. With so many, it isn't read on until half of them are given. 256:
 * a pass, or an answer of another process, takes some milliseconds, so that more than 50,000 messages a
 * second still go by, and what a publisher is owed stays below 80 KB.
 */
export const MAX_OWED_RECEIPTS = 256;

/**
 * Receipts that a publisher is owed if it waits for them as it goes. It gets them before publishers that
 * send as fast as they can.
 */
export const FEW_OWED_RECEIPTS = 4;

/**
 * Bytes that may wait for a client that wants receipts while it is still read: some 500 receipts, beside the
 * megabytes that the kernel takes. Otherwise a thousand clients that publish faster than they read would
 * make memory tight, and every publisher would wait.
 */
export const MAX_UNTAKEN_BYTES = 64 * 1024;

/** The share of the budget that owed receipts may take before each publisher may be owed fewer. */
export const OWED_RECEIPTS_SHARE = 0.125;

/**
 * Receipts that one publisher may be owed then. 20,000 publishers with so many hold 96 MB, so receipts alone
 * never make memory tight. Otherwise workers would wait for each other's receipts.
 */
export const MAX_OWED_RECEIPTS_IN_NEED = 16;
