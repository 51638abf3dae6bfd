/**
 * Attacks on a server that speaks TLS only, and wants to see a key.
 *
 * @module
 */

import { encodeAuthenticate, encodeSubscribe } from "../../../protocol/client_encoder.ts";
import { anyAddress, type Attack, type Field, pause } from "./assailant.ts";
import { several } from "./several.ts";

/** Longer than the server's patience with a handshake. */
const PATIENCE_MS = 18_000;

/** The beginning of a TLS record with a `ClientHello` of 508 bytes, by RFC 8446, 4.1.2 and 5.1. */
const CLIENT_HELLO = Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3);

const wrongKeys: Attack = {
  name: "wrong keys",
  proof: { sentBytes: 1_000, ended: 10 },
  async run(field) {
    const from = anyAddress(field.random);
    await several(field, 30, async (assailant, at) => {
      await pause(at * 50, field.signal);
      for (let i = 0; i < 10 && !assailant.isOver; i++) {
        await assailant.send(encodeAuthenticate(`guess ${field.random.next()}`));
      }
      await assailant.outlast(2_000);
    }, from);
  },
};

const strangers: Attack = {
  name: "strangers without a key",
  proof: { sentBytes: 500, ended: 10 },
  run: (field) =>
    several(field, 20, async (assailant, at) => {
      const topic = field.topics[at % field.topics.length]!;
      if (at % 2 === 0) await assailant.send(encodeSubscribe(topic));
      else await assailant.send(`PUBLISH\0{"topic":"${topic}","data":"from a stranger"}`);
      await assailant.outlast(2_000);
    }),
};

const noHandshakes: Attack = {
  name: "handshakes that don't begin, or don't end",
  proof: { connected: 20, ended: 10 },
  run: (field) =>
    several(withoutTls(field), 20, async (assailant, at) => {
      if (at % 4 === 1) await assailant.send(encodeSubscribe("in plain words"));
      if (at % 4 === 2) await assailant.send(CLIENT_HELLO);
      if (at % 4 === 3) {
        const noise = Array.from({ length: 508 }, () => field.random.below(256));
        await assailant.send(Uint8Array.from([...CLIENT_HELLO, ...noise]));
      }
      await assailant.outlast(PATIENCE_MS);
    }),
};

/** All of them. */
export const LOCK_ATTACKS: readonly Attack[] = [wrongKeys, strangers, noHandshakes];

function withoutTls(field: Field): Field {
  const { hostname, port } = field.target;
  return { ...field, target: { hostname, port } };
}
