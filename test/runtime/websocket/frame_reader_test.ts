import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import {
  FrameReader,
  type FrameSink,
  SCRATCH_BYTES,
  WebSocketViolation,
} from "../../../runtime/websocket/frame_reader.ts";
import { assertBytes, join } from "../../support/bytes.ts";
import {
  BINARY,
  CLOSE,
  closePayload,
  CONTINUATION,
  frame,
  PING,
  TEXT,
} from "../../support/web_socket/frames.ts";

/** Writes down what a reader hands on. */
class Recorder implements FrameSink {
  isPaused = false;
  readonly payloads: Uint8Array[] = [];
  readonly pings: Uint8Array[] = [];
  /** The bytes of payload that had come at the end of each message that was told. */
  readonly ends: number[] = [];
  idleFrames = 0;
  closeCode: number | undefined | null = null;
  /** Called with each payload. */
  onMore: () => void = () => {};

  get bytes(): Uint8Array {
    return join(this.payloads);
  }

  onPayload(bytes: Uint8Array): void {
    assertEquals(this.isPaused, false, "nothing comes during a pause");
    this.payloads.push(bytes.slice());
    this.onMore();
  }

  onMessageEnd(): void {
    this.ends.push(this.bytes.length);
  }

  onIdleFrame(): void {
    this.idleFrames++;
  }

  onPing(payload: Uint8Array): void {
    this.pings.push(payload.slice());
  }

  onPong(): void {}

  onPeerClose(code: number | undefined): void {
    this.closeCode = code;
  }
}

function newReader(isFromClient = true): FrameReader {
  return new FrameReader(isFromClient, new Uint8Array(SCRATCH_BYTES));
}

function readAll(bytes: Uint8Array): Recorder {
  const recorder = new Recorder();
  newReader().push(bytes, recorder);
  return recorder;
}

/** Messages in fragments, with pings between them. */
const piece = fc.record({
  isText: fc.boolean(),
  parts: fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 4 }),
  mask: fc.uint8Array({ minLength: 4, maxLength: 4 }),
  ping: fc.option(fc.uint8Array({ maxLength: 125 }), { nil: undefined }),
});

function encode(
  { isText, parts, mask, ping }: typeof piece extends fc.Arbitrary<infer T> ? T : never,
) {
  return parts.flatMap((part, i) => {
    // Text keeps to ASCII, which is UTF-8 however it's cut.
    const payload = isText ? part.map((byte) => byte & 0x7f) : part;
    const opcode = i > 0 ? CONTINUATION : isText ? TEXT : BINARY;
    const one = frame(opcode, payload, { isFinal: i === parts.length - 1, mask });
    return ping === undefined || i > 0 ? [one] : [frame(PING, ping, { mask }), one];
  });
}

