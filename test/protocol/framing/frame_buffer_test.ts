import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { BufferPool } from "../../../protocol/framing/buffer_pool.ts";
import { FrameBuffer } from "../../../protocol/framing/frame_buffer.ts";
import { pattern } from "../../support/bytes.ts";

describe("FrameBuffer", () => {
  it("keeps what was appended, byte by byte or at once", () => {
    const bytes = pattern(1, 5000);
    for (const size of [1, 7, 300, 5000]) {
      const partial = new FrameBuffer(5000);
      for (let from = 0; from < bytes.length; from += size) {
        partial.append(bytes, from, Math.min(bytes.length, from + size));
      }
      assertEquals(partial.length, bytes.length);
      assertEquals(partial.bytes.subarray(0, partial.length), bytes);
    }
  });

  it("copies: the chunk may be used again", () => {
    const partial = new FrameBuffer(100);
    const chunk = Uint8Array.of(1, 2, 3);
    partial.append(chunk, 0, 3);
    chunk.fill(9);
    assertEquals([...partial.bytes.subarray(0, 3)], [1, 2, 3]);
  });

  it("moves a few times only while a frame comes byte by byte", () => {
    const partial = new FrameBuffer(64 * 1024);
    let moves = 0;
    let last = partial.bytes;
    for (let i = 0; i < 64 * 1024; i++) {
      partial.append(Uint8Array.of(1), 0, 1);
      if (partial.bytes !== last) moves++;
      last = partial.bytes;
    }
    assert(moves <= 10, `${moves} moves`);
  });

  it("takes memory with its first byte, and less than twice what came of a long frame", () => {
    const partial = new FrameBuffer(1000);
    assertEquals(partial.capacity, 0);
    partial.append(pattern(2, 1), 0, 1);
    assertEquals(partial.capacity, 256);
    partial.append(pattern(2, 300), 0, 300);
    assertEquals(partial.capacity, 512);
    partial.append(pattern(3, 699), 0, 699);
    assertEquals(partial.capacity, 1024);
  });

  it("gives back each buffer that it has grown out of, and the last when it's released", () => {
    const pool = new BufferPool(1024 * 1024);
    const partial = new FrameBuffer(64 * 1024, pool);
    for (let i = 0; i < 64 * 1024; i += 100) {
      partial.append(pattern(i, 100), 0, Math.min(100, 64 * 1024 - i));
      assertEquals(pool.lentBytes, partial.capacity);
    }
    partial.release();
    assertEquals([pool.lentBytes, partial.capacity, partial.length], [0, 0, 0]);
    partial.release();
    assertEquals(pool.keptBytes, 256 + 512 + (1 + 2 + 4 + 8 + 16 + 32 + 64) * 1024);
  });

  it("takes as much as the limit and refuses more", () => {
    const partial = new FrameBuffer(10);
    partial.append(pattern(4, 10), 0, 10);
    assertThrows(() => partial.append(pattern(5, 1), 0, 1), RangeError, "limit 10");
    assertEquals(partial.length, 10);
  });
});
