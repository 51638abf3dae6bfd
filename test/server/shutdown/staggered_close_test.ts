import { assert, assertEquals, assertGreater, assertNotEquals } from "@std/assert";
import { describe, it } from "node:test";
import { Farewell, type Leaver, returnWindowMs } from "../../../server/shutdown/staggered_close.ts";
import { RESTART_MS } from "../../../server/limits.ts";

/** When the farewell begins. */
const START_MS = 5_000;

/** Random numbers that are the same each time (mulberry32). */
function randomness(seed: number): () => number {
  return () => {
    seed = seed + 0x6D2B79F5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, seed | 1);
    t ^= t + Math.imul(t ^ t >>> 7, t | 61);
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}

class FakeLeaver implements Leaver {
  readonly number: number;
  isWaiting = false;
  /** What it was told; `undefined` while it wasn't. */
  retryAfterMs: number | undefined;
  readonly #onTold: (leaver: FakeLeaver) => void;

  constructor(number: number, onTold: (leaver: FakeLeaver) => void) {
    this.number = number;
    this.#onTold = onTold;
  }

  shutDown(retryAfterMs: number): void {
    assertEquals(this.retryAfterMs, undefined, "it is told twice");
    this.retryAfterMs = retryAfterMs;
    this.#onTold(this);
  }
}

/** A farewell to so many, on a clock in the hands of the test. */
class Parting {
  readonly leavers: FakeLeaver[];
  /** In the order in which they were told. */
  readonly told: FakeLeaver[] = [];
  readonly farewell: Farewell;

  constructor(count: number, drainMs: number, seed = 1) {
    this.leavers = Array.from(
      { length: count },
      (_, number) => new FakeLeaver(number, (leaver) => this.told.push(leaver)),
    );
    this.farewell = new Farewell([...this.leavers], drainMs, START_MS, randomness(seed));
  }

  /** Tells those who are due at that time, or within a millisecond. */
  tell(elapsedMs: number, most = Infinity): number {
    return this.farewell.tellDue(START_MS + elapsedMs, START_MS + elapsedMs + 1, most);
  }
}

describe("a farewell", () => {
  it("tells everyone once, evenly over the time that it may take", () => {
    const parting = new Parting(1_000, 500);
    for (let ms = 0; ms < 500; ms++) {
      assertEquals(parting.farewell.isOver, false);
      assertEquals(parting.tell(ms), 2);
    }
    assertEquals(parting.farewell.isOver, true);
    assertEquals(new Set(parting.told).size, 1_000);
  });

  it("tells a few one at a time, the first at once", () => {
    const parting = new Parting(4, 100);
    const times: number[] = [];
    for (let ms = 0; ms < 100; ms++) if (parting.tell(ms) > 0) times.push(ms);
    assertEquals(times, [0, 25, 50, 75]);
  });

  it("tells all at once when it may take no time, as many as it's asked to at a time", () => {
    const parting = new Parting(100, 0);
    assertEquals(parting.tell(0, 64), 64);
    assertEquals(parting.farewell.isOver, false);
    assertEquals(parting.tell(0, 64), 36);
    assertEquals(parting.farewell.isOver, true);
  });

  it("makes up for time in which it wasn't asked", () => {
    const parting = new Parting(100, 1_000);
    assertEquals(parting.tell(799), 80);
    assertEquals(parting.tell(5_000), 20);
  });

  it("is in no order that two servers would share", () => {
    const orderOf = (seed: number) => {
      const parting = new Parting(100, 0, seed);
      parting.tell(0);
      return parting.told.map(({ number }) => number);
    };
    assertNotEquals(orderOf(1), orderOf(2));
    assertNotEquals(orderOf(1), orderOf(1).toSorted((a, b) => a - b));
  });

  it("says to come back when the rest are gone and the server is there again, at any moment of the window", () => {
    for (const count of [50, 20_000]) {
      const windowMs = returnWindowMs(count);
      const parting = new Parting(count, 4_000);
      const parts = new Set<number>();
      let seen = 0;
      for (let ms = 0; ms < 4_000; ms += 10) {
        parting.tell(ms);
        for (; seen < parting.told.length; seen++) {
          const part = parting.told[seen]!.retryAfterMs! - (4_000 - ms + RESTART_MS);
          assert(Number.isInteger(part) && part >= 0 && part < windowMs, `${part} ms at ${ms} ms`);
          parts.add(Math.floor(part / windowMs * 10));
        }
      }
      parting.tell(4_000);
      // Each tenth of the window gets some of them.
      assertEquals(parts.size, 10);
    }
  });

  it("spreads the return of more over a longer window", () => {
    assertEquals(returnWindowMs(1), 1_000);
    assertEquals(returnWindowMs(2_000), 1_000);
    assertEquals(returnWindowMs(20_000), 10_000);
  });

  it("lets those stay who are made to wait, until they are or a second is over", () => {
    const parting = new Parting(10, 100);
    for (const leaver of parting.leavers) leaver.isWaiting = leaver.number < 3;
    for (let ms = 0; ms <= 100; ms++) parting.tell(ms);
    assertEquals(parting.told.length, 7);
    assertEquals(parting.farewell.isOver, false);
    parting.leavers[1]!.isWaiting = false;
    assertEquals(parting.tell(500), 1);
    assertEquals(parting.leavers[1]!.retryAfterMs! >= RESTART_MS, true);
    assertEquals(parting.tell(1_099), 0);
    assertEquals(parting.tell(1_100, 1), 1);
    assertEquals(parting.tell(1_100, 1), 1);
    assertEquals(parting.farewell.isOver, true);
    assertGreater(parting.told.length, 9);
  });
});
