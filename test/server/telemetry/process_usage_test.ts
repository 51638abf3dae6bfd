import { assert, assertEquals } from "@std/assert";
import { closeSync, openSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { cpuSeconds, openDescriptors, startedMs } from "../../../server/telemetry/process_usage.ts";

describe("what a process uses", () => {
  it("is more descriptors by those that it opens, whether it counts them or is told", () => {
    const before = openDescriptors(0);
    const path = fileURLToPath(import.meta.url);
    const opened = Array.from({ length: 10 }, () => openSync(path, "r"));
    const after = openDescriptors(opened.length);
    for (const descriptor of opened) closeSync(descriptor);
    assertEquals([after - before, openDescriptors(0)], [10, before]);
  });

  it("is more processor time, the more it works", () => {
    const before = cpuSeconds();
    const beganMs = performance.now();
    while (cpuSeconds() < before + 0.02) {
      assert(performance.now() < beganMs + 10_000, "it works, and no time is counted");
    }
  });

  it("is told since its start, which is past and doesn't change", () => {
    const startMs = startedMs();
    assert(Number.isInteger(startMs) && startMs > Date.UTC(2020) && startMs <= Date.now());
    assertEquals(startedMs(), startMs);
  });
});
