import { assertEquals } from "@std/assert";
import type { Logger } from "@logtape/logtape";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { WorkerPhase } from "../../../server/workers/worker_process.ts";
import { LivenessMonitor } from "../../../server/workers/liveness_monitor.ts";
import { linesOf, recordsOf } from "../../support/logged.ts";
import { VirtualTimers } from "../../support/virtual_timers.ts";
import { fakeWorker } from "./fake_child.ts";

/** Two workers, the first of which answers, and the second doesn't. */
function twoWorkers(phase?: WorkerPhase) {
  const [lively, silent] = [fakeWorker(1), fakeWorker(2, phase)];
  silent.child.answers = ["nothing"];
  const workers = new Set([lively.worker, silent.worker]);
  const watch = (logger: Logger) => new LivenessMonitor(workers, logger);
  const killed = () => [lively.child.killedBy, silent.child.killedBy];
  return { watch, lively, silent, killed };
}

describe("the supervisor's watch over its workers", () => {
  let timers: VirtualTimers;
  beforeEach(() => timers = new VirtualTimers());
  afterEach(() => timers.restore());

  it("ends one that gives no sign of life for ten seconds, and says so", async () => {
    const { watch, lively, killed } = twoWorkers();
    const records = await recordsOf(async (logger) => {
      const monitor = watch(logger);
      monitor.start();
      await timers.passSeconds(11);
      assertEquals(killed(), [undefined, undefined]);
      await timers.passSeconds(1);
      assertEquals(killed(), [undefined, "SIGKILL"]);
      await timers.passSeconds(60);
      monitor.stop();
    });
    assertEquals(linesOf(records), ["error: worker-2 gives no sign of life; it is ended"]);
    const asked = lively.child.orders.length;
    assertEquals(lively.child.orders[0], { do: "ping" });
    await timers.passSeconds(60);
    assertEquals(lively.child.orders.length, asked, "it is asked no more");
  });

  it("lets one be that answers in time, or only starts", async () => {
    const { watch, silent, killed } = twoWorkers("starting");
    const busy = twoWorkers();
    const records = await recordsOf(async (logger) => {
      const monitors = [watch(logger), busy.watch(logger)];
      for (const one of monitors) one.start();
      for (let i = 0; i < 10; i++) {
        await timers.passSeconds(9);
        busy.silent.child.goOn();
      }
      for (const one of monitors) one.stop();
    });
    assertEquals([killed(), busy.killed()], [[undefined, undefined], [undefined, undefined]]);
    assertEquals(silent.child.orders.length > 0, true, "it is asked all the same");
    assertEquals(records, []);
  });

  it("ends one for which too much waits, unless it answers within two seconds", async () => {
    const { watch, lively, silent, killed } = twoWorkers();
    const records = await recordsOf(async (logger) => {
      const monitor = watch(logger);
      const overdue = { owedBytes: 77, silentMs: 1_234 };
      for (const { worker } of [lively, silent]) {
        void monitor.examine({ ...overdue, path: worker.socketPath });
      }
      // Another worker says so too.
      void monitor.examine({ ...overdue, path: silent.worker.socketPath });
      void monitor.examine({ ...overdue, path: "@worker-3-1" });
      await timers.passSeconds(1);
      assertEquals(killed(), [undefined, undefined]);
      await timers.passSeconds(1);
    });
    assertEquals(killed(), [undefined, "SIGKILL"]);
    assertEquals(linesOf(records), [
      "error: worker-2 has taken nothing from another worker for 1.2 s, and 77 bytes wait for it; it is " +
      "ended",
    ]);
    assertEquals([lively, silent].map(({ child }) => child.orders.length), [1, 1]);
  });

  it("ends one in any case that has taken nothing for ten seconds", async () => {
    const { watch, lively, killed } = twoWorkers();
    await recordsOf((logger) =>
      watch(logger).examine({ path: lively.worker.socketPath, owedBytes: 1, silentMs: 10_000 })
    );
    assertEquals(killed(), ["SIGKILL", undefined]);
  });

  it("says nothing of one that ends by itself before or while it is examined", async () => {
    const { watch, silent } = twoWorkers();
    const records = await recordsOf(async (logger) => {
      const monitor = watch(logger);
      const path = silent.worker.socketPath;
      const examined = monitor.examine({ path, owedBytes: 1, silentMs: 1_000 });
      silent.child.emit("exit", 0, null);
      await examined;
      await monitor.examine({ path, owedBytes: 1, silentMs: 10_000 });
    });
    assertEquals([records, silent.child.killedBy], [[], undefined]);
  });

  for (const isOwnFault of [true, false]) {
    const which = isOwnFault ? "that lacks something" : "that can't be reached";
    it(`ends that of two ${which}, once, where both say that no link can be made`, async () => {
      const { watch, lively, silent, killed } = twoWorkers();
      const records = await recordsOf((logger) => {
        const monitor = watch(logger);
        const fault = { downMs: 30_040, cause: "no descriptor is left" };
        const [one, other] = [lively.worker, silent.worker];
        monitor.separate(one, { ...fault, path: other.socketPath, isOwnFault });
        monitor.separate(other, { ...fault, path: one.socketPath, isOwnFault: !isOwnFault });
        monitor.separate(one, { ...fault, path: "@worker-3-1", isOwnFault });
      });
      assertEquals(killed(), isOwnFault ? ["SIGKILL", undefined] : [undefined, "SIGKILL"]);
      assertEquals(linesOf(records), [
        "error: worker-1 has had no link to worker-2 for 30.0 s (no descriptor is left); " +
        `worker-${isOwnFault ? 1 : 2} is ended`,
      ]);
    });
  }
});
