import type { Logger } from "@logtape/logtape";
import type { OverdueProcess, UnreachableProcess } from "../cluster/backplane.ts";
import type { WorkerProcess } from "./worker_process.ts";
import { TEXT } from "../log/format.ts";

/** Milliseconds between two pings of a worker, and for its answer. */
const PING_INTERVAL_MS = 2_000;
const PING_DEADLINE_MS = 10_000;

/** Milliseconds for its answer if other workers wait for it, and have had no sign of life for a second. */
const EXAMINATION_MS = 2_000;

/** Ends workers that give no sign of life, and workers that others can't reach. */
export class LivenessMonitor {
  readonly #workers: ReadonlySet<WorkerProcess>;
  readonly #logger: Logger;
  /** Workers that are being asked whether they are only busy. */
  readonly #examined = new Set<WorkerProcess>();
  /** Workers that are being ended because others can't be linked with them. */
  readonly #separated = new WeakSet<WorkerProcess>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param workers The workers that have a process; the caller keeps it up to date. */
  constructor(workers: ReadonlySet<WorkerProcess>, logger: Logger) {
    this.#workers = workers;
    this.#logger = logger;
  }

  /** Begins to ping the workers. Workers that start are pinged too, since they end without a message. */
  start(): void {
    this.#timer = setInterval(() => this.#pingAll(), PING_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * Ends a worker for which too much waits in another one, unless it answers, and so is only busy. After
   * {@linkcode PING_DEADLINE_MS} of silence towards the other worker it is ended in any case.
   */
  async examine({ path, owedBytes, silentMs }: OverdueProcess): Promise<void> {
    const worker = this.#workerAt(path);
    if (worker === undefined || this.#examined.has(worker)) return;
    this.#examined.add(worker);
    const isAlive = silentMs < PING_DEADLINE_MS && await Promise.race([
      worker.order({ do: "ping" }).then(() => true, () => true),
      new Promise<false>((resolve) => setTimeout(() => resolve(false), EXAMINATION_MS)),
    ]);
    this.#examined.delete(worker);
    if (isAlive || worker.hasEnded) return;
    this.#logger.error(
      "{worker} has taken nothing from another worker for {text.seconds} s, and {owed_bytes} bytes wait " +
        "for it; " +
        "it is ended",
      {
        worker: worker.name,
        silent_ms: Math.round(silentMs),
        owed_bytes: owedBytes,
        [TEXT]: { seconds: (silentMs / 1000).toFixed(1) },
      },
    );
    worker.kill();
  }

  /** Ends one of two workers between which no link can be made. */
  separate(reporter: WorkerProcess, process: UnreachableProcess): void {
    const { path, isOwnFault, downMs, cause } = process;
    const other = this.#workerAt(path);
    // Both workers report the same broken link.
    if (other === undefined || this.#separated.has(reporter) || this.#separated.has(other)) return;
    const ended = isOwnFault ? reporter : other;
    this.#separated.add(ended);
    this.#logger.error(
      "{worker} has had no link to {peer} for {text.seconds} s ({cause}); {ended} is ended",
      {
        worker: reporter.name,
        peer: other.name,
        down_ms: Math.round(downMs),
        cause,
        ended: ended.name,
        [TEXT]: { seconds: (downMs / 1000).toFixed(1) },
      },
    );
    ended.kill();
  }

  #pingAll(): void {
    for (const worker of this.#workers) {
      const ponged = worker.order({ do: "ping" }).catch(() => {});
      // A worker that starts has a deadline of its own.
      if (worker.phase === "starting") continue;
      const deadline = setTimeout(() => {
        this.#logger.error("{worker} gives no sign of life; it is ended", { worker: worker.name });
        worker.kill();
      }, PING_DEADLINE_MS);
      ponged.finally(() => clearTimeout(deadline));
    }
  }

  #workerAt(path: string): WorkerProcess | undefined {
    return [...this.#workers].find(({ socketPath }) => socketPath === path);
  }
}
