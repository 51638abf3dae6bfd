/**
 * SIGHUP, which would end the process: from the import of this module on it doesn't.
 *
 * @module
 */

import process from "node:process";

let isPending = false;
let onHangup = () => {
  isPending = true;
};

process.on("SIGHUP", () => onHangup());

/** Calls `listener` on each SIGHUP from now on, and at once if one has come before. */
export function listenForHangups(listener: () => void): void {
  onHangup = listener;
  if (isPending) listener();
  isPending = false;
}
