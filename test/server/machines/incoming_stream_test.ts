import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { Origin } from "../../../server/history/origins.ts";
import { IncomingStream, type RemoteBatch } from "../../../server/machines/incoming_stream.ts";

/** A batch of messages with these timestamps, behind the one with `previous`. */
function batch(previous: number, ...micros: number[]): RemoteBatch {
  const message = new Uint8Array(0);
  const messages = micros.map((one) => {
    return { topic: "t", micros: one, message, wantsReceipt: false };
  });
  return { previous, messages, byteLength: 1 };
}

let nowMs = 0;
let answers = 0;

function streamTo(delivered: number[], asked: number[]): IncomingStream {
  return new IncomingStream(new Origin("0123456789abcdef", 10), "fedcba9876543210", {
    mayDeliver: () => true,
    patienceMs: () => nowMs,
    deliver: (_, { micros }) => delivered.push(micros),
    ask: (_, gaps) => {
      asked.push(...gaps.flatMap(({ after, to }) => [after, to]));
      return 100;
    },
    onAnswered: () => answers++,
    onGap() {},
    onHole: (_, after, to) => delivered.push(-after, -to),
    onForged: () => delivered.push(NaN),
    holdBytes: () => true,
    onEnded() {},
  });
}

describe("the messages of another machine's process", () => {
  it("come once each, whoever cut their batches, and where", () => {
    const [delivered, asked]: [number[], number[]] = [[], []];
    const stream = streamTo(delivered, asked);
    stream.take(batch(10, 11, 12), 0);
    // The same again, then cut elsewhere, as by the worker that holds the way from now on.
    stream.take(batch(10, 11, 12), 0);
    stream.take(batch(11, 12, 13), 0);
    stream.take(batch(5, 6, 14), 0);
    assertEquals(delivered, [11, 12, 13, 14]);
    // Behind a gap, with overlaps there too.
    stream.take(batch(15, 16, 17), 0);
    stream.take(batch(16, 17, 18), 0);
    assertEquals([delivered.length, asked], [4, [14, 15]]);
    stream.take(batch(14, 15, 16), 0);
    assertEquals(delivered, [11, 12, 13, 14, 15, 16, 17, 18]);
  });

  it("are asked for gap by gap, those that came are not", () => {
    const [delivered, asked]: [number[], number[]] = [[], []];
    const stream = streamTo(delivered, asked);
    stream.take(batch(20, 21, 22), 0);
    stream.take(batch(22, 23), 0);
    stream.take(batch(30, 31), 0);
    stream.state(40, 200);
    assertEquals(asked, [10, 20, 10, 20, 23, 30]);
  });

  it("are asked for again behind what has come, but not while an answer is on its way", () => {
    const asked: number[] = [];
    const stream = streamTo([], asked);
    const askedAt: number[] = [];
    const passTo = (endMs: number) => {
      for (; nowMs < endMs; nowMs += 50) {
        const before = asked.length;
        stream.state(1_000, nowMs);
        if (asked.length > before) askedAt.push(nowMs);
      }
    };
    nowMs = 0;
    passTo(700);
    // What was asked for first takes 700 ms, and goes on with pauses.
    for (let micros = 10; micros < 15; micros++) {
      stream.take(batch(micros, micros + 1), nowMs);
      passTo(nowMs + 600);
    }
    assertEquals(askedAt, [0, 200, 600]);
    passTo(9_000);
    assertEquals(askedAt.length > 4, true);

    // The whole answer is there.
    nowMs += 1_000;
    const full = asked.length;
    stream.take({ ...batch(15, 16), byteLength: 100 }, nowMs);
    assertEquals(asked.slice(full), [16, Infinity]);
  });

  it("are asked for sooner where there is room since another process's have come", () => {
    const asked: number[] = [];
    const stream = streamTo([], asked);
    answers = 0;
    for (const ms of [0, 250, 750]) stream.state(1_000, ms);
    assertEquals(asked.length, 2 * 3);
    stream.hurry(900);
    assertEquals(asked.length, 2 * 3);
    stream.hurry(1_000);
    assertEquals(asked.length, 2 * 4);
    // It has come, and makes room for others.
    stream.take({ ...batch(10, 11), byteLength: 60 }, 2_000);
    assertEquals(answers, 0);
    stream.take({ ...batch(11, 12), byteLength: 60 }, 2_000);
    assertEquals(answers, 1);
    stream.take({ ...batch(12, 1_000), byteLength: 10 }, 2_000);
    assertEquals(answers, 2);
  });

  it("don't follow a batch that their machine says it hasn't sent", () => {
    const [delivered, asked]: [number[], number[]] = [[], []];
    const stream = streamTo(delivered, asked);
    nowMs = 0;
    stream.take(batch(1_000, 1_001), 0);
    stream.state(10, 250);
    stream.sweep(nowMs = 6_000);
    stream.take(batch(10, 11), 6_250);
    assertEquals(delivered, [NaN, 11]);
  });
});
