import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@logtape/logtape";
import { TEXT } from "../log/format.ts";
import { settledWithin } from "../timing/settled_within.ts";
import { RestartSchedule } from "./pacing/restart_schedule.ts";
import { RollingUpgrade } from "./pacing/rolling_upgrade.ts";
import { STOP_PATIENCE_MS, TAKING_PATIENCE_MS } from "./stop_workers.ts";
import type { WorkerProcess } from "./worker_process.ts";

/** Milliseconds within which a signal to the process group reaches workers and supervisor alike. */
export const GROUP_SIGNAL_MS = 100;

/** Milliseconds between two checks whether a worker that is starting serves, so that it can be replaced. */
const LOOK_MS = 50;

/** Milliseconds for which a successor must serve before its predecessor is asked to end. */
const PROOF_MS = 1_000;

/** The parts of the supervisor that a {@linkcode Succession} uses. */
export interface SuccessionHost {
  /** The workers' names in the log. A successor has its predecessor's name. */
  readonly names: readonly string[];
  /** The workers that have a process. */
  readonly workers: ReadonlySet<WorkerProcess>;
  /** Milliseconds over which a worker that ends closes its connections. */
  readonly drainMs: number;
  readonly logger: Logger;
  /** Starts a worker; it accepts no clients yet. @throws {Error} (rejects) if it doesn't come up. */
  start(name: string): Promise<WorkerProcess>;
  /** Lets a worker accept clients. @throws {Error} (rejects) if it ends, or can't listen. */
  open(worker: WorkerProcess): Promise<void>;
  /** Called before a worker is asked to end while the others go on. */
  onLeaving(worker: WorkerProcess): Promise<void>;
  /** Called for each restart after a death. */
  onRestart(): void;
  /** Called with the reason when no worker is left and none can be started. */
  onHopeless(reason: string): void;
}

/** Gives each worker a successor: when it dies, when a signal asks it to end, and in a rolling upgrade. */
export class Succession {
  readonly #host: SuccessionHost;
  readonly #restarts = new RestartSchedule();
  readonly #upgrade: RollingUpgrade<WorkerProcess>;
  /** The worker that a roll replaces, from before its successor starts until it is gone. */
  #succeeded: WorkerProcess | undefined;
  /** True once signals to workers mean that all shall stop. */
  #isAboutToStop = false;
  #isStopped = false;

