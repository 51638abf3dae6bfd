/**
 * Attacks by those who don't read, or not as fast as they are sent to.
 *
 * @module
 */

import { encodeSubscribe, PONG } from "../../../protocol/client_encoder.ts";
import { Assailant, type Attack, type Field, pause } from "./assailant.ts";

/** Until the kernel's buffers are full, the server's deadline has passed and it has looked. */
const STALL_MS = 15_000;

/** What the server sent before it ended the connection takes a moment to read. */
const READ_OUT_MS = 2_000;

const stalledSubscribers: Attack = {
  name: "subscribers that never read",
  proof: { connected: 5, ended: 1 },
  run: (field) =>
    subscribers(field, 5, async (assailant) => {
      await stayAlive(assailant, field, STALL_MS);
      // A client that doesn't read doesn't see that it was closed either.
      assailant.peer.resume();
      await assailant.outlast(READ_OUT_MS);
    }),
};

const slowReaders: Attack = {
  name: "subscribers that read slowly",
  proof: { greeted: 1, answers: 1 },
  run: (field) => subscribers(field, 5, (assailant) => readNowAndThen(assailant, field, 300)),
};

const justInTimeReaders: Attack = {
  name: "subscribers that read just enough to stay under the write deadline",
  proof: { greeted: 1, answers: 1 },
  run: (field) => subscribers(field, 5, (assailant) => readNowAndThen(assailant, field, 3_500)),
};

const unreadReplies: Attack = {
  name: "replies that nobody reads",
  proof: { sentBytes: 100_000, ended: 1 },
  run: (field) =>
    subscribers(field, 3, async (assailant) => {
      const many = new TextDecoder().decode(encodeSubscribe("again")).repeat(1000);
      const endMs = performance.now() + STALL_MS;
      while (performance.now() < endMs && !assailant.isOver && !field.signal.aborted) {
        await Promise.race([assailant.send(many), pause(1000, field.signal)]);
        await pause(20, field.signal);
      }
      assailant.peer.resume();
      await assailant.outlast(READ_OUT_MS);
    }),
};

/** All of them. */
export const READER_ATTACKS: readonly Attack[] = [
  stalledSubscribers,
  slowReaders,
  justInTimeReaders,
  unreadReplies,
];

/** Subscribes some to the busy topic, none of which reads. */
async function subscribers(
  field: Field,
  count: number,
  act: (assailant: Assailant) => Promise<void>,
): Promise<void> {
  await Promise.all(Array.from({ length: count }, async () => {
    const assailant = new Assailant(field);
    assailant.peer.pause();
    await assailant.entered();
    await assailant.send(encodeSubscribe(field.busyTopic));
    await act(assailant);
    assailant.abort();
    await assailant.ended;
  }));
}

/** Lets time pass, and heartbeats come in time: it's not for its silence that it shall be ended. */
async function stayAlive(assailant: Assailant, field: Field, ms: number): Promise<void> {
  for (let left = ms; left > 0 && !assailant.isOver; left -= 1_000) {
    await assailant.send(PONG);
    await pause(Math.min(left, 1_000), field.signal);
  }
}

/** Reads what a moment brings once in a while. */
async function readNowAndThen(assailant: Assailant, field: Field, everyMs: number): Promise<void> {
  const endMs = performance.now() + STALL_MS;
  while (performance.now() < endMs && !assailant.isOver && !field.signal.aborted) {
    await stayAlive(assailant, field, everyMs);
    assailant.peer.resume();
    await pause(1, field.signal);
    assailant.peer.pause();
  }
  assailant.peer.resume();
  await assailant.outlast(READ_OUT_MS);
}
