import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import type { LoopReading } from "../../../bots/measures/loop_meter.ts";
import { score } from "../../../bots/results/score.ts";
import { type GroupRound, Mark } from "../../../bots/fleet/group.ts";

const load: LoopReading = {
  wallMs: 1,
  cpuShare: 0,
  timerLagMs: { p99: 0, max: 0 },
  readDelayMs: null,
};

const times = { publishedAtMs: 1000, timeoutMs: 500, clockErrorMs: 0 };

function round(receivedAtMs: number[], marks: [number, number][] = []): GroupRound {
  const disconnected = 0;
  return {
    stampMicros: 1_002_000,
    receivedAtMs,
    marks,
    refusals: {},
    disconnected,
    cameBack: 0,
    load,
  };
}

function counts(...groups: GroupRound[]): Record<string, number> {
  const { good, bad, missing, duplicate, corrupt, foreign, late } = score(groups, times);
  return { good, bad, missing, duplicate, corrupt, foreign, late };
}

const none = { good: 0, bad: 1, missing: 0, duplicate: 0, corrupt: 0, foreign: 0, late: 0 };

describe("a score", () => {
  it("counts bots by what befell them", () => {
    assertEquals(counts(round([1010])), { ...none, good: 1, bad: 0 });
    assertEquals(counts(round([1500])), { ...none, good: 1, bad: 0 });
    assertEquals(counts(round([0])), { ...none, missing: 1 });
    assertEquals(counts(round([1500.1])), { ...none, missing: 1, late: 1 });
    assertEquals(counts(round([1010], [[0, Mark.duplicate]])), { ...none, duplicate: 1 });
    assertEquals(counts(round([1010], [[0, Mark.damaged]])), { ...none, corrupt: 1 });
    assertEquals(counts(round([0], [[0, Mark.damaged]])), { ...none, corrupt: 1 });
  });

  it("takes another message for a damaged copy only where the right one is missing", () => {
    assertEquals(counts(round([1010], [[0, Mark.different]])), { ...none, foreign: 1 });
    assertEquals(counts(round([0], [[0, Mark.different]])), { ...none, corrupt: 1 });
  });

  it("takes what came before the publish for something else", () => {
    assertEquals(counts(round([999.9])), { ...none, corrupt: 1 });
  });

  it("holds an earlier round's late message against no one in this round", () => {
    assertEquals(counts(round([1010], [[0, Mark.late]])), { ...none, good: 1, bad: 0, late: 1 });
  });

  it("has the latencies of the good alone, by both clocks", () => {
    const { latencyMs, endToEndMs, isGood } = score([
      round([1010, 0, 1020], [[2, Mark.duplicate]]),
      round([1030]),
    ], times);
    assertEquals([...endToEndMs], [10, 30]);
    assertEquals([...latencyMs], [8, 28]);
    assertEquals([...isGood], [1, 0, 0, 1]);
  });

  it("ends with the last bot, or with the limit where some bot is bad", () => {
    assertEquals(score([round([1010, 1030]), round([1020])], times).endedAtMs, 1030);
    assertEquals(score([round([1010, 0])], times).endedAtMs, 1500);
  });
});
