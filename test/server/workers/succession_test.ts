import { assertEquals } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { describe, it } from "node:test";
import { Succession } from "../../../server/workers/succession.ts";
import type { WorkerPhase, WorkerProcess } from "../../../server/workers/worker_process.ts";
import { until } from "../../support/until.ts";

/** A worker without a process, which ends as soon as it is asked to stop. */
class FakeWorker {
  readonly name = "worker-1";
  readonly pid: number;
  readonly servedMs = 10_000;
  readonly orders: string[] = [];
  readonly ended: Promise<string>;
  phase: WorkerPhase = "linking";
  isListening = false;
  wasKilled = false;
  hasEnded = false;
  readonly #end: (death: string) => void;

  constructor(pid: number) {
    this.pid = pid;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ended = promise;
    this.#end = (death) => {
      this.hasEnded = true;
      resolve(death);
    };
  }

  order({ do: what }: { readonly do: string }): Promise<null> {
    this.orders.push(what);
    if (what === "stop") this.#end("with status 0");
    return Promise.resolve(null);
  }

  kill(): void {
    this.wasKilled = true;
    this.#end("by SIGKILL");
  }
}

describe("a worker that is asked to end before it serves", () => {
  it("ends in order, and is followed by one that serves", async () => {
    const workers = new Set<FakeWorker>();
    const started: FakeWorker[] = [];
    const opened = Promise.withResolvers<void>();
    let restarts = 0;
    const succession = new Succession({
      names: ["worker-1"],
      workers: workers as unknown as ReadonlySet<WorkerProcess>,
      drainMs: 0,
      logger: getLogger("not configured"),
      start: () => {
        const worker = new FakeWorker(started.length);
        started.push(worker);
        return Promise.resolve(worker as unknown as WorkerProcess);
      },
      // As the launcher does: it looks before it lets the worker listen.
      open: async (worker) => {
        if (started.length === 2) await opened.promise;
        if (worker.phase === "leaving") throw new Error("it was asked to end");
        worker.phase = "serving";
      },
      onLeaving: () => Promise.resolve(),
      onRestart: () => restarts++,
      onHopeless: () => {},
    });
    const first = new FakeWorker(-1);
    first.phase = "serving";
    succession.watch(first as unknown as WorkerProcess);
    first.kill();
    await until("its successor starts", () => started.length === 1 && restarts === 1);
    await until("it serves", () => started[0]!.phase === "serving");
    started[0]!.kill();
    await until("the next one starts", () => started.length === 2);
    const [, second] = started;
    await succession.replace(second as unknown as WorkerProcess);
    opened.resolve();
    await until("a third one serves", () => started[2]?.phase === "serving");
    assertEquals(second!.orders, ["drain", "stop"]);
    assertEquals([second!.wasKilled, restarts], [false, 2]);
    succession.stop();
  });
});
