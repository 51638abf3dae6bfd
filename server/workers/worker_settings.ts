import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@logtape/logtape";
import type { TlsIdentity } from "../../runtime/types.ts";
import type { AccessOptions } from "../access/access.ts";
import type { Order } from "./control.ts";
import { settledWithin } from "../timing/settled_within.ts";
import type { WorkerProcess } from "./worker_process.ts";

/** The settings that workers get when they begin to listen, and again when they change. */
export interface Settings {
  /** The TLS identity; `null` for plain TCP. */
  readonly tls: TlsIdentity | null;
  /** The access rules. */
  readonly access: AccessOptions;
}

/** An order that changes them. */
type SettingsOrder = Extract<Order, { do: "renew" | "set_access" }>;

/** Milliseconds for which a change of settings waits for workers that don't answer. */
const ANSWER_PATIENCE_MS = 5_000;

/** Milliseconds before a worker that failed is told again; they double each time, up to the longest. */
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

/**
 * Keeps all workers' settings the same. A worker that hangs gets them when it goes on, a worker that fails
 * to use them is told again, and a new worker begins with them.
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

  /** Sets another TLS identity. Resolves when all workers have it, or after {@linkcode ANSWER_PATIENCE_MS}. */
  async renew(tls: TlsIdentity, workers: Iterable<WorkerProcess>): Promise<void> {
    this.#current = { ...this.#current, tls };
    await this.#tellAll({ do: "renew", tls }, () => this.#current.tls === tls, workers);
  }

  /** Sets other access rules. Resolves when all workers have them, or after the same time. */
  async setAccess(access: AccessOptions, workers: Iterable<WorkerProcess>): Promise<void> {
    this.#current = { ...this.#current, access };
    await this.#tellAll(
      { do: "set_access", access },
      () => this.#current.access === access,
      workers,
    );
  }

  /**
   * Tells a worker that has begun to listen what has changed meanwhile.
   *
   * @param told The settings with which it began.
   */
  async catchUp(worker: WorkerProcess, told: Settings): Promise<void> {
    const { tls, access } = this.#current;
    if (tls !== null && tls !== told.tls) await worker.order({ do: "renew", tls });
    if (access !== told.access) await worker.order({ do: "set_access", access });
  }

  async #tellAll(
    order: SettingsOrder,
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
      this.#logger.warn("{worker} hasn't followed yet: it will when it can", { worker: name });
    }
  }

  /** Tells a worker until it has followed or ended, or there are newer settings. */
  async #tell(
    worker: WorkerProcess,
    order: SettingsOrder,
    isCurrent: () => boolean,
  ): Promise<void> {
    for (let waitMs = FIRST_RETRY_MS;; waitMs = Math.min(waitMs * 2, LONGEST_RETRY_MS)) {
      try {
        await worker.order(order);
        return;
      } catch (error) {
        // The successor of a worker that has ended begins with the current settings.
        if (worker.hasEnded) return;
        const { message } = error as Error;
        this.#logger.error("{worker} stays as it was, and is told again in {wait_ms} ms: {error}", {
          worker: worker.name,
          wait_ms: waitMs,
          error: message,
        });
      }
      await sleep(waitMs);
      if (worker.hasEnded || !isCurrent()) return;
    }
  }
}
