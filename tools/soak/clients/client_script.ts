/**
 * The child's side of a {@linkcode ClientProcess}.
 *
 * @module
 */

import process from "node:process";

/** Reads the order that this process was started with. */
export function readOrder<Order>(): Order {
  return JSON.parse(process.argv[2]!) as Order;
}

/** Sends a note to the process that started this one. */
export function tell(note: object): void {
  process.stdout.write(JSON.stringify(note) + "\n");
}

/** Calls `finish` when this process is told to finish. The process ends at once when its parent ends. */
export function onFinish(finish: () => void): void {
  process.stdin.once("data", finish);
  process.stdin.on("end", () => process.exit(0));
}
