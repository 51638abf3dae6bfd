import { assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { BufferPool } from "../../../protocol/framing/buffer_pool.ts";
import { LinkDecoder, LinkEncoder, type LinkFrames } from "../../../server/cluster/link_frames.ts";
import { join, pattern } from "../../support/bytes.ts";
import {
  isWholeReceipt,
  JanusClient,
  message,
  publishForReceipt,
} from "../../support/clients/janus_client.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { skipWorkers, withWorkers } from "../../support/processes/workers.ts";
import { anyText } from "../../support/any_text.ts";

const KIB = 1024;
const MIB = KIB * KIB;

interface Forwarded {
  readonly topic: string;
  readonly micros: number;
  readonly message: Uint8Array;
  readonly wantsReceipt: boolean;
}

/** The frames that a decoder makes of bytes in pieces, each in memory that is used again. */
function decoded(pieces: Iterable<Uint8Array>, pool = new BufferPool(MIB)): Forwarded[] {
  const forwarded: Forwarded[] = [];
  const sink: LinkFrames = {
    onForwarded(topic, micros, message, wantsReceipt) {
      forwarded.push({ topic, micros, message: message.slice(), wantsReceipt });
    },
    onControl() {},
  };
  const decoder = new LinkDecoder(pool);
  for (const piece of pieces) {
    const chunk = piece.slice();
    decoder.push(chunk, sink);
    chunk.fill(0xff);
  }
  return forwarded;
}

function encoded(frames: readonly Forwarded[]): Uint8Array {
  const encoder = new LinkEncoder();
  for (const { topic, micros, message, wantsReceipt } of frames) {
    encoder.append(topic, micros, message, wantsReceipt);
  }
  return encoder.take();
}

/** The bytes that are copied from one array to another while `task` runs. */
function copiedBy(task: () => void): number {
  const { prototype } = Uint8Array;
  const { set, slice } = prototype;
  let bytes = 0;
  prototype.set = function (this: Uint8Array, source: ArrayLike<number>, offset?: number) {
    bytes += source.length;
    set.call(this, source, offset);
  };
  prototype.slice = function (this: Uint8Array, start?: number, end?: number) {
    const copy = slice.call(this, start, end);
    bytes += copy.length;
    return copy as Uint8Array<ArrayBuffer>;
  };
  try {
    task();
  } finally {
    prototype.set = set;
    prototype.slice = slice;
  }
  return bytes;
}

describe("the frames of a link", () => {
  it("arrive as they were sent, however they are split, and leave nothing behind", () => {
    const frame = fc.record({
      topic: anyText({ minLength: 1, maxLength: 60 }),
      micros: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      message: fc.uint8Array({ maxLength: 900 }),
      wantsReceipt: fc.boolean(),
    });
    const piece = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 2000 }));
    fc.assert(
      fc.property(fc.array(frame), fc.array(piece, { minLength: 1 }), (frames, sizes) => {
        const bytes = encoded(frames);
        const pieces: Uint8Array[] = [];
        for (let start = 0, i = 0; start < bytes.length; i++) {
          const size = sizes[i % sizes.length]!;
          pieces.push(bytes.subarray(start, start + size));
          start += size;
        }
        const pool = new BufferPool(MIB);
        assertEquals(decoded(pieces, pool), frames);
        assertEquals(pool.lentBytes, 0);
      }),
      { numRuns: 300 },
    );
  });

  it("are copied once, however large they are and however many pieces they come in", () => {
    const message = pattern(1, 8 * MIB);
    const bytes = encoded([{ topic: "t", micros: 1, message, wantsReceipt: false }]);
    const decoder = new LinkDecoder(new BufferPool(MIB));
    let received = 0;
    const copied = copiedBy(() => {
      for (let start = 0; start < bytes.length; start += 16 * KIB) {
        decoder.push(bytes.subarray(start, start + 16 * KIB), {
          onControl() {},
          onForwarded: (_topic, _micros, message) => received = message.length,
        });
      }
    });
    assertEquals(received, message.length);
    assertLess(copied, 2 * bytes.length);
  });

  it("give their memory back when a link ends within one", () => {
    const pool = new BufferPool(MIB);
    const decoder = new LinkDecoder(pool);
    const bytes = encoded([
      { topic: "t", micros: 1, message: pattern(1, 5 * KIB), wantsReceipt: false },
    ]);
    decoder.push(join([bytes, bytes.subarray(0, 3 * KIB)]), { onForwarded() {}, onControl() {} });
    assertEquals(pool.lentBytes, 8 * KIB);
    decoder.discard();
    assertEquals(pool.lentBytes, 0);
  });
});

for (const runtime of TESTED_RUNTIMES) {
  describe(`topics on ${runtime} with workers`, { skip: skipWorkers }, () => {
    it("are told apart by a U+FEFF in front", { timeout: 60_000 }, async () => {
      await withWorkers(runtime, 2, async (_, target) => {
        const counts = { "news": 9, "\ufeffnews": 7, "\ufeff": 5 };
        const clients: JanusClient[] = [];
        for (const [topic, count] of Object.entries(counts)) {
          for (let i = 0; i < count; i++) clients.push(await JanusClient.subscribed(target, topic));
        }
        for (let i = 0; i < 8; i++) {
          const sender = await JanusClient.greeted(target);
          clients.push(sender);
          for (const [topic, count] of Object.entries(counts)) {
            do sender.send(publishForReceipt(message(topic))); while (
              !isWholeReceipt(await sender.frame(), count)
            );
          }
        }
        for (const client of clients) await client.dispose();
      });
    });
  });
}
