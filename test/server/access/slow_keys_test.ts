import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { CoarseClock } from "../../../server/timing/coarse_clock.ts";
import { SLOW_KEYS_PER_SECOND, SWEEP_INTERVAL_MS } from "../../../server/limits/clients.ts";
import { SlowKeys } from "../../../server/access/slow_keys.ts";

const SWEEPS_PER_SECOND = 1000 / SWEEP_INTERVAL_MS;

class Bench {
  readonly clock = new CoarseClock(5_000);
  readonly slowKeys: SlowKeys;
  readonly answered: string[] = [];

  constructor(processes = 1) {
    this.slowKeys = new SlowKeys(this.clock, processes);
  }

  /** A client of an address waits; what it's called. */
  come(address: string, name: string): () => void {
    const place = this.slowKeys.placeOf(address);
    const waiter = { resume: () => this.answered.push(name) };
    place.wait(waiter);
    return () => place.leave(waiter);
  }

  pass(sweeps: number): void {
    for (let i = 0; i < sweeps; i++) {
      this.clock.nowMs += SWEEP_INTERVAL_MS;
      this.slowKeys.sweep();
    }
  }
}

describe("keys that are looked at slowly", () => {
  it("wait for a second, also where they come right before a sweep", () => {
    const bench = new Bench();
    bench.come("10.0.0.1", "a");
    bench.pass(SWEEPS_PER_SECOND);
    assertEquals(bench.answered, []);
    bench.pass(1);
    assertEquals(bench.answered, ["a"]);
    assertEquals(bench.slowKeys.size, 0);
  });

  for (const processes of [1, 3, 16, 64]) {
    it(`are so many a second and address, in their order, ${processes} processes`, () => {
      const bench = new Bench(processes);
      for (let i = 0; i < 500; i++) bench.come("10.0.0.1", String(i));
      // The same network of one customer.
      bench.come("2001:db8::1", "six");
      bench.come("2001:db8::2", "six");
      bench.pass(SWEEPS_PER_SECOND + 1);
      const perSecond = SLOW_KEYS_PER_SECOND / processes;
      const burst = Math.max(1, Math.floor(2 * perSecond / SWEEPS_PER_SECOND));
      assertEquals(bench.answered.filter((name) => name !== "six").length, burst);
      bench.pass(4 * SWEEPS_PER_SECOND);
      const ones = bench.answered.filter((name) => name !== "six");
      assertEquals(ones, Array.from({ length: ones.length }, (_, i) => String(i)));
      const expected = burst + 4 * perSecond;
      assert(Math.abs(ones.length - expected) <= 1, `${ones.length}, not ${expected}`);
      assertEquals(bench.answered.length - ones.length, 2);
    });
  }

  it("of a thousand addresses are looked at some at a time, and all in the end", () => {
    const bench = new Bench();
    for (let i = 0; i < 1_000; i++) bench.come(`10.0.${i >> 8}.${i & 255}`, String(i));
    bench.pass(SWEEPS_PER_SECOND + 1);
    assert(bench.answered.length < 1_000, `${bench.answered.length} at once`);
    bench.pass(1);
    assertEquals(new Set(bench.answered).size, 1_000);
    assertEquals(bench.slowKeys.size, 0);
  });

  it("aren't looked at once their client is gone", () => {
    const bench = new Bench();
    const leave = bench.come("10.0.0.1", "a");
    bench.come("10.0.0.1", "b");
    leave();
    bench.pass(2 * SWEEPS_PER_SECOND);
    assertEquals(bench.answered, ["b"]);
    leave();
  });
});
