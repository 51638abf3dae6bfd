import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { PartialFrame } from "../../protocol/partial_frame.ts";
import { pattern } from "../support/bytes.ts";

describe("PartialFrame", () => {
  it("keeps what was appended, byte by byte or at once", () => {
    const bytes = pattern(1, 5000);
    for (const size of [1, 7, 300, 5000]) {
      const partial = new PartialFrame(5000);
      for (let from = 0; from < bytes.length; from += size) {
        partial.append(bytes, from, Math.min(bytes.length, from + size));
      }
      assertEquals(partial.length, bytes.length);
      assertEquals(partial.bytes.subarray(0, partial.length), bytes);
    }
  });

  it("copies: the chunk may be used again", () => {
    const partial = new PartialFrame(100);
    const chunk = Uint8Array.of(1, 2, 3);
    partial.append(chunk, 0, 3);
    chunk.fill(9);
    assertEquals([...partial.bytes.subarray(0, 3)], [1, 2, 3]);
  });

  it("moves a few times only while a frame comes byte by byte", () => {
    const partial = new PartialFrame(64 * 1024);
    let moves = 0;
    let last = partial.bytes;
    for (let i = 0; i < 64 * 1024; i++) {
      partial.append(Uint8Array.of(1), 0, 1);
      if (partial.bytes !== last) moves++;
      last = partial.bytes;
    }
    assert(moves <= 10, `${moves} moves`);
  });

  it("takes no more memory than the limit, and at most twice what came of a long frame", () => {
    const partial = new PartialFrame(1000);
    assert(partial.capacity <= 256);
    partial.append(pattern(2, 300), 0, 300);
    assert(partial.capacity <= 600);
    partial.append(pattern(3, 700), 0, 700);
    assertEquals(partial.capacity, 1000);
  });

  it("takes as much as the limit and refuses more", () => {
    const partial = new PartialFrame(10);
    partial.append(pattern(4, 10), 0, 10);
    assertThrows(() => partial.append(pattern(5, 1), 0, 1), RangeError, "limit 10");
    assertEquals(partial.length, 10);
  });
});
