/**
 * The most that the commands take.
 *
 * @module
 */

/** More would need more addresses than a loopback network has use for. */
export const MAX_BOTS = 1_000_000;

export { MAX_WORKERS } from "../../host/capacity.ts";

/** 16 MiB: the server's own limit is 64 KiB unless it was raised. */
export const MAX_DATA_BYTES = 16 * 1024 * 1024;
