import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { MAX_DEATHS, RestartSchedule } from "../../../server/workers/restart_schedule.ts";
import { startPatienceMs } from "../../../server/workers/worker_launcher.ts";

const MINUTE_MS = 60_000;

describe("a schedule of restarts", () => {
  it("waits twice as long after each death, up to ten seconds", () => {
    const schedule = new RestartSchedule();
    const waits = Array.from({ length: 10 }, () => schedule.noteDeath("a", 10));
    assertEquals(waits, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]);
  });

  it("counts each worker by itself, anew when one was well", () => {
    const schedule = new RestartSchedule();
    schedule.noteDeath("a", 0);
    assertEquals(schedule.noteDeath("a", MINUTE_MS - 1), 200);
    assertEquals(schedule.noteDeath("b", 0), 100);
    assertEquals(schedule.noteDeath("a", MINUTE_MS), 100);
    assertEquals(schedule.noteDeath("a", 0), 200);
  });

  it("is hopeless only when all died again and again", () => {
    const schedule = new RestartSchedule();
    for (let death = 1; death <= MAX_DEATHS; death++) {
      assertEquals(schedule.isHopeless(["a"]), false);
      schedule.noteDeath("a", 0);
    }
    assertEquals(schedule.isHopeless(["a"]), true);
    assertEquals(schedule.isHopeless(["a", "b"]), false);
    schedule.noteDeath("a", MINUTE_MS);
    assertEquals(schedule.isHopeless(["a"]), false);
  });
});

describe("the time that a worker has to start", () => {
  it("grows with their number, since they may share few cores", () => {
    // 64 on two cores: some 0.5 s of one core's time each.
    assertEquals(startPatienceMs(64) >= 60_000, true);
    assertEquals(startPatienceMs(2) <= 15_000, true);
  });
});
