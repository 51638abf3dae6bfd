import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { Latency, tooLate } from "../../../../tools/soak/checks/latency.ts";

/** Messages that were sent 20 ms apart, and what each took. */
function latencyOf(tookMs: readonly number[]): Latency {
  const latency = new Latency();
  for (const [at, ms] of tookMs.entries()) latency.add(1_000 + 20 * at, ms);
  return latency;
}

const BOUNDS = { p99Ms: 2_000, maxMs: 10_000 };

describe("a bystander's latency", () => {
  it("is told by nearest rank, and held against both bounds", () => {
    const took = [...new Array(98).fill(5), 2_001, 10_001];
    const verdict = latencyOf(took).verdict!;
    assertEquals(verdict, { messages: 100, p50_ms: 5, p99_ms: 2_001, max_ms: 10_001, excused: 0 });
    assertEquals(tooLate(verdict, BOUNDS).length, 2);
    assertEquals(tooLate(latencyOf([5, 2_000]).verdict!, BOUNDS), []);
  });

  it("finds a server that stood still for half a minute", () => {
    const took = Array.from({ length: 1_500 }, (_, at) => 30_000 - 20 * at);
    assertEquals(tooLate(latencyOf([...new Array(8_000).fill(1), ...took]).verdict!, BOUNDS), [
      "bystander: 1 message in 100 took 28100 ms, more than 2000 ms",
      "bystander: the slowest message took 30000 ms, more than 10000 ms",
    ]);
  });

  it("isn't judged while its worker is made to hang, nor a moment later", () => {
    const latency = latencyOf([5, 5_000]);
    latency.add(10_000, 7);
    latency.excuse(2_000, 4_000);
    assertEquals(latency.verdict, { messages: 2, p50_ms: 5, p99_ms: 7, max_ms: 7, excused: 1 });
  });

  it("is less by what the machine let the server wait, and no more than the time there was", () => {
    const latency = latencyOf([3_000]);
    latency.addWait(500, 1_500, 800);
    latency.addWait(1_500, 2_500, 900);
    latency.addWait(5_000, 6_000, 1_000);
    assertEquals(latency.verdict!.max_ms, 3_000 - 500 - 900);
    // Another server, a member of the same cluster, waited at the same time.
    latency.addWait(0, 4_000, 3_000);
    assertEquals(latency.verdict!.max_ms, 0);
  });

  it("says nothing of no messages", () => {
    assertEquals(new Latency().verdict, null);
  });
});
