import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { EpochClock } from "../../../server/timing/epoch_clock.ts";
import { Timekeeper } from "../../../server/timing/timekeeper.ts";
import { message, publish } from "../../support/clients/janus_client.ts";
import { MemoryBed } from "../../support/memory/memory_bed.ts";

const START_MS = 1_795_435_717_123.456;
const HOUR_MS = 3_600_000;

/** A monotonic clock and a system's clock, which only a test moves. */
class Clocks {
  /** The monotonic clock. */
  nowMs = 5_000.25;
  /** Milliseconds by which the time of day is ahead of it. */
  offsetMs = START_MS - this.nowMs;
  /** Milliseconds that pass with each reading. */
  readingMs = 0;

  readonly epoch = new EpochClock(
    () => this.#read(),
    () => Math.floor(this.#read() + this.offsetMs),
    this.offsetMs,
  );

  #read(): number {
    return this.nowMs += this.readingMs;
  }
}

describe("EpochClock", () => {
  it("reads fractions of a millisecond, which the system's clock doesn't tell", () => {
    const clocks = new Clocks();
    assertEquals(clocks.epoch.follow(), 0);
    assertEquals(Math.floor(clocks.epoch.micros), START_MS * 1000);
    clocks.nowMs += 0.125;
    assertEquals(clocks.epoch.follow(), 0);
    assertEquals(Math.floor(clocks.epoch.micros), START_MS * 1000 + 125);
  });

  it("agrees with the system's clock from the start, whatever offset it's given", () => {
    for (const offsetMs of [0, START_MS + 86_400_000]) {
      const clock = new EpochClock(() => 1_000, () => 1_795_435_717_123, offsetMs);
      assertLess(Math.abs(clock.micros / 1000 - 1_795_435_717_123), 1.001);
    }
  });

  it("is never further off after a step than what its readings leave open, and stays as it is without one", () => {
    fc.assert(fc.property(
      fc.array(fc.tuple(fc.double({ min: -1e9, max: 1e9, noNaN: true }), fc.nat(5)), {
        minLength: 1,
        maxLength: 20,
      }),
      fc.double({ min: 0, max: 3, noNaN: true }),
      (steps, readingMs) => {
        const clocks = new Clocks();
        for (const [stepMs, quietSweeps] of steps) {
          clocks.offsetMs += stepMs;
          clocks.readingMs = readingMs;
          clocks.epoch.follow();
          const offMs = Math.abs(clocks.epoch.micros / 1000 - clocks.nowMs - clocks.offsetMs);
          assert(offMs <= 1.01 + 2 * readingMs, `${offMs} ms`);
          clocks.readingMs = 0;
          for (let i = 0; i < quietSweeps; i++) {
            clocks.nowMs += 250.3;
            // It's made more exact, never less.
            assert(Math.abs(clocks.epoch.follow()) <= offMs + 0.01);
          }
        }
      },
    ));
  });
});

describe("Timekeeper", () => {
  it("follows forward at once, and says so of more than a second", () => {
    const clocks = new Clocks();
    const keeper = new Timekeeper(clocks.epoch);
    keeper.timestamps.next();
    clocks.offsetMs += 900;
    assertEquals(keeper.follow(), undefined);
    clocks.offsetMs += HOUR_MS;
    const event = keeper.follow();
    assert(event?.what === "set_forward" && Math.abs(event.byMs - HOUR_MS) < 2);
    assertLess(Math.abs(keeper.timestamps.next() / 1000 - START_MS - 900 - HOUR_MS), 3);
    assertEquals(keeper.follow(), undefined);
  });

  it("stands nearly still when the clock is set back, also where it had issued nothing for long", () => {
    const clocks = new Clocks();
    const keeper = new Timekeeper(clocks.epoch);
    keeper.timestamps.next();
    clocks.nowMs += 600_000;
    clocks.offsetMs -= HOUR_MS;
    const event = keeper.follow();
    assert(event?.what === "set_back" && Math.abs(event.byMs - HOUR_MS) < 2);
    const first = keeper.timestamps.next();
    assertLess(Math.abs(first / 1000 - START_MS - 600_000), 2);
    clocks.nowMs += HOUR_MS / 2;
    assertEquals([keeper.follow(), keeper.timestamps.next()], [undefined, first + 1]);
    // A second step back is told as well.
    clocks.offsetMs -= 10_000;
    assertEquals(keeper.follow()?.what, "set_back");
    assertEquals(keeper.timestamps.next(), first + 2);
    clocks.nowMs += HOUR_MS / 2 + 10_010;
    assertEquals(keeper.follow(), { what: "caught_up" });
    assertEquals(keeper.follow(), undefined);
    assertGreater(keeper.timestamps.next(), first + 1_000);
  });

  it("says nothing of a clock that is set back by less than a second", () => {
    const clocks = new Clocks();
    const keeper = new Timekeeper(clocks.epoch);
    const first = keeper.timestamps.next();
    clocks.offsetMs -= 900;
    assertEquals(keeper.follow(), undefined);
    assertEquals(keeper.timestamps.next(), first + 1);
    clocks.nowMs += 1_000;
    assertEquals(keeper.follow(), undefined);
    assertGreater(keeper.timestamps.next(), first + 90_000);
  });
});

/** The timestamps that a peer has seen, in microseconds. */
function stampsOf(text: string): number[] {
  return [...text.matchAll(/"timestamp":\[(\d+),(\d+),(\d+)\],"topic"/g)].map((match) =>
    (Number(match[1]) * 1e6 + Number(match[2])) * 1e6 + Number(match[3])
  );
}

describe("servers that are linked", () => {
  it("agree about the time before each has seen that the clock was set", async () => {
    const clocks = [new Clocks(), new Clocks()];
    const keepers = clocks.map(({ epoch }) => new Timekeeper(epoch));
    const beds = await MemoryBed.linked(2, {}, {}, keepers);
    const reader = beds[0]!.subscribed(["t"]);
    const publishers = beds.map((bed) => bed.dial());
    const publishOn = (which: number) => {
      publishers[which]!.send(publish(message("t")));
      beds[which]!.net.settle();
    };
    const step = (ms: number) => {
      for (const each of clocks) each.offsetMs += ms;
      // One of them looks first.
      keepers[0]!.follow();
    };
    publishOn(0);
    step(HOUR_MS);
    for (const which of [0, 1, 0, 1]) publishOn(which);
    keepers[1]!.follow();
    for (const which of [1, 0, 1]) publishOn(which);
    step(-HOUR_MS);
    for (const which of [0, 1, 0, 1]) publishOn(which);
    const stamps = stampsOf(reader.text);
    assertEquals(stamps.length, 12);
    const hours = stamps.map((micros) => Math.floor((micros / 1000 - START_MS) / HOUR_MS + 0.1));
    assertEquals(hours, [0, ...new Array(11).fill(1)]);
    stamps.forEach((micros, i) => i > 0 && assertGreater(micros, stamps[i - 1]!));
  });
});
