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
