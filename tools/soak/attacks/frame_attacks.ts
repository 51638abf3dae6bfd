/**
 * Attacks by what is sent, or isn't.
 *
 * @module
 */

import type { Random } from "../../harness/random.ts";
import { type Attack, pause } from "./assailant.ts";
import { several } from "./several.ts";

/** Longer than the server's patience with a frame, which is twice twelve seconds at most. */
const PATIENCE_MS = 26_000;

const KIB = 1024;

const silence: Attack = {
  name: "connections that never speak",
  proof: { connected: 20, ended: 10 },
  run: (field) => several(field, 20, (assailant) => assailant.outlast(PATIENCE_MS)),
};

const halfFrames: Attack = {
  name: "half frames for ever",
  proof: { sentBytes: 200, ended: 10 },
  run: (field) =>
    several(field, 20, async (assailant, at) => {
      const frame = [
        '{"action":"subscribe","da',
        "PUBLISH",
        'PUBLISH\0{"topic":"half","data":"',
        "<regular-sock",
        "PING\0PON",
      ][at % 5]!;
      await assailant.send(frame);
      await assailant.outlast(PATIENCE_MS);
    }),
};

const aByteASecond: Attack = {
  name: "a byte a second",
  proof: { sentBytes: 50, ended: 1 },
  run: (field) =>
    several(field, 10, async (assailant, at) => {
      // A first frame that doesn't end, or the message behind it.
      const frame = `${at % 2 === 0 ? " " : "PUBLISH\0"}{"topic":"slow","data":"${"x".repeat(KIB)}`;
      for (let sent = 0; sent < 15 && !assailant.isOver; sent++) {
        await assailant.send(frame[sent]!);
        await pause(1000, field.signal);
        if (field.signal.aborted) return;
      }
    }),
};

const endlessFrames: Attack = {
  name: "frames without an end",
  proof: { sentBytes: 5 * 64 * KIB, ended: 5 },
  run: (field) =>
    several(field, 5, async (assailant, at) => {
      await assailant.send(at % 2 === 0 ? "" : 'PUBLISH\0{"topic":"endless","data":"');
      const piece = "x".repeat(16 * KIB);
      for (let sent = 0; sent < 100 && !assailant.isOver && !field.signal.aborted; sent++) {
        await assailant.send(piece);
      }
      await assailant.outlast(PATIENCE_MS);
    }),
};

const garbage: Attack = {
  name: "frames of garbage",
  proof: { sentBytes: 3_000, ended: 30 },
  run: (field) =>
    several(field, 60, async (assailant, at) => {
      const bytes = at % 2 === 0
        ? randomBytes(field.random, 1 + field.random.below(400))
        : Uint8Array.from([field.random.below(256), 0]);
      await assailant.send(bytes);
      await assailant.send("\0");
      await assailant.outlast(2_000);
    }),
};

const deepJson: Attack = {
  name: "deep and huge JSON",
  proof: { sentBytes: 512 * KIB, answers: 2 },
  run: (field) =>
    several(field, 9, async (assailant, at) => {
      await assailant.entered();
      const topic = '"topic":"deep"';
      const deep = [
        `{${topic},"data":${"[".repeat(30_000)}${"]".repeat(30_000)}}`,
        `{${topic},"data":${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}}`,
        `{${topic},"data":"${"x".repeat(63 * KIB)}"}`,
      ][at % 3]!;
      for (let i = 0; i < 10 && !assailant.isOver; i++) {
        await assailant.send(`PUBLISH\0${deep}\0`);
      }
      // The receipt shows that the server has read what is before it.
      await assailant.send(`{"action":"publish","data":{${topic}}}\0`);
      // One more breaks off in the middle.
      await assailant.send(`PUBLISH\0${deep.slice(0, deep.length >> 1)}`);
      await pause(2_000, field.signal);
    }),
};

const publishFlood: Attack = {
  name: "publishes as fast as they go",
  proof: { sentBytes: 512 * KIB, answers: 2 },
  run: (field) =>
    several(field, 3, async (assailant, at) => {
      await assailant.entered();
      const one = `PUBLISH\0{"topic":"flood-${at}","data":"${"x".repeat(100)}"}\0`;
      const asking = `{"action":"publish","data":{"topic":"flood-${at}"}}\0`;
      const many = one.repeat(200) + asking;
      const endMs = performance.now() + 3_000;
      while (performance.now() < endMs && !assailant.isOver && !field.signal.aborted) {
        await assailant.send(many);
        // Where sending never has to wait, nothing else would ever run.
        await pause(5, field.signal);
      }
    }),
};

/** All of them. */
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