describe("a reader of WebSocket frames", () => {
  it("hands the same on however the bytes are cut, and however often it's paused", () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`seed ${seed}`);
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 }),
        fc.boolean(),
        (pieces, sizes, pauses) => {
          const bytes = join(pieces.flatMap(encode));
          const whole = readAll(bytes);
          const cut = new Recorder();
          if (pauses) cut.onMore = () => cut.isPaused = true;
          const reader = newReader();
          let at = 0;
          for (let turn = 0; at < bytes.length; turn++) {
            const size = sizes[turn % sizes.length]!;
            cut.isPaused = false;
            at += reader.push(bytes.slice(at, at + size), cut);
          }
          const expected = join(
            pieces.flatMap(({ isText, parts }) =>
              isText ? parts.map((part) => part.map((byte) => byte & 0x7f)) : parts
            ),
          );
          assertBytes(whole.bytes, expected);
          assertBytes(cut.bytes, expected);
          assertEquals(cut.pings, whole.pings);
          assertEquals(cut.ends, whole.ends);
          assertEquals(cut.idleFrames, whole.idleFrames);
          assertEquals(reader.isAtRest, true);
        },
      ),
      { seed, numRuns: 300 },
    );
  });

  it("reads anything at all without an error but its own, and as often as it's cut", () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`seed ${seed}`);
    const outcomeOf = (bytes: Uint8Array, size: number): string => {
      const recorder = new Recorder();
      const reader = newReader();
      try {
        for (let at = 0; at < bytes.length; at += size) {
          reader.push(bytes.slice(at, at + size), recorder);
        }
      } catch (error) {
        if (!(error instanceof WebSocketViolation)) throw error;
        return `${recorder.bytes}: ${error.closeCode} ${error.message}`;
      }
      return `${recorder.bytes}`;
    };
    // Most begin like frames, so that not all end with the first byte.
    const start = fc.constantFrom(0x81, 0x82, 0x01, 0x80, 0x88, 0x89, 0x8a, 0x00);
    const framed = fc.tuple(start, fc.uint8Array({ maxLength: 40 })).map(([first, rest]) =>
      new Uint8Array([first, 0x80 | (rest.length & 0x7f), 0, 0, 0, 0, ...rest])
    );
    fc.assert(
      fc.property(
        fc.array(fc.oneof(framed, fc.uint8Array({ maxLength: 20 })), { maxLength: 6 }),
        (parts) => {
          const bytes = join(parts);
          assertEquals(outcomeOf(bytes, 1), outcomeOf(bytes, Math.max(1, bytes.length)));
        },
      ),
      { seed, numRuns: 500 },
    );
  });

  it("hands messages that end in a NUL on together", () => {
    const { payloads, ends } = readAll(
      join([frame(TEXT, "PING\0"), frame(TEXT, "PONG\0"), frame(BINARY, "\0")]),
    );
    assertEquals([payloads.length, ends], [1, []]);
  });

  it("tells the end of others, behind their bytes", () => {
    const { payloads, ends } = readAll(join([frame(TEXT, "PIN"), frame(TEXT, "G\0")]));
    assertEquals(payloads.map((payload) => payload.length), [3, 2]);
    assertEquals(ends, [3]);
  });

  it("reads a payload that is larger than its buffer", () => {
    const payload = new Uint8Array(3 * SCRATCH_BYTES + 5).fill(0x61);
    assertEquals(readAll(frame(TEXT, payload)).bytes, payload);
  });

  it("reads nothing behind a close", () => {
    const { bytes, closeCode } = readAll(
      join([frame(TEXT, "a\0"), frame(CLOSE, closePayload(1001)), frame(TEXT, "b\0")]),
    );
    assertEquals([bytes.length, closeCode], [2, 1001]);
  });

  const wrong: Record<string, Uint8Array> = {
    "isn't masked": frame(TEXT, "a\0", { mask: null }),
    "spells its length in two bytes without need": frame(TEXT, "a", { lengthBytes: 2 }),
    "spells its length in eight bytes without need": frame(TEXT, "a", { lengthBytes: 8 }),
    "has a length of more than 63 bits": frame(TEXT, "a", { length: 1n << 63n, lengthBytes: 8 }),
  };
  for (const [what, bytes] of Object.entries(wrong)) {
    it(`refuses a client's frame that ${what}`, () => {
      const error = assertThrows(() => readAll(bytes), WebSocketViolation);
      assertEquals(error.closeCode, 1002);
    });
  }

  it("refuses a server's frame that is masked", () => {
    const recorder = new Recorder();
    assertThrows(() => newReader(false).push(frame(TEXT, "a"), recorder), WebSocketViolation);
    newReader(false).push(frame(TEXT, "a", { mask: null }), recorder);
    assertEquals(recorder.bytes, new Uint8Array([0x61]));
  });

  it("hands on what stands before a violation", () => {
    const recorder = new Recorder();
    const bytes = join([frame(TEXT, "PING\0"), frame(TEXT, "x", { reserved: 4 })]);
    assertThrows(() => newReader().push(bytes, recorder), WebSocketViolation);
    assertEquals(recorder.bytes.length, 5);
  });
});
