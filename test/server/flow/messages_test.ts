import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { MemoryBudget } from "../../../server/flow/memory_budget.ts";
import { fromMessages, MAX_MESSAGE_BYTES, toMessages } from "../../../server/flow/messages.ts";
import { SharedChunk } from "../../../server/flow/shared_chunk.ts";
import { assertBytes, join } from "../../support/bytes.ts";
import { readFrames, TEXT } from "../../support/web_socket/frames.ts";

/** Frames of the protocol of so many bytes each, terminators included. */
function framesOf(sizes: readonly number[]): Uint8Array {
  return join(sizes.map((size, i) => {
    const frame = new Uint8Array(size).fill(0x61 + i % 26);
    frame[size - 1] = 1;
    return frame;
  }));
}

describe("messages for WebSockets", () => {
  it("hold all bytes in whole frames, and several only within 16 KiB", () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`seed ${seed}`);
    const size = fc.oneof(
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 1, max: 40_000 }),
      fc.constantFrom(125, 126, 127, 16_383, 16_384, 16_385, 65_535, 65_536, 70_000),
    );
    fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 30 }), (sizes) => {
        const bytes = framesOf(sizes);
        const messages = toMessages(bytes);
        const { frames, taken } = readFrames(messages);
        assertEquals(taken, messages.length);
        assertBytes(fromMessages(messages), bytes);
        assertBytes(join(frames.map(({ payload }) => payload)), bytes);
        for (const { opcode, isFinal, payload } of frames) {
          assertEquals([opcode, isFinal, payload.at(-1)], [TEXT, true, 1]);
          const isLone = payload.indexOf(1) === payload.length - 1;
          assert(isLone || payload.length <= MAX_MESSAGE_BYTES);
        }
      }),
      { seed, numRuns: 100 },
    );
  });

  it("are made once while a chunk is held, and count once beside it", () => {
    const budget = new MemoryBudget(1_000_000, {});
    const chunk = new SharedChunk(framesOf([1_000]), budget);
    chunk.retain();
    const alone = budget.heldBytes;
    const messages = chunk.asMessages();
    assertStrictEquals(chunk.asMessages(), messages);
    const both = budget.heldBytes;
    assertEquals(both, 2 * alone + 4);
    // Two outboxes keep them, and one on TCP keeps the chunk.
    messages.retain();
    messages.retain();
    chunk.retain();
    assertEquals(budget.heldBytes, both);
    chunk.release();
    chunk.release();
    assertEquals(budget.heldBytes, alone + 4);
    messages.release();
    messages.release();
    assertEquals(budget.heldBytes, 0);
  });

  it("don't stay with a chunk that is only stored", () => {
    const budget = new MemoryBudget(1_000_000, {});
    const chunk = new SharedChunk(framesOf([1_000]), budget);
    chunk.store();
    const stored = budget.historyBytes;
    assert(chunk.asMessages() !== chunk.asMessages());
    chunk.retain();
    const messages = chunk.asMessages();
    assertStrictEquals(chunk.asMessages(), messages);
    chunk.release();
    assertEquals([budget.heldBytes, budget.historyBytes], [0, stored]);
    assert(chunk.asMessages() !== messages);
  });

  it("of a part of a chunk have that part's bytes", () => {
    const budget = new MemoryBudget(1_000_000, {});
    const chunk = new SharedChunk(framesOf([10, 20, 30]), budget);
    chunk.retain();
    const part = chunk.slice(10, 60);
    assertEquals(readFrames(part.asMessages().bytes).frames[0]!.payload, part.bytes);
    chunk.release();
    assertEquals(budget.heldBytes, 0);
  });
});
