import { assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import {
  encodeFrame,
  FrameDecoder,
  FrameError,
  type Members,
} from "../../../bots/agents/frames.ts";

const SAID = [{ nonce: "ab" }, {}, { text: "ä\0\u{1f600}".repeat(20), list: [1, 2.5, null] }];

function framesOf(decoder: FrameDecoder, chunks: readonly Uint8Array[]): Members[] {
  const frames: Members[] = [];
  for (const chunk of chunks) {
    decoder.push(chunk, (members) => frames.push(members) > 0);
    // The caller's buffer is only lent.
    chunk.fill(0xee);
  }
  return frames;
}

describe("frames between leader and agent", () => {
  it("come out as they went in, however they are cut", () => {
    const bytes = Buffer.concat(SAID.map(encodeFrame));
    for (const size of [1, 2, 3, 5, 7, 64, bytes.length]) {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        chunks.push(Uint8Array.from(bytes.subarray(at, at + size)));
      }
      assertEquals(framesOf(new FrameDecoder(1000), chunks), SAID);
    }
  });

  it("are refused by their length, before they are there", () => {
    const decoder = new FrameDecoder(100);
    const header = Uint8Array.of(0, 0, 0, 101);
    assertThrows(() => decoder.push(header, () => true), FrameError, "101 bytes");
    assertEquals(framesOf(new FrameDecoder(2), [encodeFrame({})]), [{}]);
  });

  it("are refused if they are no JSON object", () => {
    for (const text of ["", "null", "[]", "7", '"x"', "{", "\xff"]) {
      const body = Buffer.from(text, "latin1");
      const frame = Buffer.concat([Uint8Array.of(0, 0, 0, body.length), body]);
      assertThrows(() => new FrameDecoder(100).push(frame, () => true), FrameError, "no JSON");
    }
  });
});
