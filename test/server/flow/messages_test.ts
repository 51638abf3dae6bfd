import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { fromMessages, toMessages } from "../../../server/flow/messages.ts";

/** Frames of so many bytes each, their terminators included. */
function frames(...lengths: number[]): Uint8Array {
  const all = lengths.map((length, n) => {
    const frame = new Uint8Array(length).fill(0x41 + n % 26);
    frame[length - 1] = 1;
    return [...frame];
  });
  return new Uint8Array(all.flat());
}

describe("frames in WebSocket messages", () => {
  it("are the same when they are taken out again", () => {
    for (
      const lengths of [
        [4],
        [125],
        [126],
        [200, 300],
        [65_535],
        [65_536],
        [100, 16_384, 5, 70_000, 3],
        Array.from({ length: 500 }, (_, n) => n + 1),
      ]
    ) {
      const bytes = frames(...lengths);
      assertEquals(fromMessages(toMessages(bytes)), bytes);
    }
  });
});
