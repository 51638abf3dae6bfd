import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { until } from "../support/until.ts";
import { type Job, JobQueue } from "./job_queue.ts";
import { Processors } from "./processors.ts";

/** Processors that are idle for that part of the time. */
function idleFor(share: number): Processors {
  let all = 0;
  return new Processors(() => ({ all: ++all, idle: all * share }));
}

describe("jobs", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "hotwheels-jobs-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** One that says that it has begun, and ends when it may. */
  function job(name: string, slots = 1): Job {
    const script = 'touch "$0.begun"; until [ -e "$0.go" ]; do sleep 0.02; done';
    return { title: name, command: ["sh", "-c", script, join(folder, name)], slots };
  }
  const go = (name: string) => writeFileSync(join(folder, `${name}.go`), "");
  const hasBegun = (name: string) => existsSync(join(folder, `${name}.begun`));
  const begun = () =>
    readdirSync(folder).filter((name) => name.endsWith(".begun")).map((name) => name.slice(0, -6));

  it("run in their order, as many at once as there are slots for", async () => {
    const jobs = [job("a"), job("b", 2), job("c")];
    const run = new JobQueue(jobs, 2, idleFor(0)).run();
    await until("the first runs", () => hasBegun("a"));
    go("a");
    await until("the second runs", () => hasBegun("b"));
    assertEquals(begun().sort(), ["a", "b"]);
    go("b");
    go("c");
    const finished = await run;
    assertEquals(finished.map(({ job }) => job.title), ["a", "b", "c"]);
    assertEquals(finished.map(({ succeeded }) => succeeded), [true, true, true]);
  });

  it("run twice as many where the processors have nothing to do", async () => {
    const names = ["d", "e", "f", "g", "h"];
    const run = new JobQueue(names.map((name) => job(name)), 2, idleFor(0.9)).run();
    await until("four run", () => ["d", "e", "f", "g"].every(hasBegun));
    assertEquals(hasBegun("h"), false);
    for (const name of names) go(name);
    assertEquals((await run).length, 5);
  });

  it("are told apart by what processors worked for them", {
    timeout: 60_000,
    skip: process.platform === "linux" ? false : "only Linux tells a process of its children",
  }, async () => {
    const work = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
    const jobs = [
      { title: "works", command: ["sh", "-c", work], slots: 1 },
      { title: "waits", command: ["sleep", "0.3"], slots: 1 },
    ];
    const [works, waits] = await new JobQueue(jobs, 1, idleFor(0)).run();
    assertGreater(works!.workSeconds!, waits!.workSeconds!);
    assertLess(waits!.workSeconds!, 0.1);
  });

  it("are all run and noted where several end at once", { timeout: 60_000 }, async () => {
    // With no more than the spare slots free, the first that is noted leaves no room for the last job.
    for (let i = 0; i < 3; i++) {
      const name = (at: number) => `at once ${i} ${at}`;
      const run = new JobQueue([0, 1, 2, 3, 4].map((at) => job(name(at))), 2, idleFor(0.9)).run();
      await until("four run", () => [0, 1, 2, 3].every((at) => hasBegun(name(at))));
      for (let at = 0; at < 5; at++) go(name(at));
      // All four have ended before this process notices.
      const untilMs = performance.now() + 150;
      while (performance.now() < untilMs);
      assertEquals((await run).length, 5);
    }
  });

  it("fail by their status, and where there is no such program", async () => {
    const jobs = [
      { title: "fails", command: ["sh", "-c", "exit 3"], slots: 1 },
      { title: "isn't there", command: [join(folder, "none")], slots: 9 },
    ];
    const finished = await new JobQueue(jobs, 2, idleFor(0)).run();
    assertEquals(finished.map(({ succeeded }) => succeeded), [false, false]);
  });
});
