import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@logtape/logtape";
import type { TlsIdentity } from "../../runtime/types.ts";
import type { AccessOptions } from "../access/access.ts";
import type { Order } from "./control.ts";
import { settledWithin } from "./stop_workers.ts";
import type { WorkerProcess } from "./worker_process.ts";

/** What workers are told when they begin to listen, and again when it changes. */
export interface Settings {
  /** Who they say they are by TLS; `null` for plain TCP. */
  readonly tls: TlsIdentity | null;
  /** Who may do what. */
  readonly access: AccessOptions;
}

/** How long those who changed the settings wait for workers that don't answer. */
const ANSWER_PATIENCE_MS = 5_000;

/** The wait before a worker that couldn't follow is told again; it doubles each time, up to the longest. */
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

/**
 * Sees to it that all workers come to have the same settings: one that hangs gets them when it goes on, one
 * that can't follow is told again, one that comes listens with them.
 */
export class WorkerSettings {
  readonly #logger: Logger;
  #current: Settings;

  constructor(settings: Settings, logger: Logger) {
    this.#current = settings;
    this.#logger = logger;
  }

  get current(): Settings {
    return this.#current;
  }

  /** Uses another identity, which can be used; resolves when the workers have it, or when they are late. */
  async renew(tls: TlsIdentity, workers: Iterable<WorkerProcess>): Promise<void> {
    this.#current = { ...this.#current, tls };
    await this.#tellAll({ do: "renew", tls }, () => this.#current.tls === tls, workers);
  }

  /** Uses other rules; resolves when the workers have them, or when they are late. */
  async setAccess(access: AccessOptions, workers: Iterable<WorkerProcess>): Promise<void> {
    this.#current = { ...this.#current, access };
    await this.#tellAll(
      { do: "set_access", access },
      () => this.#current.access === access,
      workers,
    );
  }

  /**
   * Tells a worker that listens what has changed while it came to.
   *
   * @param told What it was told then.
   */
  async catchUp(worker: WorkerProcess, told: Settings): Promise<void> {
    const { tls, access } = this.#current;
    if (tls !== null && tls !== told.tls) await worker.order({ do: "renew", tls });
    if (access !== told.access) await worker.order({ do: "set_access", access });
  }

  async #tellAll(
    order: Order,
    isCurrent: () => boolean,
    workers: Iterable<WorkerProcess>,
  ): Promise<void> {
    const late = new Set(workers);
    const telling = [...late].map(async (worker) => {
      await this.#tell(worker, order, isCurrent);
      late.delete(worker);
    });
    await settledWithin(ANSWER_PATIENCE_MS, telling);
    for (const { name } of late) {
      this.#logger.warn("{name} hasn't followed yet: it will when it can", { name });
    }
  }

  /** Tells a worker until it has followed, is no more, or there is something newer. */
  async #tell(worker: WorkerProcess, order: Order, isCurrent: () => boolean): Promise<void> {
    for (let waitMs = FIRST_RETRY_MS;; waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS)) {
      try {
        await worker.order(order);
        return;
      } catch (error) {
        // One that has ended has a successor, which listens with what is current.
        if (worker.hasEnded) return;
        const { message } = error as Error;
        this.#logger.error("{name} stays as it was, and is told again in {waitMs} ms: {message}", {
          name: worker.name,
          waitMs,
          message,
        });
      }
      await sleep(waitMs);
      if (worker.hasEnded || !isCurrent()) return;
    }
  }
}
