import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { packLatencies, unpackLatencies } from "../../../../tools/compare/results/samples.ts";

describe("packed latencies", () => {
  it("are the first, and then what comes on top", () => {
    assertEquals(packLatencies(Float64Array.of(1.5, 0.25, 1.5)), [250, 1250, 0]);
    assertEquals(packLatencies(new Float64Array(0)), []);
  });

  it("come out ascending, to the microsecond", () => {
    fc.assert(fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true })), (latencies) => {
      const before = Float64Array.from(latencies);
      const unpacked = unpackLatencies(packLatencies(before));
      assertEquals([...before], latencies);
      const sorted = before.toSorted();
      assertEquals(unpacked.length, sorted.length);
      for (const [at, ms] of unpacked.entries()) {
        assertEquals(Math.abs(ms - sorted[at]!) < 0.000_51, true);
      }
    }));
  });
});
