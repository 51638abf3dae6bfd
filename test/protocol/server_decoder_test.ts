import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { ACK, encodeGreeting, PING } from "../../protocol/encoder.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import { ServerDecoder, type ServerDecoderLimits } from "../../protocol/server_decoder.ts";
import { asLatin1, everyByte, latin1 } from "./client_stream.ts";

/** The frames in `stream`, cut at `cuts`, each chunk overwritten after the call. */
function framesOf(
  stream: string,
  cuts: readonly number[],
  limits?: ServerDecoderLimits,
): readonly string[] {
  const decoder = new ServerDecoder(limits);
  const frames: string[] = [];
  const bytes = latin1(stream);
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    const chunk = bytes.slice(from, to);
    decoder.push(chunk, (frame) => frames.push(asLatin1(frame)));
    assertEquals(chunk, bytes.slice(from, to), "the decoder wrote to the chunk");
    chunk.fill(1);
    from = to;
  }
  return frames;
}

describe("ServerDecoder", () => {
  const stream = '{"timestamp":[1,2,3],"topic":"\xc3\xbc"}\x01\x01ACK\x01PING\x01not ended';
  const frames = ['{"timestamp":[1,2,3],"topic":"\xc3\xbc"}', "", "ACK", "PING"];

  it("gives frames without their terminators, and keeps what isn't ended", () => {
    assertEquals(framesOf(stream, []), frames);
  });

  it("gives the same frames for every pair of cuts and byte by byte", () => {
    assertEquals(framesOf(stream, everyByte(latin1(stream))), frames);
    for (let first = 0; first <= stream.length; first++) {
      for (let second = first; second <= stream.length; second++) {
        assertEquals(framesOf(stream, [first, second]), frames);
      }
    }
  });

  it("finds the payloads of what the server's encoder writes", () => {
    const greeting = encodeGreeting(1, "0".repeat(32));
    const wire = asLatin1(greeting) + asLatin1(ACK) + asLatin1(PING);
    assertEquals(framesOf(wire, []), [
      asLatin1(greeting.subarray(0, -1)),
      "ACK",
      "PING",
    ]);
  });

  it("takes a frame as long as the limit, and no longer one, however it is cut", () => {
    const limits = { maxFrameBytes: 10 };
    for (const cuts of [[], [4], [10], [4, 9], everyByte(new Uint8Array(10))]) {
      assertEquals(framesOf("0123456789\x01", cuts, limits), ["0123456789"]);
      assertThrows(() => framesOf("0123456789!", cuts, limits), ProtocolError, "10 bytes");
      assertThrows(() => framesOf("0123456789!\x01", cuts, limits), ProtocolError, "10 bytes");
    }
  });

  it("takes what a server with default limits can send, unless told otherwise", () => {
    const long = "x".repeat(66_000);
    assertEquals(framesOf(`${long}\x01`, [1, 300, 65_000]), [long]);
    assertThrows(() => framesOf("x".repeat(1024 * 1024 + 1), []), ProtocolError, "1048576 bytes");
  });

  it("refuses a limit that isn't a whole number of bytes", () => {
    for (const maxFrameBytes of [0, -1, 1.5, NaN, Infinity]) {
      assertThrows(() => new ServerDecoder({ maxFrameBytes }), RangeError, String(maxFrameBytes));
    }
  });

  it("splits random streams at random places as a plain split does", () => {
    const streams = fc.string({ unit: fc.constantFrom("a", "b", "\x01") });
    fc.assert(fc.property(streams, fc.array(fc.nat()), (stream, marks) => {
      const cuts = marks.map((mark) => mark % (stream.length + 1)).sort((a, b) => a - b);
      assertEquals(framesOf(stream, cuts), stream.split("\x01").slice(0, -1));
    }));
  });
});
