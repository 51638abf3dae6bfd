/**
 * Attacks by the amount that a server has to read, parse, or keep of unfinished frames.
 *
 * @module
 */

import {
  anyAddress,
  type Attack,
  type AttackConnection,
  type AttackContext,
  pause,
} from "./attack_connection.ts";
import { several } from "./several.ts";

/** Milliseconds that a flood lasts. */
const FLOOD_MS = 4_000;

/** A message that asks for a receipt, which proves that the server has read it. */
const ASKING = '{"action":"publish","data":{"topic":"nobody"}}\0';

/** One message with 2,000 member names that a server must unescape before it can compare them. */
const ESCAPED = `PUBLISH\0{"topic":"nobody",${
  Array.from({ length: 2_000 }, (_, at) => `"\\u0061${at}":1`).join(",")
}}\0`;

const LARGE = `PUBLISH\0{"topic":"nobody","data":"${"x".repeat(60_000)}"}\0`;

/** Attackers that send the same bytes again and again, as fast as the server reads them. */
function flood(what: string, attackers: number, piece: string, proof: Attack["proof"]): Attack {
  const run = (context: AttackContext) =>
    several(context, attackers, async (attacker) => {
      await attacker.entered();
      const endMs = performance.now() + FLOOD_MS;
      while (performance.now() < endMs && !attacker.isOver && !context.signal.aborted) {
        // The attack must end even if the server doesn't read.
        await Promise.race([attacker.send(piece), pause(FLOOD_MS, context.signal)]);
        // If sending never waits, nothing else would ever run.
        await pause(5, context.signal);
      }
    });
  return { name: `a flood of ${what}`, proof, run };
}

/**
 * The attack on a stopping server: its answers are most of what the server has to send before it can end.
 */
export const STOP_ATTACK: Attack = flood("receipts", 30, ASKING.repeat(500), {
  sentBytes: 200_000,
  answers: 2_000,
});

/** A part of a message that stays below every limit, and a further part that exceeds it. */
const UNFINISHED = `PUBLISH\0{"topic":"nobody","data":${"[".repeat(60_000)}`;
const TOO_MUCH = "[".repeat(10_000);

const halfFrameChurn: Attack = {
  name: "half frames, again and again",
  proof: { greeted: 75, sentBytes: 100 * UNFINISHED.length, ended: 1 },
  async run(context) {
    const from = anyAddress(context.random);
    const endMs = performance.now() + 2 * FLOOD_MS;
    while (performance.now() < endMs && !context.signal.aborted) {
      await several(context, 150, async (attacker) => {
        await attacker.entered();
        await attacker.send(UNFINISHED);
        await pause(1_000, context.signal);
        // The server ends the connection for this, which proves that it has read and kept the rest.
        await attacker.send(TOO_MUCH);
        await attacker.outlast(FLOOD_MS);
      }, from);
    }
  },
};

const drippingMessages: Attack = {
  name: "unfinished messages that drip",
  proof: { sentBytes: 100 * 60_000, answers: 100 },
  async run(context) {
    // Many handshakes would delay the attack and everything that this process checks.
    const waves = context.keys === null ? 4 : 1;
    const from = anyAddress(context.random);
    const wave = async (at: number) => {
      await pause(at * 300, context.signal);
      await several(context, 100, (attacker) => dripMessage(context, attacker), from);
    };
    await Promise.all(Array.from({ length: waves }, (_, at) => wave(at)));
  },
};

/** All attacks of this module. */
export const INPUT_FLOODS: readonly Attack[] = [
  flood("large messages", 4, ASKING + LARGE.repeat(4), { sentBytes: 1_000_000, answers: 2 }),
  flood("tiny messages", 30, ASKING + 'PUBLISH\0{"topic":"a"}\0'.repeat(500), {
    sentBytes: 200_000,
    answers: 10,
  }),
  flood("escaped names", 10, ASKING + ESCAPED.repeat(4), { sentBytes: 500_000, answers: 4 }),
  STOP_ATTACK,
  halfFrameChurn,
  drippingMessages,
];

/**
 * Publishes a message, then sends most of a second one and its rest byte by byte, so that the connection
 * never seems idle.
 */
async function dripMessage(context: AttackContext, attacker: AttackConnection): Promise<void> {
  await attacker.entered();
  await attacker.send(ASKING);
  await pause(1_500, context.signal);
  await Promise.race([attacker.send(LARGE.slice(0, 60_000)), pause(FLOOD_MS, context.signal)]);
  const endMs = performance.now() + 3 * FLOOD_MS;
  while (performance.now() < endMs && !attacker.isOver && !context.signal.aborted) {
    await Promise.race([attacker.send("x"), pause(300, context.signal)]);
    await pause(300, context.signal);
  }
}
