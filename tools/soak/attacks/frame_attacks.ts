/**
 * Attacks by the content of frames, or by sending none.
 *
 * @module
 */

import type { Random } from "../../harness/random.ts";
import { type Attack, pause } from "./attack_connection.ts";
import { several } from "./several.ts";

/** Milliseconds: longer than the server waits for a frame, which is at most twice 12 s. */
const PATIENCE_MS = 26_000;

/** Milliseconds for a receipt to come, which waits for a worker that hangs. */
const RECEIPT_PATIENCE_MS = 10_000;

const KIB = 1024;

const silence: Attack = {
  name: "connections that never speak",
  proof: { connected: 20, ended: 10 },
  run: (context) => several(context, 20, (attacker) => attacker.outlast(PATIENCE_MS)),
};

const halfFrames: Attack = {
  name: "half frames for ever",
  proof: { sentBytes: 200, ended: 10 },
  run: (context) =>
    several(context, 20, async (attacker, at) => {
      const frame = [
        '{"action":"subscribe","da',
        "PUBLISH",
        'PUBLISH\0{"topic":"half","data":"',
        "<regular-sock",
        "PING\0PON",
      ][at % 5]!;
      await attacker.send(frame);
      await attacker.outlast(PATIENCE_MS);
    }),
};

const aByteASecond: Attack = {
  name: "a byte a second",
  proof: { sentBytes: 50, ended: 1 },
  run: (context) =>
    several(context, 10, async (attacker, at) => {
      // Either a first frame that doesn't end, or a message that doesn't end after the first frame.
      const frame = `${at % 2 === 0 ? " " : "PUBLISH\0"}{"topic":"slow","data":"${"x".repeat(KIB)}`;
      for (let sent = 0; sent < 15 && !attacker.isOver; sent++) {
        await attacker.send(frame[sent]!);
        await pause(1000, context.signal);
        if (context.signal.aborted) return;
      }
    }),
};

const endlessFrames: Attack = {
  name: "frames without an end",
  proof: { sentBytes: 5 * 64 * KIB, ended: 5 },
  run: (context) =>
    several(context, 5, async (attacker, at) => {
      await attacker.send(at % 2 === 0 ? "" : 'PUBLISH\0{"topic":"endless","data":"');
      const piece = "x".repeat(16 * KIB);
      for (let sent = 0; sent < 100 && !attacker.isOver && !context.signal.aborted; sent++) {
        await attacker.send(piece);
      }
      await attacker.outlast(PATIENCE_MS);
    }),
};

const garbage: Attack = {
  name: "frames of garbage",
  proof: { sentBytes: 3_000, ended: 30 },
  run: (context) =>
    several(context, 60, async (attacker, at) => {
      const bytes = at % 2 === 0
        ? randomBytes(context.random, 1 + context.random.below(400))
        : Uint8Array.from([context.random.below(256), 0]);
      await attacker.send(bytes);
      await attacker.send("\0");
      await attacker.outlast(2_000);
    }),
};

const deepJson: Attack = {
  name: "deep and huge JSON",
  proof: { sentBytes: 512 * KIB, answers: 2 },
  run: (context) =>
    several(context, 9, async (attacker, at) => {
      await attacker.entered();
      const topic = '"topic":"deep"';
      const deep = [
        `{${topic},"data":${"[".repeat(30_000)}${"]".repeat(30_000)}}`,
        `{${topic},"data":${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}}`,
        `{${topic},"data":"${"x".repeat(63 * KIB)}"}`,
      ][at % 3]!;
      for (let i = 0; i < 10 && !attacker.isOver; i++) {
        await attacker.send(`PUBLISH\0${deep}\0`);
      }
      // The receipt proves that the server has read everything before it.
      await attacker.send(`{"action":"publish","data":{${topic}}}\0`);
      // One more message breaks off in the middle.
      await attacker.send(`PUBLISH\0${deep.slice(0, deep.length >> 1)}`);
      await Promise.all([pause(2_000, context.signal), attacker.answered(RECEIPT_PATIENCE_MS)]);
    }),
};

const publishFlood: Attack = {
  name: "publishes as fast as they go",
  proof: { sentBytes: 512 * KIB, answers: 2 },
  run: (context) =>
    several(context, 3, async (attacker, at) => {
      await attacker.entered();
      const one = `PUBLISH\0{"topic":"flood-${at}","data":"${"x".repeat(100)}"}\0`;
      const asking = `{"action":"publish","data":{"topic":"flood-${at}"}}\0`;
      const many = one.repeat(200) + asking;
      const endMs = performance.now() + 3_000;
      while (performance.now() < endMs && !attacker.isOver && !context.signal.aborted) {
        await attacker.send(many);
        // If sending never waits, nothing else would ever run.
        await pause(5, context.signal);
      }
    }),
};

/** All attacks of this module. */
export const FRAME_ATTACKS: readonly Attack[] = [
  silence,
  halfFrames,
  aByteASecond,
  endlessFrames,
  garbage,
  deepJson,
  publishFlood,
];

function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256));
}
