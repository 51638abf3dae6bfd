/**
 * Attacks by how many come, and how often.
 *
 * @module
 */

import { encodeSubscribe, encodeUnsubscribe } from "../../../protocol/client_encoder.ts";
import { anyAddress, Assailant, type Attack, type Field, pause } from "./assailant.ts";

/** As many may be connecting at once; a listener's backlog holds 512. */
const WAVE = 100;

/** How long one address may take to be turned away. */
const PATIENCE_MS = 6_000;

const connectAndReset: Attack = {
  name: "connect and reset",
  proof: { connected: 100, sentBytes: 100 },
  async run(field) {
    const from = field.random.below(2) === 0 ? anyAddress(field.random) : undefined;
    for (let wave = 0; wave < 10 && !field.signal.aborted; wave++) {
      await together(field, WAVE, async (assailant, at) => {
        // A third resets before it is connected, a third right after, a third in the midst of something.
        if (at % 3 === 0) return;
        await assailant.connected();
        if (at % 3 === 2) await assailant.send(encodeSubscribe("crowd"));
      }, from);
    }
  },
};

const connectionFlood: Attack = {
  name: "a flood of connections from one address",
  proof: { connected: 5 * WAVE, greeted: WAVE },
  async run(field) {
    const from = anyAddress(field.random);
    await together(field, 12 * WAVE, async (assailant) => {
      await assailant.connected();
      await assailant.outlast(PATIENCE_MS);
    }, from);
  },
};

const connectionChurn: Attack = {
  name: "clients that come and go",
  proof: { greeted: 150, answers: 100 },
  async run(field) {
    for (let wave = 0; wave < 10 && !field.signal.aborted; wave++) {
      await together(field, 30, async (assailant, at) => {
        await assailant.entered();
        await assailant.send(encodeSubscribe(field.topics[at % field.topics.length]!));
        await pause(field.random.below(300), field.signal);
        if (at % 2 === 0) assailant.peer.leave();
        else assailant.peer.drop();
        await Promise.race([assailant.ended, pause(PATIENCE_MS, field.signal)]);
      });
    }
  },
};

const subscriptionChurn: Attack = {
  name: "subscriptions that come and go",
  proof: { greeted: 5, answers: 10 },
  run: (field) =>
    together(field, 10, async (assailant) => {
      await assailant.entered();
      for (let i = 0; i < 200 && !assailant.isOver && !field.signal.aborted; i++) {
        const topic = field.topics[field.random.below(field.topics.length)]!;
        await assailant.send(encodeSubscribe(topic));
        if (i % 3 !== 0) await assailant.send(encodeUnsubscribe(topic));
        if (i % 10 === 9) await pause(20, field.signal);
      }
    }),
};

const topicFlood: Attack = {
  name: "a flood of topics",
  proof: { sentBytes: 500_000, answers: 2_000, ended: 5 },
  run: (field) =>
    together(field, 50, async (assailant, at) => {
      await assailant.entered();
      const prefix = `${field.random.next()}-${at}-${"x".repeat(200)}`;
      // A fifth goes beyond what one connection may subscribe to.
      const count = at % 5 === 0 ? 200 : 120;
      for (let i = 0; i < count && !assailant.isOver; i++) {
        await assailant.send(encodeSubscribe(`${prefix}-${i}`));
      }
      await assailant.outlast(PATIENCE_MS);
    }),
};

/** All of them. */
export const CROWD_ATTACKS: readonly Attack[] = [
  connectAndReset,
  connectionFlood,
  connectionChurn,
  subscriptionChurn,
  topicFlood,
];

async function together(
  field: Field,
  count: number,
  act: (assailant: Assailant, at: number) => Promise<void>,
  from?: string,
): Promise<void> {
  const wave = async (first: number, size: number) => {
    await Promise.all(Array.from({ length: size }, async (_, at) => {
      const assailant = new Assailant(field, from);
      await act(assailant, first + at);
      assailant.abort();
      await assailant.ended;
    }));
  };
  const waves: Promise<void>[] = [];
  for (let first = 0; first < count; first += WAVE) {
    waves.push(wave(first, Math.min(WAVE, count - first)));
    if (first + WAVE < count) await pause(100, field.signal);
  }
  await Promise.all(waves);
}
