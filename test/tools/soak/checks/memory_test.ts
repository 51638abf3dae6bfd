import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import {
  holdsMemory,
  judgeMemory,
  type MemorySample,
} from "../../../../tools/soak/checks/memory.ts";

/** A sample a second, by what is held at that second. */
function samples(seconds: number, bytesAt: (second: number) => number): MemorySample[] {
  return Array.from({ length: seconds }, (_, at_s) => ({
    at_s,
    resident_bytes: bytesAt(at_s),
    oldest_resident_bytes: bytesAt(at_s) / 2,
    log_bytes: 0,
    descriptors: 20,
  }));
}

describe("a soak's memory", () => {
  it("may do what it likes in the first minute, and go up and down with each kill", () => {
    const held = (s: number) => s < 60 ? s : s % 60 < 30 ? 50 : 150;
    const verdict = judgeMemory(samples(300, held), 300, 60);
    const growth = { baseline_bytes: 100, end_bytes: 100, ratio: 1 };
    assertEquals(verdict.server, growth);
    assertEquals(verdict.oldest, { baseline_bytes: 50, end_bytes: 50, ratio: 1 });
    assertEquals(holdsMemory(verdict), true);
  });

  it("may do so for two minutes where what has been sent is kept for other members", () => {
    const held = samples(300, (s) => s < 120 ? s : 150);
    const [first, second] = [60, 120].map((warmUpS) => judgeMemory(held, 300, 60, warmUpS));
    assertEquals([first!, second!].map(holdsMemory), [false, true]);
  });

  it("may grow by what is kept for other members, and by no more", () => {
    const [filled, leaked] = [0, 20].map((more) => {
      const kept = (s: number) => Math.min(s, 250);
      return samples(300, (s) => 100 + kept(s) + more * s / 100)
        .map((sample) => ({ ...sample, log_bytes: kept(sample.at_s) }));
    });
    assertEquals([filled!, leaked!].map((held) => holdsMemory(judgeMemory(held, 300, 60))), [
      true,
      false,
    ]);
  });

  it("may not grow by more than a tenth", () => {
    const grown = (by: number) => judgeMemory(samples(600, (s) => s < 300 ? 1000 : by), 600, 60);
    assertEquals([grown(1100), grown(1101), grown(500)].map(holdsMemory), [true, false, true]);
  });

  it("isn't judged of the first process where that has been replaced", () => {
    const all = samples(300, () => 100).map((sample) => {
      return sample.at_s < 280 ? sample : { ...sample, oldest_resident_bytes: 0 };
    });
    const verdict = judgeMemory(all, 300, 60);
    assertEquals([verdict.judged, verdict.server!.ratio, verdict.oldest], [true, 1, null]);
  });

  it("isn't judged where there is no time to", () => {
    const verdict = judgeMemory(samples(120, (s) => 10 ** s), 120, 60);
    assertEquals([verdict.judged, holdsMemory(verdict)], [false, true]);
  });
});
