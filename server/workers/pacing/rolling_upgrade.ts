import type { Logger } from "@logtape/logtape";

/** A worker, as a rolling upgrade sees it. */
export interface Replaceable {
  /** Its name in the log, which its successor takes over. */
  readonly name: string;
  readonly pid: number;
  readonly hasEnded: boolean;
}

/** The parts of the supervisor that a rolling upgrade uses. */
export interface RollHost<Worker extends Replaceable> {
  /** All present workers. */
  readonly workers: Iterable<Worker>;
  /**
   * Starts a worker that will take the place of one that still serves. Resolves when it is linked with all
   * others and accepts clients; or with `undefined` if the predecessor is ending anyway, and gets its
   * successor then.
   *
   * @throws {Error} (rejects) if the successor doesn't come up.
   */
  succeed(predecessor: Worker): Promise<Worker | undefined>;
  /** Ends a worker gracefully because its successor serves. Resolves when its process is gone. */
  retire(predecessor: Worker): Promise<void>;
}

/**
 * Replaces a server's workers, one after the other, by what is on disk. So there is at most one more than
 * usual, and as many as usual serve all the time. A successor that doesn't come up, or dies before the next
 * worker's turn, ends the roll.
 */
export class RollingUpgrade<Worker extends Replaceable> {
  readonly #host: RollHost<Worker>;
  readonly #logger: Logger;
  #rolling: Promise<void> | undefined;
  /** True if a roll was asked for meanwhile: what is on disk may be newer than the first successors. */
  #isAskedAgain = false;
  #isStopped = false;

  constructor(host: RollHost<Worker>, logger: Logger) {
    this.#host = host;
    this.#logger = logger;
  }

  /** Replaces all workers. During a roll it asks for one more roll after it, however often it is called. */
  request(): void {
    const isNews = !this.#isAskedAgain;
    this.#isAskedAgain = true;
    if (this.#rolling === undefined) this.#rolling = this.#rollWhileAsked();
    else if (isNews) {
      this.#logger.info(
        "workers are being replaced already; all are replaced once more after that",
      );
    }
  }

  /** Replaces no more workers, because the server stops. */
  stop(): void {
    this.#isStopped = true;
  }

  async #rollWhileAsked(): Promise<void> {
    while (this.#isAskedAgain && !this.#isStopped) {
      this.#isAskedAgain = false;
      await this.#roll();
    }
    this.#rolling = undefined;
  }

  async #roll(): Promise<void> {
    const old = [...this.#host.workers].sort((a, b) =>
      a.name.localeCompare(b.name, "en", { numeric: true })
    );
    const successors: Worker[] = [];
    this.#logger.info("replacing {count} workers, one after the other", { count: old.length });
    for (const worker of old) {
      if (this.#isStopped) return;
      const { name } = worker;
      try {
        const successor = await this.#host.succeed(worker);
        if (successor === undefined || this.#isStopped) continue;
        successors.push(successor);
        const { pid } = successor;
        this.#logger.info("{worker} (pid {pid}) serves in the place of pid {old_pid}, which ends", {
          worker: name,
          pid,
          old_pid: worker.pid,
        });
        await this.#host.retire(worker);
      } catch (error) {
        if (!this.#isStopped) this.#fail(successors.length, old.length, name, error);
        return;
      }
      const dead = successors.find((successor) => successor.hasEnded);
      if (dead !== undefined && !this.#isStopped) {
        const reason = new Error("it ended soon after it had begun to serve");
        return this.#fail(successors.length, old.length, dead.name, reason);
      }
    }
    if (!this.#isStopped) this.#logger.info("all workers are replaced");
  }

  #fail(done: number, all: number, name: string, error: unknown): void {
    const { message } = error as Error;
    this.#logger.error(
      "the successor of {worker} failed: {error}. {done} of {all} workers are replaced; no other " +
        "is, and they serve on. Mend what is on disk, and send SIGUSR2 again",
      { worker: name, error: message, done, all },
    );
  }
}
