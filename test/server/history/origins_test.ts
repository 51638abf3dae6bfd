import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { findBehind } from "../../../server/history/search.ts";
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