  constructor(host: SuccessionHost) {
    this.#host = host;
    this.#upgrade = new RollingUpgrade({
      workers: host.workers,
      succeed: (predecessor) => this.#succeed(predecessor),
      retire: (predecessor) => this.#retire(predecessor),
    }, host.logger);
  }

  /** Replaces all workers by what is on disk; see {@linkcode RollingUpgrade.request}. */
  roll(): void {
    this.#upgrade.request();
  }

  /** From now on a signal to a worker means that the whole server stops: it gets no successor. */
  prepareStop(): void {
    this.#isAboutToStop = true;
  }

  /** Starts no more successors. */
  stop(): void {
    this.#isStopped = true;
    this.#upgrade.stop();
  }

  /** Gives a worker that serves a successor as soon as it has ended. */
  watch(worker: WorkerProcess): void {
    worker.ended.then((death) => {
      if (this.#succeeded !== worker) this.#follow(worker, death);
    });
  }

  /** Ends one worker gracefully, because it got a signal, and lets a new one take its place. */
  async replace(worker: WorkerProcess): Promise<void> {
    await sleep(GROUP_SIGNAL_MS);
    if (this.#isAboutToStop || this.#isStopped || worker.phase === "leaving") return;
    const { logger } = this.#host;
    logger.info("{worker} was asked to end; a new one follows", { worker: worker.name });
    const death = this.#deathOf(worker);
    await this.#end(worker);
    await death;
  }

  /** Starts the successor of a worker that has ended. */
  #follow(worker: WorkerProcess, death: string): void {
    if (this.#isStopped) return;
    if (worker.phase === "leaving") void this.#join(worker.name);
    else void this.#restart(worker.name, `ended ${death}`, worker.servedMs);
  }

  /**
   * Starts a new worker after a wait. The others serve on, whatever becomes of it.
   *
   * @param what Says in the log how the last one ended.
   * @param servedMs Milliseconds for which the last one has served.
   */
  async #restart(name: string, what: string, servedMs: number): Promise<void> {
    const { workers, names, logger } = this.#host;
    const waitMs = this.#restarts.noteDeath(name, servedMs);
    this.#host.onRestart();
    if (workers.size === 0 && this.#restarts.isHopeless(names)) {
      const reason = `no worker is left and none can be started, the last one, ${name}, ${what}`;
      return this.#host.onHopeless(reason);
    }
    const serving = [...workers].filter(({ phase }) => phase === "serving").length;
    logger.error("{worker} {text.what}; {left} of {all} left; a new one starts in {wait_ms} ms", {
      worker: name,
      left: serving,
      all: names.length,
      wait_ms: waitMs,
      [TEXT]: { what },
    });
    await sleep(waitMs);
    if (!this.#isStopped) void this.#join(name);
  }

  /** Starts a worker in the place of one that has gone. */
  async #join(name: string): Promise<void> {
    let worker: WorkerProcess | undefined;
    try {
      worker = await this.#host.start(name);
      await this.#host.open(worker);
      this.watch(worker);
      const { pid } = worker;
      this.#host.logger.info("{worker} has joined (pid {pid})", { worker: name, pid });
    } catch (error) {
      // It was asked to end before it served.
      if (worker?.phase === "leaving") return this.#follow(worker, await this.#deathOf(worker));
      worker?.kill();
      await worker?.ended;
      const { message } = error as Error;
      if (!this.#isStopped) void this.#restart(name, `can't be started: ${message}`, 0);
    }
  }

  /** Ends a worker gracefully, while the others go on. */
  async #end(worker: WorkerProcess): Promise<void> {
    worker.phase = "leaving";
    await this.#host.onLeaving(worker);
    await worker.order({ do: "drain" }).catch(() => {});
    worker.isListening = false;
    await worker.order({ do: "stop" }).catch(() => {});
  }

  /** See `RollHost.succeed`. */
  async #succeed(predecessor: WorkerProcess): Promise<WorkerProcess | undefined> {
    const isGoing = () => {
      return predecessor.hasEnded || predecessor.phase === "leaving" || this.#isStopped;
    };
    while (predecessor.phase !== "serving" && !isGoing()) await sleep(LOOK_MS);
    if (isGoing()) return undefined;
    this.#succeeded = predecessor;
    let worker: WorkerProcess | undefined;
    try {
      worker = await this.#host.start(predecessor.name);
      await this.#host.open(worker);
      await this.#prove(worker);
      this.watch(worker);
      return worker;
    } catch (error) {
      worker?.kill();
      // The predecessor may have ended meanwhile, and this was its only successor.
      const death = predecessor.hasEnded ? await predecessor.ended : undefined;
      this.#succeeded = undefined;
      if (death !== undefined) this.#follow(predecessor, death);
      throw error;
    }
  }

  /** Waits for {@linkcode PROOF_MS}. @throws {Error} (rejects) if the worker ends before. */
  async #prove(worker: WorkerProcess): Promise<void> {
    await settledWithin(PROOF_MS, [worker.ended]);
    if (!worker.hasEnded) return;
    throw new Error(`it ended ${await worker.ended} when it had just begun to serve`);
  }

  /** See `RollHost.retire`. */
  async #retire(predecessor: WorkerProcess): Promise<void> {
    const death = this.#deathOf(predecessor);
    await this.#end(predecessor);
    await death;
    this.#succeeded = undefined;
  }

  /** Resolves when a worker that is asked to end has ended, which is done for it if it takes too long. */
  async #deathOf(worker: WorkerProcess): Promise<string> {
    const patienceMs = STOP_PATIENCE_MS + this.#host.drainMs + TAKING_PATIENCE_MS;
    const patience = setTimeout(() => {
      this.#host.logger.error("{worker} takes longer than {seconds} s to end; it is ended", {
        worker: worker.name,
        seconds: patienceMs / 1000,
      });
      worker.kill();
    }, patienceMs);
    const death = await worker.ended;
    clearTimeout(patience);
    return death;
  }
}
