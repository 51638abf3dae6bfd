/**
 * The other end of a {@linkcode ClientProcess}.
 *
 * @module
 */

import process from "node:process";

/** What this process was started for. */
export function readOrder<Order>(): Order {
  return JSON.parse(process.argv[2]!) as Order;
}

/** Tells it to the process that started this one. */
export function tell(note: object): void {
  process.stdout.write(JSON.stringify(note) + "\n");
}

/** Calls back when this process shall come to an end; it ends at once with the one that started it. */
export function onConclusion(conclude: () => void): void {
  process.stdin.once("data", conclude);
  process.stdin.on("end", () => process.exit(0));
}
