/**
 * Attacks by the number of connections, subscriptions and topics.
 *
 * @module
 */

import { encodeSubscribe, encodeUnsubscribe } from "../../../protocol/client_encoder.ts";
import {
  anyAddress,
  type Attack,
  AttackConnection,
  type AttackContext,
  pause,
} from "./attack_connection.ts";

/** The number of connections that connect at once; a listener's backlog holds 512. */
const WAVE = 100;

/** Milliseconds for the server to refuse the connections of one address. */
const PATIENCE_MS = 6_000;

const connectAndReset: Attack = {
  name: "connect and reset",
  proof: { connected: 100, sentBytes: 100 },
  async run(context) {
    const from = context.random.below(2) === 0 ? anyAddress(context.random) : undefined;
    for (let wave = 0; wave < 10 && !context.signal.aborted; wave++) {
      await together(context, WAVE, async (attacker, at) => {
        // A third resets before it is connected, a third right after, and a third in the middle of a
        // request.
        if (at % 3 === 0) return;
        await attacker.connected();
        if (at % 3 === 2) await attacker.send(encodeSubscribe("crowd"));
      }, from);
    }
  },
};

const connectionFlood: Attack = {
  name: "a flood of connections from one address",
  proof: { connected: 5 * WAVE, greeted: WAVE },
  async run(context) {
    const from = anyAddress(context.random);
    await together(context, 12 * WAVE, async (attacker) => {
      await attacker.connected();
      await attacker.outlast(PATIENCE_MS);
    }, from);
  },
};

const connectionChurn: Attack = {
  name: "clients that come and go",
  proof: { greeted: 150, answers: 100 },
  async run(context) {
    for (let wave = 0; wave < 10 && !context.signal.aborted; wave++) {
      await together(context, 30, async (attacker, at) => {
        await attacker.entered();
        await attacker.send(encodeSubscribe(context.topics[at % context.topics.length]!));
        await pause(context.random.below(300), context.signal);
        if (at % 2 === 0) attacker.peer.leave();
        else attacker.peer.drop();
        await Promise.race([attacker.ended, pause(PATIENCE_MS, context.signal)]);
      });
    }
  },
};

const subscriptionChurn: Attack = {
  name: "subscriptions that come and go",
  proof: { greeted: 5, answers: 10 },
  run: (context) =>
    together(context, 10, async (attacker) => {
      await attacker.entered();
      for (let i = 0; i < 200 && !attacker.isOver && !context.signal.aborted; i++) {
        const topic = context.topics[context.random.below(context.topics.length)]!;
        await attacker.send(encodeSubscribe(topic));
        if (i % 3 !== 0) await attacker.send(encodeUnsubscribe(topic));
        if (i % 10 === 9) await pause(20, context.signal);
      }
    }),
};

const topicFlood: Attack = {
  name: "a flood of topics",
  proof: { sentBytes: 500_000, answers: 2_000, ended: 5 },
  run: (context) =>
    together(context, 50, async (attacker, at) => {
      await attacker.entered();
      const prefix = `${context.random.next()}-${at}-${"x".repeat(200)}`;
      // A fifth exceeds the topics that one connection may subscribe to.
      const count = at % 5 === 0 ? 200 : 120;
      for (let i = 0; i < count && !attacker.isOver; i++) {
        await attacker.send(encodeSubscribe(`${prefix}-${i}`));
      }
      await attacker.outlast(PATIENCE_MS);
    }),
};

/** All attacks of this module. */
export const CONNECTION_FLOODS: readonly Attack[] = [
  connectAndReset,
  connectionFlood,
  connectionChurn,
  subscriptionChurn,
  topicFlood,
];

async function together(
  context: AttackContext,
  count: number,
  act: (attacker: AttackConnection, at: number) => Promise<void>,
  from?: string,
): Promise<void> {
  const wave = async (first: number, size: number) => {
    await Promise.all(Array.from({ length: size }, async (_, at) => {
      const attacker = new AttackConnection(context, from);
      await act(attacker, first + at);
      attacker.abort();
      await attacker.ended;
    }));
  };
  const waves: Promise<void>[] = [];
  for (let first = 0; first < count; first += WAVE) {
    waves.push(wave(first, Math.min(WAVE, count - first)));
    if (first + WAVE < count) await pause(100, context.signal);
  }
  await Promise.all(waves);
}
