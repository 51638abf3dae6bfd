import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { LinkEncoder } from "../../../../server/cluster/link_frames.ts";
import {
  BATCH_HEADER_BYTES,
  decodeFrame,
  encodeFrame,
  sealBatch,
} from "../../../../server/machines/wire/frame_codec.ts";
import {
  BATCH,
  FrameFault,
  HOLE,
  type MachineState,
  RECEIPTS,
  REFILL,
  STATE,
  VersionFault,
} from "../../../../server/machines/wire/frames.ts";
import { REFILL_BYTES } from "../../../../server/machines/wire/limits.ts";
import { MessageReader } from "../../../../server/machines/wire/messages.ts";

const MACHINE = "0123456789abcdef";
const ORIGIN = "fedcba9876543210";
const utf8 = new TextEncoder();
const LIMITS = { maxFrameBytes: 1_000, maxTopicBytes: 256 };

const STATE_OF_ONE: MachineState = {
  address: "10.0.0.1:8081",
  release: "1.2.3",
  versions: [1, 1],
  workers: 2,
  limits: LIMITS,
  micros: 1e15,
  asks: false,
  isReady: true,
  origins: [{ name: ORIGIN, base: 5, last: 7, end: "crashed", endMicros: 9 }],
};

/** A batch of messages: topic, timestamp and text each. */
function batchOf(...messages: [topic: string, micros: number, text: string][]): Uint8Array {
  const encoder = new LinkEncoder(BATCH_HEADER_BYTES);
  for (const [topic, micros, text] of messages) {
    encoder.append(topic, micros, utf8.encode(text), false);
  }
  const frame = encoder.take();
  sealBatch(frame, MACHINE, { origin: ORIGIN, base: 1, previous: 10 });
  return frame;
}

function read(frame: Uint8Array): [string, number, string][] {
  const decoded = decodeFrame(frame);
  assert(decoded.kind === BATCH);
  return new MessageReader(LIMITS).read(decoded.messages, decoded.previous, { maxMicros: 1e15 })
    .map(({ topic, micros, message }) => [topic, micros, new TextDecoder().decode(message)]);
}

const WANTED = { origin: ORIGIN, gaps: [{ after: 3, to: 4 }], maxBytes: 5 };
const ALL_WANTED = { ...WANTED, gaps: [{ after: 3, to: Infinity }] };

