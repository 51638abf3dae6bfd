/**
 * Attacks on a server that speaks only TLS and wants a key.
 *
 * @module
 */

import { encodeAuthenticate, encodeSubscribe } from "../../../protocol/client_encoder.ts";
import { anyAddress, type Attack, type AttackContext, pause } from "./attack_connection.ts";
import { several } from "./several.ts";

/** Milliseconds: longer than the server waits for a handshake. */
const PATIENCE_MS = 18_000;

/** The beginning of a TLS record with a `ClientHello` of 508 bytes, by RFC 8446, 4.1.2 and 5.1. */
const CLIENT_HELLO = Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3);

const wrongKeys: Attack = {
  name: "wrong keys",
  proof: { sentBytes: 1_000, ended: 10 },
  async run(context) {
    const from = anyAddress(context.random);
    await several(context, 30, async (attacker, at) => {
      await pause(at * 50, context.signal);
      for (let i = 0; i < 10 && !attacker.isOver; i++) {
        await attacker.send(encodeAuthenticate(`guess ${context.random.next()}`));
      }
      await attacker.outlast(2_000);
    }, from);
  },
};

const strangers: Attack = {
  name: "strangers without a key",
  proof: { sentBytes: 500, ended: 10 },
  run: (context) =>
    several(context, 20, async (attacker, at) => {
      const topic = context.topics[at % context.topics.length]!;
      if (at % 2 === 0) await attacker.send(encodeSubscribe(topic));
      else await attacker.send(`PUBLISH\0{"topic":"${topic}","data":"from a stranger"}`);
      await attacker.outlast(2_000);
    }),
};

const noHandshakes: Attack = {
  name: "handshakes that don't begin, or don't end",
  proof: { connected: 20, ended: 10 },
  run: (context) =>
    several(withoutTls(context), 20, async (attacker, at) => {
      if (at % 4 === 1) await attacker.send(encodeSubscribe("in plain words"));
      if (at % 4 === 2) await attacker.send(CLIENT_HELLO);
      if (at % 4 === 3) {
        const noise = Array.from({ length: 508 }, () => context.random.below(256));
        await attacker.send(Uint8Array.from([...CLIENT_HELLO, ...noise]));
      }
      await attacker.outlast(PATIENCE_MS);
    }),
};

/** All attacks of this module. */
export const AUTH_ATTACKS: readonly Attack[] = [wrongKeys, strangers, noHandshakes];

function withoutTls(context: AttackContext): AttackContext {
  const { hostname, port } = context.target;
  return { ...context, target: { hostname, port } };
}
