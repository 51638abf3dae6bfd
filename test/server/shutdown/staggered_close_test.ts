import { assert, assertEquals, assertGreater, assertNotEquals } from "@std/assert";
import { describe, it } from "node:test";
import {
  type Leaver,
  returnWindowMs,
  StaggeredClose,
} from "../../../server/shutdown/staggered_close.ts";
import { RESTART_MS } from "../../../server/limits/shutdown.ts";

/** When closing begins, on the clock of the test. */
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
  /** Milliseconds that it was told; `undefined` before. */
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

/** A staggered close of `count` connections, on a clock that the test moves. */
class ClosingServer {
  readonly leavers: FakeLeaver[];
  /** In the order in which they were told. */
  readonly told: FakeLeaver[] = [];
  readonly close: StaggeredClose;

  constructor(count: number, drainMs: number, seed = 1) {
    this.leavers = Array.from(
      { length: count },
      (_, number) => new FakeLeaver(number, (leaver) => this.told.push(leaver)),
    );
    this.close = new StaggeredClose([...this.leavers], drainMs, START_MS, randomness(seed));
  }

  /** Tells those who are due at that time, or within a millisecond. */
  tell(elapsedMs: number, most = Infinity): number {
    return this.close.tellDue(START_MS + elapsedMs, START_MS + elapsedMs + 1, most);
  }
}

describe("a staggered close", () => {
  it("tells everyone once, evenly over the time that it may take", () => {
    const server = new ClosingServer(1_000, 500);
    for (let ms = 0; ms < 500; ms++) {
      assertEquals(server.close.isOver, false);
      assertEquals(server.tell(ms), 2);
    }
    assertEquals(server.close.isOver, true);
    assertEquals(new Set(server.told).size, 1_000);
  });

  it("tells a few one at a time, the first at once", () => {
    const server = new ClosingServer(4, 100);
    const times: number[] = [];
    for (let ms = 0; ms < 100; ms++) if (server.tell(ms) > 0) times.push(ms);
    assertEquals(times, [0, 25, 50, 75]);
  });

  it("tells all at once when it may take no time, as many as it's asked to at a time", () => {
    const server = new ClosingServer(100, 0);
    assertEquals(server.tell(0, 64), 64);
    assertEquals(server.close.isOver, false);
    assertEquals(server.tell(0, 64), 36);
    assertEquals(server.close.isOver, true);
  });

  it("makes up for time in which it wasn't asked", () => {
    const server = new ClosingServer(100, 1_000);
    assertEquals(server.tell(799), 80);
    assertEquals(server.tell(5_000), 20);
  });

  it("is in no order that two servers would share", () => {
    const orderOf = (seed: number) => {
      const server = new ClosingServer(100, 0, seed);
      server.tell(0);
      return server.told.map(({ number }) => number);
    };
    assertNotEquals(orderOf(1), orderOf(2));
    assertNotEquals(orderOf(1), orderOf(1).toSorted((a, b) => a - b));
  });

  it("says to come back when the rest are gone and the server is there again, at any moment of the window", () => {
    for (const count of [50, 20_000]) {
      const windowMs = returnWindowMs(count);
      const server = new ClosingServer(count, 4_000);
      const parts = new Set<number>();
      let seen = 0;
      for (let ms = 0; ms < 4_000; ms += 10) {
        server.tell(ms);
        for (; seen < server.told.length; seen++) {
          const part = server.told[seen]!.retryAfterMs! - (4_000 - ms + RESTART_MS);
          assert(Number.isInteger(part) && part >= 0 && part < windowMs, `${part} ms at ${ms} ms`);
          parts.add(Math.floor(part / windowMs * 10));
        }
      }
      server.tell(4_000);
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
    const server = new ClosingServer(10, 100);
    for (const leaver of server.leavers) leaver.isWaiting = leaver.number < 3;
    for (let ms = 0; ms <= 100; ms++) server.tell(ms);
    assertEquals(server.told.length, 7);
    assertEquals(server.close.isOver, false);
    server.leavers[1]!.isWaiting = false;
    assertEquals(server.tell(500), 1);
    assertEquals(server.leavers[1]!.retryAfterMs! >= RESTART_MS, true);
    assertEquals(server.tell(1_099), 0);
    assertEquals(server.tell(1_100, 1), 1);
    assertEquals(server.tell(1_100, 1), 1);
    assertEquals(server.close.isOver, true);
    assertGreater(server.told.length, 9);
  });
});
