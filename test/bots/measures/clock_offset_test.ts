import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { compared, measureOffsets } from "../../../bots/measures/clock_offset.ts";

/** Exchanges with clocks that are so far ahead, whose questions and answers take so long. */
function exchange(aheadMs: readonly number[], ways: readonly (readonly [number, number])[]) {
  let nowMs = 1_000_000;
  let asked = 0;
  return {
    now: () => nowMs,
    read: () => {
      const [there, back] = ways[asked++ % ways.length]!;
      nowMs += there;
      const shown = aheadMs.map((ms) => nowMs + ms);
      nowMs += back;
      return Promise.resolve(shown);
    },
  };
}

describe("a clock's offset", () => {
  it("is exact where both ways take as long, and within the error where they don't", async () => {
    const even = exchange([200, -3.5], [[4, 4]]);
    assertEquals(await measureOffsets(even.read, even.now), [
      { offsetMs: 200, errorMs: 4, roundTripMs: 8 },
      { offsetMs: -3.5, errorMs: 4, roundTripMs: 8 },
    ]);
    const uneven = exchange([200], [[8, 0]]);
    assertEquals(await measureOffsets(uneven.read, uneven.now), [
      { offsetMs: 204, errorMs: 4, roundTripMs: 8 },
    ]);
  });

  it("is that of the exchange with the least round trip", async () => {
    const ways: [number, number][] = [[50, 2], [1, 1], [2, 90], [1, 2]];
    const { read, now } = exchange([-200], ways);
    assertEquals(await measureOffsets(read, now), [
      { offsetMs: -200, errorMs: 1, roundTripMs: 2 },
    ]);
  });

  it("is, between two measurements, anything that both allow or that lies between them", () => {
    const of = (offsetMs: number, errorMs: number) => ({ offsetMs, errorMs, roundTripMs: 0 });
    const steady = compared(of(200, 1), of(200.5, 0.25));
    assertEquals([steady.offsetMs, steady.errorMs], [200, 1]);
    const drifting = compared(of(200, 1), of(210, 2));
    assertEquals([drifting.offsetMs, drifting.errorMs], [205.5, 6.5]);
  });
});
