import { changedRuntime } from "../../support/changed_runtime.ts";
import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { LoopMeter } from "../../../bots/measures/loop_meter.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { TransportError } from "../../../runtime/types.ts";
import { play } from "../run/scripted_run.ts";
import { stamp } from "../run/scripted_server.ts";

function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe("a loop meter", () => {
  it("sees the event loop stand still", async () => {
    const meter = await LoopMeter.open(await detectRuntime());
    await sleep(20);
    meter.begin();
    block(100);
    await sleep(20);
    const { timerLagMs, wallMs, cpuShare } = meter.end();
    meter.close();
    // Timers were due at most 5 ms after the loop stood still.
    assertEquals(timerLagMs.max >= 90, true, `it saw ${timerLagMs.max} ms`);
    assertEquals(timerLagMs.p99 <= timerLagMs.max, true);
    assertEquals(wallMs >= 120 - 1, true);
    assertEquals(cpuShare > 0, true);
  });

  it("sees it stand still when it still does at the end", async () => {
    const meter = await LoopMeter.open(await detectRuntime());
    meter.begin();
    block(100);
    const { timerLagMs } = meter.end();
    meter.close();
    assertEquals(timerLagMs.max >= 90, true, `it saw ${timerLagMs.max} ms`);
  });

  it("forgets what was before a window", async () => {
    const meter = await LoopMeter.open(await detectRuntime());
    block(1000);
    await sleep(20);
    meter.begin();
    const { timerLagMs, readDelayMs } = meter.end();
    meter.close();
    assertEquals(timerLagMs.max < 900, true);
    assertEquals(readDelayMs!.max < 900, true);
  });

  it("does without the read delay where the process may not listen", async () => {
    const real = await detectRuntime();
    const strict = changedRuntime(real, {
      listen: () => Promise.reject(new TransportError("permission_denied", "no")),
    });
    const meter = await LoopMeter.open(strict);
    meter.begin();
    assertEquals(meter.end().readDelayMs, null);
    meter.close();
  });

  it("makes a run invalid in which the bots were held up", async () => {
    const { report } = await play({
      onPublish({ message, subscribers }) {
        const frame = stamp(message);
        for (const socket of subscribers) socket.write(frame);
        // The server is in the bots' process here, so this holds them up, and nothing else.
        block(300);
      },
    });
    assertEquals([report.good, report.valid], [4, false]);
    assertEquals(report.invalid_because.length, 1);
  });
});
