import { assertEquals, assertGreaterOrEqual, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { newCounters } from "../../../server/counters.ts";
import { CEILING_STEPS, MAX_HOLD_MS } from "../../../server/limits/memory.ts";
import { MemoryCeiling } from "../../../server/memory/memory_ceiling.ts";

const MB = 1_000_000;
const MAX = 400 * MB;

/** A ceiling whose process is made of numbers. */
class Bench {
  readonly counters = newCounters();
  /** The process's memory in MB. */
  resident = 60;
  /** The part of it that clients hold. */
  held = 0;
  /** The part of it that the next collection frees. */
  garbage = 0;
  /** True while a client is left to be ended. */
  hasHolders = true;
  nowMs = 5_000;
  /** The ceiling's actions, in order. */
  readonly done: string[] = [];
  readonly #tasks: (() => void)[] = [];
  readonly ceiling: MemoryCeiling;

  constructor() {
    this.ceiling = new MemoryCeiling(MAX, {
      runtime: this,
      giveBack: () => this.giveBack(),
      counters: this.counters,
      readMs: () => this.nowMs,
      heldBytes: () => this.held * MB,
      standingBytes: () => 0,
      hold: () => void this.done.push("hold"),
      letGo: () => void this.done.push("let go"),
      evict: (bytes) => {
        if (!this.hasHolders) return false;
        const megabytes = Math.round(bytes / MB);
        this.done.push(`evict ${megabytes}`);
        this.held -= megabytes;
        this.garbage += megabytes;
        return true;
      },
      onStep: ({ step, hasBegun }) => void this.done.push(`${hasBegun ? "+" : "-"}${step}`),
    });
  }

  get residentBytes(): number {
    return this.resident * MB;
  }

  giveBack(): void {
    this.done.push("collect");
    this.resident -= this.garbage;
    this.garbage = 0;
    this.nowMs += 5;
  }

  nextTurn(task: () => void): void {
    this.#tasks.push(task);
  }

  /** Looks, at so many MB, after some time; returns what was done. */
  look(resident = this.resident, afterMs = 250): string[] {
    this.resident = resident;
    this.nowMs += afterMs;
    this.done.length = 0;
    this.ceiling.look();
    for (let task; (task = this.#tasks.shift()) !== undefined;) task();
    return [...this.done];
  }
}

describe("the memory ceiling", () => {
  it("has steps in order, each with a gap between its beginning and its end", () => {
    const steps = Object.values(CEILING_STEPS);
    for (const [i, { from, until }] of steps.entries()) {
      assertLess(until, from);
      assertLess(from, 1);
      assertGreaterOrEqual(from, steps[i - 1]?.from ?? 0);
    }
  });

  it("takes one step after the other as memory gets shorter", () => {
    const bench = new Bench();
    bench.held = 300;
    bench.hasHolders = false;
    assertEquals(bench.look(270), []);
    assertEquals(bench.look(281), ["+gives_back", "collect"]);
    assertEquals(bench.look(301), ["+holds_bulk", "hold", "collect"]);
    assertEquals([bench.ceiling.holdsBulk, bench.ceiling.holdsAll], [true, false]);
    assertEquals(bench.look(341), ["+holds_publishers", "collect"]);
    assertEquals([bench.ceiling.holdsAll, bench.ceiling.refuses], [true, false]);
    bench.hasHolders = true;
    assertEquals(bench.look(361, 50), ["collect", "evict 33", "+evicts"]);
    bench.hasHolders = false;
    assertEquals(bench.look(381, 50), ["+refuses", "collect"]);
    assertEquals(bench.ceiling.refuses, true);
    bench.ceiling.stop();
    const { collections, memoryPauses } = bench.counters;
    assertEquals([collections, memoryPauses], [5, 1]);
  });

  it("undoes them in the reverse order, each well below where it began", () => {
    const bench = new Bench();
    bench.held = 300;
    bench.hasHolders = false;
    bench.look(381);
    const { ceiling } = bench;
    const states = [379, 350, 347, 321, 319, 281, 279].map((resident) => {
      bench.look(resident, 10);
      return [ceiling.refuses, ceiling.holdsAll, ceiling.holdsBulk];
    });
    assertEquals(states, [
      [true, true, true],
      [true, true, true],
      [false, true, true],
      [false, true, true],
      [false, false, true],
      [false, false, true],
      [false, false, false],
    ]);
    assertEquals(bench.done.includes("let go"), true);
    ceiling.stop();
  });

  it("lets clients go on at once where a collection is all it takes", () => {
    const bench = new Bench();
    bench.garbage = 200;
    assertEquals(bench.look(320), ["+gives_back", "+holds_bulk", "hold", "collect", "let go"]);
    assertEquals(bench.ceiling.holdsBulk, false);
    bench.ceiling.stop();
  });

  it("ends no client before a collection has shown that it must", () => {
    const bench = new Bench();
    bench.held = 100;
    bench.garbage = 200;
    const done = bench.look(390);
    assertEquals(done.filter((what) => what.startsWith("evict")), []);
    assertEquals(bench.ceiling.refuses, false);
    bench.ceiling.stop();
  });

  it("ends those that hold most until it's enough, and looks at what that brought in between", () => {
    const bench = new Bench();
    bench.held = 200;
    assertEquals(bench.look(370.5).slice(-3), ["collect", "evict 43", "+evicts"]);
    assertEquals(bench.look(370.5, 50), ["collect"]);
    assertEquals(bench.resident, 327.5);
    assertEquals(bench.look(327.5, 50), []);
    bench.ceiling.stop();
  });

  it("ends no client where clients hold next to nothing", () => {
    const bench = new Bench();
    bench.held = 20;
    assertEquals(bench.look(390).some((what) => what.startsWith("evict")), false);
    bench.ceiling.stop();
  });

  it("makes no client wait for memory that doesn't come back, and refuses none for it", () => {
    const bench = new Bench();
    bench.held = 1;
    const done = bench.look(395);
    assertEquals(done.slice(-2), ["+gave_up", "let go"]);
    const { ceiling } = bench;
    assertEquals([ceiling.holdsBulk, ceiling.holdsAll, ceiling.refuses], [false, false, false]);
    for (let minute = 0; minute < 60; minute++) {
      bench.look(395 + minute % 5, 60_000);
      assertEquals([ceiling.holdsBulk, ceiling.holdsAll, ceiling.refuses], [false, false, false]);
    }
    // More than that counts again.
    bench.held = 100;
    bench.look(420);
    assertEquals([ceiling.holdsBulk, ceiling.refuses], [true, true]);
    ceiling.stop();
  });

  it("holds publishers for no more than half of the time, and for a moment at a time", () => {
    const bench = new Bench();
    bench.held = 200;
    bench.hasHolders = false;
    let heldLooks = 0;
    let longest = 0;
    let run = 0;
    for (let ms = 0; ms < 10_000; ms += 50) {
      bench.look(345 + ms / 250, 50);
      run = bench.ceiling.holdsAll ? run + 1 : 0;
      heldLooks += bench.ceiling.holdsAll ? 1 : 0;
      longest = Math.max(longest, run);
    }
    assertLess(longest * 50, 300);
    assertGreaterOrEqual(heldLooks, 20);
    assertLess(heldLooks, 110);
    bench.ceiling.stop();
  });

  it("holds no client for longer than two seconds, whatever is held", () => {
    const bench = new Bench();
    bench.held = 200;
    bench.hasHolders = false;
    const { ceiling } = bench;
    bench.look(345);
    assertEquals([ceiling.holdsBulk, ceiling.holdsAll], [true, true]);
    bench.look(345, MAX_HOLD_MS - 300);
    assertEquals([ceiling.holdsBulk, ceiling.holdsAll], [true, false]);
    bench.look(345, 300);
    assertEquals([ceiling.holdsBulk, ceiling.holdsAll], [false, false]);
    ceiling.stop();
  });

  it("collects no more than a fifth of the time, and seldom where it brings nothing", () => {
    const bench = new Bench();
    bench.held = 1;
    for (let ms = 0; ms < 60_000; ms += 10) bench.look(285, 10);
    assertLess(bench.counters.collections, 10);
    const before = bench.counters.collections;
    // Each brings much, and as much is there again at once.
    for (let ms = 0; ms < 1_000; ms += 5) {
      bench.garbage = 40;
      bench.look(299, 5);
    }
    assertGreaterOrEqual(bench.counters.collections - before, 20);
    assertLess(bench.counters.collections - before, 55);
    bench.ceiling.stop();
  });

  it("tells that a step has begun and is over once, however often it's taken", () => {
    const bench = new Bench();
    const told: string[] = [];
    for (let round = 0; round < 20; round++) {
      bench.garbage = 100;
      told.push(...bench.look(285, 250), ...bench.look(150, 250));
    }
    for (let second = 0; second < 20; second++) told.push(...bench.look(150, 1_000));
    assertEquals(told.filter((what) => /^[+-]/.test(what)), ["+gives_back", "-gives_back"]);
  });

  it("asks to be looked at again before what arrives can reach the next step", () => {
    const bench = new Bench();
    bench.look(80);
    assertEquals(bench.ceiling.lookAtBytes, 50 * MB);
    bench.counters.bytesIn = 50 * MB;
    bench.look(279.9);
    assertEquals(bench.ceiling.lookAtBytes, 50 * MB + 1024 * 1024);
  });
});
