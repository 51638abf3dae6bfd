import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { MAX_DEATHS, RestartSchedule } from "../../../../server/workers/pacing/restart_schedule.ts";
import { Slots } from "../../../../server/workers/pacing/slots.ts";
import { startPatienceMs, startsAtOnce } from "../../../../server/workers/worker_launcher.ts";
import { quiet } from "../../../support/until.ts";

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

describe("workers that start", () => {
  it("have more time where they are many, since they may share few cores", () => {
    // 64 on two cores: some 0.5 s of one core's time each.
    assertEquals(startPatienceMs(64) >= 60_000, true);
    assertEquals(startPatienceMs(2) <= 15_000, true);
  });

  it("are as many at once as there are processors, and a few at least", () => {
    assertEquals([1, 2, 4, 64].map(startsAtOnce), [4, 4, 4, 64]);
  });

  it("wait for those before them, in order, and whatever becomes of those", async () => {
    const slots = new Slots(2);
    const log: string[] = [];
    const ends: (() => void)[] = [];
    const outcomes = ["a", "b", "c", "d", "e"].map((name) =>
      slots.run(async () => {
        log.push(name);
        await new Promise<void>((resolve) => ends.push(resolve));
        if (name === "a") throw new Error("a doesn't come up");
        return name;
      }).catch(({ message }: Error) => message)
    );
    await quiet();
    assertEquals(log, ["a", "b"]);
    ends[0]!();
    await quiet();
    assertEquals(log, ["a", "b", "c"]);
    for (let next = 1; next < 5; next++) {
      ends[next]!();
      await quiet();
    }
    assertEquals(log, ["a", "b", "c", "d", "e"]);
    assertEquals(await Promise.all(outcomes), ["a doesn't come up", "b", "c", "d", "e"]);
    assertEquals(await slots.run(() => Promise.resolve("f")), "f");
  });
});
