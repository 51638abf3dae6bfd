/**
 * Attacks by subscribers that don't read, or that read too slowly.
 *
 * @module
 */

import { encodeSubscribe, PONG } from "../../../protocol/client_encoder.ts";
import { type Attack, AttackConnection, type AttackContext, pause } from "./attack_connection.ts";

/**
 * Milliseconds until the kernel's buffers are full, the server's deadline has passed, and the server has
 * checked it.
 */
const STALL_MS = 15_000;

/** Milliseconds to read what the server sent before it ended the connection. */
const READ_OUT_MS = 2_000;

const stalledSubscribers: Attack = {
  name: "subscribers that never read",
  proof: { connected: 5, ended: 1 },
  run: (context) =>
    subscribers(context, 5, async (attacker) => {
      await stayAlive(attacker, context, STALL_MS);
      // A client that doesn't read can't notice that it was closed.
      attacker.peer.resume();
      await attacker.outlast(READ_OUT_MS);
    }),
};

const slowReaders: Attack = {
  name: "subscribers that read slowly",
  proof: { greeted: 1, answers: 1 },
  run: (context) => subscribers(context, 5, (attacker) => readNowAndThen(attacker, context, 300)),
};

const justInTimeReaders: Attack = {
  name: "subscribers that read just enough to stay under the write deadline",
  proof: { greeted: 1, answers: 1 },
  run: (context) => subscribers(context, 5, (attacker) => readNowAndThen(attacker, context, 3_500)),
};

const unreadReplies: Attack = {
  name: "replies that nobody reads",
  proof: { sentBytes: 100_000, ended: 1 },
  run: (context) =>
    subscribers(context, 3, async (attacker) => {
      const many = new TextDecoder().decode(encodeSubscribe("again")).repeat(1000);
      const endMs = performance.now() + STALL_MS;
      while (performance.now() < endMs && !attacker.isOver && !context.signal.aborted) {
        await Promise.race([attacker.send(many), pause(1000, context.signal)]);
        await pause(20, context.signal);
      }
      attacker.peer.resume();
      await attacker.outlast(READ_OUT_MS);
    }),
};

/** All attacks of this module. */
export const READER_ATTACKS: readonly Attack[] = [
  stalledSubscribers,
  slowReaders,
  justInTimeReaders,
  unreadReplies,
];

/** Subscribes `count` connections to the busy topic and stops reading them. */
async function subscribers(
  context: AttackContext,
  count: number,
  act: (attacker: AttackConnection) => Promise<void>,
): Promise<void> {
  await Promise.all(Array.from({ length: count }, async () => {
    const attacker = new AttackConnection(context);
    attacker.peer.pause();
    await attacker.entered();
    await attacker.send(encodeSubscribe(context.busyTopic));
    await act(attacker);
    attacker.abort();
    await attacker.ended;
  }));
}

/** Waits, and sends heartbeats in time, so that the server doesn't end the connection for its silence. */
async function stayAlive(
  attacker: AttackConnection,
  context: AttackContext,
  ms: number,
): Promise<void> {
  for (let left = ms; left > 0 && !attacker.isOver; left -= 1_000) {
    await attacker.send(PONG);
    await pause(Math.min(left, 1_000), context.signal);
  }
}

/** Reads for a moment every `everyMs` milliseconds. */
async function readNowAndThen(
  attacker: AttackConnection,
  context: AttackContext,
  everyMs: number,
): Promise<void> {
  const endMs = performance.now() + STALL_MS;
  while (performance.now() < endMs && !attacker.isOver && !context.signal.aborted) {
    await stayAlive(attacker, context, everyMs);
    attacker.peer.resume();
    await pause(1, context.signal);
    attacker.peer.pause();
  }
  attacker.peer.resume();
  await attacker.outlast(READ_OUT_MS);
}
