import { setTimeout as sleep } from "node:timers/promises";
import type { Joined } from "../joining/joining.ts";
import type { NatsOptions } from "./nats_transport.ts";

/** Milliseconds before another worker is asked, if one can't take the uplink. */
const RETRY_MS = 1_000;

/** Milliseconds for which a worker that ends waits until another one has taken the uplink. */
const HAND_OVER_MS = 2_000;

/** A worker of a machine. */
export interface UplinkWorker {
  readonly phase: string;
  readonly hasEnded: boolean;
  /** Milliseconds for which it has served. */
  readonly servedMs: number;
  readonly ended: Promise<unknown>;
  order(
    order:
      | { readonly do: "hold_cluster"; readonly nats: NatsOptions }
      | { readonly do: "let_go_cluster" },
  ): Promise<unknown>;
  /** Lets it copy the history of another machine. */
  joinCluster(): Promise<Joined>;
}

/** The parts of a supervisor that an {@linkcode UplinkHolder} uses. */
export interface UplinkHolderHost<Worker extends UplinkWorker> {
  /** The workers that have a process; their owner keeps them up to date. */
  readonly workers: ReadonlySet<Worker>;
  readonly nats: NatsOptions;
  /** A worker can't take the uplink. */
  onFault(worker: Worker, error: Error): void;
}

/**
 * Says which worker speaks with the other machines of a cluster: one at a time, and another one as soon as it has
 * ended. Each worker has what the others need, so none of it must be handed over. Two that hold the uplink for a
 * moment do no harm, since what comes twice is dropped.
 */
export class UplinkHolder<Worker extends UplinkWorker> {
  readonly #host: UplinkHolderHost<Worker>;
  #holder: Worker | undefined;
  #ensuring: Promise<void> | undefined;
  #isStopped = false;

  constructor(host: UplinkHolderHost<Worker>) {
    this.#host = host;
  }

  /**
   * Gives the uplink to the first worker, which copies the history of another machine before it has clients.
   *
   * @throws {Error} (rejects) if the worker can't use it, or ends.
   */
  async begin(worker: Worker): Promise<Joined> {
    await this.#give(worker);
    return await worker.joinCluster();
  }

  /** Sees to it that a worker holds the uplink. To be called when one serves. */
  ensure(): void {
    this.#ensuring ??= this.#ensure().finally(() => this.#ensuring = undefined);
  }

  /** Gives the uplink to another worker, if this one holds it; it is about to end while others go on. */
  async replace(worker: Worker): Promise<void> {
    if (this.#holder !== worker) return;
    this.#holder = undefined;
    this.ensure();
    await Promise.race([this.#ensuring, sleep(HAND_OVER_MS)]);
    // Without another worker the machine leaves the cluster with this one.
    if (this.#holder !== undefined) await worker.order({ do: "let_go_cluster" }).catch(() => {});
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #ensure(): Promise<void> {
    while (!this.#isStopped && this.#holder === undefined) {
      // The one that has served for longest: the others may be new because they die.
      const [worker] = [...this.#host.workers].filter(({ phase }) => phase === "serving")
        .sort((a, b) => b.servedMs - a.servedMs);
      if (worker === undefined) return;
      try {
        await this.#give(worker);
      } catch (error) {
        if (!worker.hasEnded) this.#host.onFault(worker, error as Error);
        await sleep(RETRY_MS);
      }
    }
  }

  async #give(worker: Worker): Promise<void> {
    await worker.order({ do: "hold_cluster", nats: this.#host.nats });
    if (worker.hasEnded || worker.phase === "leaving") return;
    this.#holder = worker;
    worker.ended.then(() => {
      if (this.#holder !== worker) return;
      this.#holder = undefined;
      this.ensure();
    });
  }
}