describe("a frame between machines", () => {
  it("is decoded as it was encoded", () => {
    const messages: [string, number, string][] = [
      ["t", 11, '{"topic":"t"}'],
      ["ü", 12, '{"data":"x","topic":"\\u00fc"}'],
    ];
    assertEquals(read(batchOf(...messages)), messages);
    const frames = [
      { machine: MACHINE, kind: STATE, state: STATE_OF_ONE },
      { machine: MACHINE, kind: REFILL, wanted: WANTED },
      { machine: MACHINE, kind: REFILL, wanted: ALL_WANTED },
      { machine: MACHINE, kind: HOLE, hole: { origin: ORIGIN, after: 3, to: 4 } },
      {
        machine: MACHINE,
        kind: RECEIPTS,
        receipts: [{ origin: ORIGIN, micros: 4, matched: 3, written: 2, queued: 1, evicted: 0 }],
      },
    ] as const;
    for (const frame of frames) assertEquals<unknown>(decodeFrame(encodeFrame(frame)), frame);
  });

  it("that asks for messages is understood across builds, of which older ones know no gaps", () => {
    const headerBytes = 20;
    const frame = encodeFrame({ machine: MACHINE, kind: REFILL, wanted: WANTED });
    const content = JSON.parse(new TextDecoder().decode(frame.subarray(headerBytes)));
    assertEquals([content.origin, content.after], [ORIGIN, 3]);
    const old = utf8.encode(JSON.stringify({ origin: ORIGIN, after: 3 }));
    assertEquals<unknown>(
      decodeFrame(Uint8Array.from([...frame.subarray(0, headerBytes), ...old])),
      {
        machine: MACHINE,
        kind: REFILL,
        wanted: { ...ALL_WANTED, maxBytes: REFILL_BYTES },
      },
    );
  });

  it("of another version is refused in words that name both versions", () => {
    const frame = encodeFrame({ machine: MACHINE, kind: STATE, state: STATE_OF_ONE });
    frame[2] = 2;
    const fault = assertThrows(() => decodeFrame(frame), VersionFault);
    assertEquals(
      fault.message,
      "version 2 of the frames between machines; this machine understands version 1",
    );
  });

  it("has only messages that a client may have sent", () => {
    const wrong: [string, number, string][][] = [
      [["t", 10, '{"topic":"t"}']],
      [["t", 12, '{"topic":"t"}'], ["t", 11, '{"topic":"t"}']],
      [["t", 2e15, '{"topic":"t"}']],
      [["t", 11.5, '{"topic":"t"}']],
      [["t", 11, '{"topic":"u"}']],
      [["t", 11, '{"topic":"t"']],
      [["t", 11, '{"topic":"t"}{"topic":"t"}']],
      [["t", 11, '{"topic":"t"} ']],
      [["t", 11, '{"topic":"t","timestamp":1}']],
      [["t", 11, `{"topic":"t","data":"${"x".repeat(1_000)}"}`]],
      [["", 11, '{"topic":""}']],
      [["t", 11, ""]],
      [["t", 11, '\0{"topic":"t"}']],
      [["t", 11, '<regular-socket/>\0{"topic":"t"}']],
      [["t".repeat(257), 11, `{"topic":"${"t".repeat(257)}"}`]],
      [["t", 11, '{"topic":"t"}\0SUBSCRIBE']],
      [["t", 11, "PUBLISH\0"]],
      [["t", 11, '{"action":"subscribe","data":"t"}']],
      [],
    ];
    for (const messages of wrong) {
      assertThrows(() => read(batchOf(...messages)), FrameFault, undefined, String(messages));
    }
    // A fault leaves nothing behind.
    const reader = new MessageReader(LIMITS);
    assertThrows(() =>
      reader.read(batchOf(["t", 11, '{"topic":']).subarray(52), 10, { maxMicros: 1e15 })
    );
    const good = batchOf(["t", 11, '{"topic":"t"}']).subarray(BATCH_HEADER_BYTES);
    assertEquals(reader.read(good, 10, { maxMicros: 1e15 }).length, 1);
  });

  it("has only messages that are whole, of a kind that is known", () => {
    const good = batchOf(["t", 11, '{"topic":"t"}']).subarray(BATCH_HEADER_BYTES);
    const readChanged = (at: number, byte: number, length = good.length) => {
      const bytes = good.slice(0, length);
      bytes[at] = byte;
      return new MessageReader(LIMITS).read(bytes, 10, { maxMicros: 1e15 });
    };
    const [lengthAt, kindAt, topicLengthAt, topicAt] = [0, 12, 13, 15];
    assertEquals(readChanged(kindAt, 0)[0]!.wantsReceipt, false);
    assertEquals(readChanged(kindAt, 1)[0]!.wantsReceipt, true);
    const faults: [Parameters<typeof readChanged>, string][] = [
      [[kindAt, 2], "a message of an unknown kind, 2"],
      [[lengthAt, good.length + 1], "a message of a wrong length"],
      [[topicLengthAt, good.length], "a message of a wrong length"],
      [[kindAt, 0, topicAt - 1], "a message that is cut off"],
      [[topicAt, 0xff], "a topic that isn't UTF-8"],
    ];
    for (const [change, words] of faults) {
      assertThrows(() => readChanged(...change), FrameFault, words);
    }
  });

  it("has messages of which those in front of a timestamp aren't checked", () => {
    const messages = batchOf(["t", 11, "nonsense"], ["t", 12, '{"topic":"t"}'])
      .subarray(BATCH_HEADER_BYTES);
    const reader = new MessageReader(LIMITS);
    const readBehind = (after: number) => {
      return reader.read(messages, 10, { maxMicros: 1e15, after }).map(({ micros }) => micros);
    };
    assertEquals([readBehind(11), readBehind(12)], [[12], []]);
    assertThrows(() => readBehind(10), FrameFault);
  });

  it("that is garbage throws a FrameFault or a VersionFault, and nothing else", () => {
    const good = [
      batchOf(["t", 11, '{"topic":"t"}'], ["t", 12, '{"topic":"t"}']),
      encodeFrame({ machine: MACHINE, kind: STATE, state: STATE_OF_ONE }),
      encodeFrame({
        machine: MACHINE,
        kind: REFILL,
        wanted: ALL_WANTED,
      }),
    ];
    const seed = Date.now() % 2 ** 31;
    console.log(`frames_test: seed ${seed}`);
    const change = fc.tuple(fc.nat(), fc.nat(255));
    fc.assert(
      fc.property(
        fc.constantFrom(...good),
        fc.array(change, { maxLength: 4 }),
        fc.nat(),
        (frame, changes, cut) => {
          const bytes = frame.slice(0, cut % 3 === 0 ? cut % frame.length : frame.length);
          for (const [at, byte] of changes) {
            if (bytes.length > 0) bytes[at % bytes.length] = byte;
          }
          try {
            const decoded = decodeFrame(bytes);
            if (decoded.kind !== BATCH) return;
            new MessageReader(LIMITS).read(decoded.messages, decoded.previous, { maxMicros: 1e15 });
          } catch (error) {
            assert(error instanceof FrameFault || error instanceof VersionFault, String(error));
          }
        },
      ),
      { seed, numRuns: 1_500 },
    );
  });
});
