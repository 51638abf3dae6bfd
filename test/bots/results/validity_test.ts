import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import type { LoopReading } from "../../../bots/measures/loop_meter.ts";
import { whyInvalid } from "../../../bots/results/validity.ts";

function load(lagMs: number, readMs: number | null, cpuShare = 0.5): LoopReading {
  return {
    wallMs: 300,
    cpuShare,
    timerLagMs: { p99: 0, max: lagMs },
    readDelayMs: readMs === null ? null : { p99: 0, max: readMs },
  };
}

describe("the rule for an invalid round", () => {
  it("lets bots be as busy as they like while they keep up", () => {
    assertEquals(whyInvalid(load(40, 40, 1.1), 300), null);
  });

  it("finds messages that waited for their bots for more than a quarter of the maximum", () => {
    assertEquals(whyInvalid(load(0, 75), 300), null);
    assertStringIncludes(whyInvalid(load(0, 75.1), 300)!, "waited 75.1 ms");
  });

  it("finds an event loop that stood still as long", () => {
    assertEquals(whyInvalid(load(75, 0), 300), null);
    assertStringIncludes(whyInvalid(load(75.1, 0), 300)!, "stood still for 75.1 ms");
  });

  it("holds no delay of a few milliseconds against a short round", () => {
    assertEquals(whyInvalid(load(10, 10), 1), null);
    assertEquals(typeof whyInvalid(load(10.1, 0), 1), "string");
  });

  it("goes by CPU where it can't know whether the bots kept up", () => {
    assertEquals(whyInvalid(load(0, null, 0.89), 300), null);
    assertStringIncludes(whyInvalid(load(0, null, 0.9), 300)!, "90 % of a core");
  });
});
