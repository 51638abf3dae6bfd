/**
 * Attacks by how much a server has to read, to look through or to keep of what isn't complete.
 *
 * @module
 */

import { anyAddress, type Assailant, type Attack, type Field, pause } from "./assailant.ts";
import { several } from "./several.ts";

/** How long a flood lasts. */
const FLOOD_MS = 4_000;

/** A message whose publisher wants a receipt, by which it's known that the server has read it. */
const ASKING = '{"action":"publish","data":{"topic":"nobody"}}\0';

/** One message with 2,000 names of members that a server can compare only when it has unescaped them. */
const ESCAPED = `PUBLISH\0{"topic":"nobody",${
  Array.from({ length: 2_000 }, (_, at) => `"\\u0061${at}":1`).join(",")
}}\0`;

const LARGE = `PUBLISH\0{"topic":"nobody","data":"${"x".repeat(60_000)}"}\0`;

const largeFlood: Attack = {
  name: "a flood of large messages",
  proof: { sentBytes: 1_000_000, answers: 2 },
  run: (field) => flood(field, 4, ASKING + LARGE.repeat(4)),
};

const tinyFlood: Attack = {
  name: "a flood of tiny messages",
  proof: { sentBytes: 200_000, answers: 10 },
  run: (field) => flood(field, 30, ASKING + 'PUBLISH\0{"topic":"a"}\0'.repeat(500)),
};

const escapedFlood: Attack = {
  name: "a flood of escaped names",
  proof: { sentBytes: 500_000, answers: 4 },
  run: (field) => flood(field, 10, ASKING + ESCAPED.repeat(4)),
};

const receiptFlood: Attack = {
  name: "a flood of receipts",
  proof: { sentBytes: 200_000, answers: 2_000 },
  run: (field) => flood(field, 30, ASKING.repeat(500)),
};

/** As much of a message as is below every limit, and as much more as is beyond it. */
const UNFINISHED = `PUBLISH\0{"topic":"nobody","data":${"[".repeat(60_000)}`;
const TOO_MUCH = "[".repeat(10_000);

const halfFrameChurn: Attack = {
  name: "half frames, again and again",
  proof: { greeted: 75, sentBytes: 100 * UNFINISHED.length, ended: 1 },
  async run(field) {
    const from = anyAddress(field.random);
    const endMs = performance.now() + 2 * FLOOD_MS;
    while (performance.now() < endMs && !field.signal.aborted) {
      await several(field, 150, async (assailant) => {
        await assailant.entered();
        await assailant.send(UNFINISHED);
        await pause(1_000, field.signal);
        // That the server ends it for this shows that it has read and kept the rest.
        await assailant.send(TOO_MUCH);
        await assailant.outlast(FLOOD_MS);
      }, from);
    }
  },
};

const hoarders: Attack = {
  name: "unfinished messages that drip",
  proof: { sentBytes: 100 * 60_000, answers: 100 },
  async run(field) {
    // Many handshakes would delay the attack, and all that this process checks.
    const waves = field.keys === null ? 4 : 1;
    const from = anyAddress(field.random);
    const wave = async (at: number) => {
      await pause(at * 300, field.signal);
      await several(field, 100, (assailant) => hoard(field, assailant), from);
    };
    await Promise.all(Array.from({ length: waves }, (_, at) => wave(at)));
  },
};

/** All of them. */
export const INPUT_FLOODS: readonly Attack[] = [
  largeFlood,
  tinyFlood,
  escapedFlood,
  receiptFlood,
  halfFrameChurn,
  hoarders,
];

/** What a server is attacked with while it stops: its answers are much of what it has to get rid of. */
export const STOP_ATTACK: Attack = receiptFlood;

/** Sends the same again and again as fast as the server reads it; what it answers is read. */
function flood(field: Field, count: number, piece: string): Promise<void> {
  return several(field, count, async (assailant) => {
    await assailant.entered();
    const endMs = performance.now() + FLOOD_MS;
    while (performance.now() < endMs && !assailant.isOver && !field.signal.aborted) {
      // A server that doesn't read must not keep the attack from its end.
      await Promise.race([assailant.send(piece), pause(FLOOD_MS, field.signal)]);
      // Where sending never has to wait, nothing else would ever run.
      await pause(5, field.signal);
    }
  });
}

/** Publishes a message, sends most of a second one, and lets that drip, so that it never seems idle. */
async function hoard(field: Field, assailant: Assailant): Promise<void> {
  await assailant.entered();
  await assailant.send(ASKING);
  await pause(1_500, field.signal);
  await Promise.race([assailant.send(LARGE.slice(0, 60_000)), pause(FLOOD_MS, field.signal)]);
  const endMs = performance.now() + 3 * FLOOD_MS;
  while (performance.now() < endMs && !assailant.isOver && !field.signal.aborted) {
    await Promise.race([assailant.send("x"), pause(300, field.signal)]);
    await pause(300, field.signal);
  }
}
