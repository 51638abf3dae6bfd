/**
 * The highest values that the commands accept.
 *
 * @module
 */

/** More bots would need more addresses than the loopback network has. */
export const MAX_BOTS = 1_000_000;

export { MAX_WORKERS } from "../../host/capacity.ts";

/** 16 MiB: the server's own limit is 64 KiB unless it was raised. */
export const MAX_DATA_BYTES = 16 * 1024 * 1024;

export const MAX_RETRIES = 1_000_000;

/** Each process is a whole runtime of some 50 MB. */
export const MAX_PROCESSES = 256;

/** With some 28,000 ports for each address this is over seven million connections. */
export const MAX_SPREAD = 254;

/**
 * 4 MiB: the most bytes of `data` that agents take. In JSON they are six times as many at most, which fits
 * into a frame.
 */
export const MAX_AGENTS_DATA_BYTES = 4 * 1024 * 1024;

/** Each of them has a connection to its leader, and a row in the report. */
export const MAX_AGENTS = 64;
