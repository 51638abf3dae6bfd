import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { findBehind, isAhead } from "../../../server/history/search.ts";
import { Origins } from "../../../server/history/origins.ts";

const NOTHING = {
  first: 0,
  end: 0,
  newestFirst: () => [],
  traces: new Map(),
  floors: new Map(),
};

describe("an origin that has ended", () => {
  it("is known up to the latest end that any process was told", () => {
    const origins = new Origins(1_000);
    const ended = origins.learn("a".repeat(16), 1_000);
    // It says goodbye here. Another process, which didn't hear that, takes its end from the supervisor.
    origins.close(ended, "ended", 2_000);
    origins.close(ended, "lost", 3_000);
    assertEquals([ended.end, ended.micros], ["ended", 3_000]);
    const reasonOf = (micros: number) =>
      findBehind(NOTHING, new Map([[ended.name, micros]]), origins).reason;
    assertEquals([reasonOf(2_500), reasonOf(3_000), reasonOf(3_001)], [
      "ok",
      "ok",
      "unknown_origin",
    ]);
  });
});

describe("a position that is ahead of a process", () => {
  it("is so beside that of an ended process, whose end lies in the future", () => {
    const nowMicros = 5_000;
    const origins = new Origins(1_000);
    const alive = origins.learn("a".repeat(16), 1_000);
    const ended = origins.learn("b".repeat(16), 1_000);
    origins.close(ended, "ended", nowMicros + 1_000);
    const isSo = (...position: [{ readonly name: string }, micros: number][]) => {
      const entries = position.map(([{ name }, micros]) => [name, micros] as const);
      return [entries, entries.toReversed()].map((one) =>
        isAhead(new Map(one), origins, nowMicros)
      );
    };
    assertEquals(isSo([alive, 2_000], [ended, ended.micros]), [true, true]);
    assertEquals(isSo([alive, 1_000], [ended, ended.micros]), [false, false]);
    // What was never issued doesn't come, however long the client waits.
    assertEquals(isSo([alive, 2_000], [ended, ended.micros + 1]), [false, false]);
    assertEquals(isSo([alive, 2_000], [origins.own, 2_000]), [false, false]);
    assertEquals(isSo([alive, nowMicros + 1]), [false, false]);
    assertEquals(isSo([alive, 2_000], [{ name: "c".repeat(16) }, 1]), [false, false]);
  });
});
