// Clients that publish as fast as it goes, each message for a receipt, and read the receipts; in a
// process of its own, that tells how they are when asked.
//
//   receipt_flooder.ts HOST PORT CONNECTIONS

import process from "node:process";
import { createInterface } from "node:readline";
import { JanusClient, message, publishForReceipt } from "../clients/janus_client.ts";

/** A message from the process. */
export interface FloodState {
  /** Receipts that came, and greetings. */
  readonly frames: number;
  /** Clients whose connection the server has ended. */
  readonly ended: number;
}

/** Messages in one write. */
const AT_ONCE = 1_000;

/** Clients that connect at once, so that no backlog overflows. */
const DIALS_AT_ONCE = 100;

const [hostname = "", port, connections] = process.argv.slice(2);
const target = { hostname, port: Number(port) };
const bytes = new TextEncoder().encode(publishForReceipt(message("nobody")).repeat(AT_ONCE));
const clients: JanusClient[] = [];
while (clients.length < Number(connections)) {
  const count = Math.min(DIALS_AT_ONCE, Number(connections) - clients.length);
  const dials = Array.from({ length: count }, () => JanusClient.open(target, { counts: true }));
  clients.push(...await Promise.all(dials));
}
for (const client of clients) void pump(client);
console.log("begun");

const lines = createInterface({ input: process.stdin });
lines.on("line", () => {
  const state: FloodState = {
    frames: clients.reduce((sum, { frameCount }) => sum + frameCount, 0),
    ended: clients.filter(({ ended }) => ended !== null).length,
  };
  console.log(JSON.stringify(state));
});
lines.on("close", () => process.exit(0));

async function pump(client: JanusClient): Promise<void> {
  while (client.ended === null) await client.sent(bytes);
}
