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

function streamTo(delivered: number[], asked: number[]): IncomingStream {
  return new IncomingStream(new Origin("0123456789abcdef", 10), "fedcba9876543210", {
    mayDeliver: () => true,
    isConnected: () => true,
    deliver: (_, { micros }) => delivered.push(micros),
    ask: (_, after) => asked.push(after),
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
    assertEquals([delivered.length, asked], [4, [14]]);
    stream.take(batch(14, 15, 16), 0);
    assertEquals(delivered, [11, 12, 13, 14, 15, 16, 17, 18]);
  });

  it("don't follow a batch that their machine says it hasn't sent", () => {
    const [delivered, asked]: [number[], number[]] = [[], []];
    const stream = streamTo(delivered, asked);
    stream.take(batch(1_000, 1_001), 0);
    stream.state(10, 250);
    stream.sweep(6_000);
    stream.take(batch(10, 11), 6_250);
    assertEquals(delivered, [NaN, 11]);
  });
});
