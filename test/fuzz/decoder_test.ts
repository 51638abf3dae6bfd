import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { STREAMS } from "../corpus/streams.ts";
import { decodeCut, everyByte, isLegacyCut, latin1 } from "../protocol/client_stream.ts";
import { modelOutcome } from "../protocol/naive_model.ts";

const LIMITS = { maxFrameBytes: 300 };

/** Holds a stream against the model, cut at these places. */
function assertAsModel(stream: Uint8Array, cuts: readonly number[]): void {
  const { heard, error, maybe, manner } = modelOutcome(stream, LIMITS.maxFrameBytes);
  const actual = decodeCut(stream, cuts, LIMITS);
  assertEquals(actual.heard, heard);
  if (maybe === undefined || actual.error !== maybe) assertEquals(actual.error, error);
  const isLegacy = manner.beganAsLegacy && manner.askedBeforeNew === Infinity;
  assertEquals(isLegacyCut(stream, cuts, LIMITS), isLegacy);
}

describe("the decoder, by the model", () => {
  for (const [why, text] of STREAMS) {
    it(`hears ${why}, wherever it's cut`, () => {
      const stream = latin1(text);
      assertAsModel(stream, []);
      assertAsModel(stream, everyByte(stream));
      for (const cut of everyByte(stream)) assertAsModel(stream, [cut]);
    });
  }

  it("hears what pieces of kept streams make of each other", { timeout: 60_000 }, () => {
    const kept = fc.constantFrom(...STREAMS.map(([, stream]) => stream));
    const piece = fc.tuple(kept, fc.nat(60), fc.nat(60)).map(([stream, from, length]) =>
      stream.slice(from, from + length)
    );
    const whole = fc.array(fc.oneof(kept, piece), { minLength: 1, maxLength: 6 });
    const cuts = fc.array(fc.nat(400), { maxLength: 6 });
    fc.assert(
      fc.property(whole, cuts, (pieces, places) => {
        const stream = latin1(pieces.join(""));
        const inside = places.filter((place) => place <= stream.length).sort((a, b) => a - b);
        assertAsModel(stream, inside);
      }),
      { numRuns: 5_000 },
    );
  });
});
