/**
 * Standard error, for a process that must not wait for whoever reads it.
 *
 * @module
 */

import fs from "node:fs";

const STANDARD_ERROR = 2;

/** How long a pipe that is full and doesn't block is left alone. */
const RETRY_MS = 50;

/**
 * Writes to standard error. While nobody reads it only the promise waits; Deno's `process.stderr`
 * would hold up the whole event loop, and Bun's would keep everything in memory. One write at a time.
 *
 * @param bytes Not to be changed before the promise is settled.
 * @throws {Error} (rejects) when standard error is closed.
 */
export async function writeStandardError(bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) {
    rest = rest.subarray("Deno" in globalThis ? await Deno.stderr.write(rest) : await write(rest));
  }
}

function write(bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(STANDARD_ERROR, bytes, (error, written) => {
      if (error === null) resolve(written);
      else if (error.code === "EAGAIN") setTimeout(resolve, RETRY_MS, 0);
      else reject(error);
    });
  });
}
