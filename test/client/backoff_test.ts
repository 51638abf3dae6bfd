import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { Backoff } from "../../client/connection/backoff.ts";

const BOUNDS = { minMs: 500, maxMs: 20_000 };

describe("the waits between attempts to connect", () => {
  it("are a random part of a time that doubles from half a second to twenty", () => {
    const backoff = new Backoff(BOUNDS, () => 0.5);
    const waits = Array.from({ length: 8 }, () => backoff.waitMs(0, undefined));
    assertEquals(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    const lucky = new Backoff(BOUNDS, () => 0);
    assertEquals(Array.from({ length: 9 }, () => lucky.waitMs(0, undefined)), Array(9).fill(0));
  });

  it("are none behind a connection that was long open, and begin anew there", () => {
    const backoff = new Backoff(BOUNDS, () => 0.5);
    for (let i = 0; i < 5; i++) backoff.waitMs(100, undefined);
    assertEquals(backoff.waitMs(60_000, undefined), 0);
    assertEquals(backoff.waitMs(0, undefined), 250);
  });

  it("are what the server asks for", () => {
    const backoff = new Backoff(BOUNDS, () => 0.5);
    assertEquals(backoff.waitMs(60_000, 7_000), 7_000);
    assertEquals(backoff.waitMs(0, 1), 1);
    // A timer can't take longer.
    assertEquals(backoff.waitMs(0, 1e12), 2 ** 31 - 1);
  });
});
