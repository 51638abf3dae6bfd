import type { ChildProcess } from "node:child_process";
import { startChild } from "../../cli/child.ts";
import { ChildCalls } from "../../cli/child_calls.ts";
import { SERVER_MEMORY_FLAGS } from "../../cli/deno_flags.ts";
import type { Address, Runtime } from "../../runtime/types.ts";
import type { OverdueProcess, UnreachableProcess } from "../cluster/backplane.ts";
import type { CensusMessage, LedgerMessage, Order, Report } from "./control.ts";
import type { Claim, Notice } from "../lending/terms.ts";
import type { Census } from "../shares/census.ts";

/** How a worker's process ended, in words: `with status 1`, `by SIGKILL`. */
export type Death = string;

/** What a worker tells by itself. */
export interface WorkerEvents {
  /** Somebody asked this one process to end. */
  onSignal(worker: WorkerProcess): void;
  /** It claims some of what the workers lend each other. */
  onClaims(worker: WorkerProcess, claims: readonly Claim[]): void;
  /** It says that another worker gives no sign of life. */
  onOverdue(overdue: OverdueProcess): void;
  /** It says that it can't be linked with another worker any more. */
  onUnreachable(worker: WorkerProcess, unreachable: UnreachableProcess): void;
  /** It says what its addresses hold, and may ask the same about the others'. */
  onCensus(worker: WorkerProcess, census: Census, asks: boolean): void;
}

/**
 * The life of a worker: it loads its program (`starting`), comes to be linked with the others and to
 * listen (`linking`), accepts clients (`serving`), and was asked to end by itself (`leaving`).
 */
export type WorkerPhase = "starting" | "linking" | "serving" | "leaving";

/** A worker's process, as its supervisor sees it. */
export class WorkerProcess {
  /** Its name in the log. */
  readonly name: string;
  /** For its supervisor to set. */
  phase: WorkerPhase = "starting";
  /** Whether it listens for clients. */
  isListening = false;
  /** When it began to serve, as `performance.now()` has it. */
  servingSinceMs: number | undefined;
  /** Where it listens for the other workers: a name that is no file. */
  readonly socketPath: string;
  /** Resolves when the process has ended. */
  readonly ended: Promise<Death>;
  readonly #child: ChildProcess;
  readonly #calls: ChildCalls<Order, Address | null>;
  #hasEnded = false;

  constructor(name: string, socketPath: string, child: ChildProcess, events: WorkerEvents) {
    this.name = name;
    this.socketPath = socketPath;
    this.#child = child;
    this.#calls = new ChildCalls(child);
    child.on("message", (report: Report) => {
      if ("census" in report) events.onCensus(this, report.census, report.asks);
      else if ("claims" in report) events.onClaims(this, report.claims);
      else if ("overdue" in report) events.onOverdue(report.overdue);
      else if ("unreachable" in report) events.onUnreachable(this, report.unreachable);
      else if ("signal" in report) events.onSignal(this);
      else if ("failed" in report) this.#calls.fail(report.id, new Error(report.failed));
      else this.#calls.settle(report.id, report.done);
    });
    this.ended = new Promise((resolve) => {
      child.on("exit", (status, signal) => {
        const death = signal === null ? `with status ${status}` : `by ${signal}`;
        this.#hasEnded = true;
        this.#calls.end(new Error(`${name} ended ${death}`));
        resolve(death);
      });
    });
  }

  /**
   * Starts a worker's process.
   *
   * @param prefix Begins the name of its socket.
   * @throws {Error} (rejects) if no process can be started.
   */
  static async spawn(
    runtime: Runtime,
    name: string,
    prefix: string,
    events: WorkerEvents,
  ): Promise<WorkerProcess> {
    const child = await startChild(runtime, import.meta.resolve("./worker.ts"), [
      SERVER_MEMORY_FLAGS,
      "--allow-net",
    ]);
    return new WorkerProcess(name, `${prefix}${name}-${child.pid}`, child, events);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Milliseconds for which it has served. */
  get servedMs(): number {
    return this.servingSinceMs === undefined ? 0 : performance.now() - this.servingSinceMs;
  }

  /**
   * Gives an order and waits for the answer.
   *
   * @throws {Error} (rejects) if the worker can't do it, or ends before it has.
   */
  order(order: Order): Promise<Address | null> {
    return this.#calls.make(order);
  }

  /** Tells what the ledger says. */
  lend(notices: readonly Notice[], isAnswer: boolean): void {
    this.#tell({ notices, isAnswer });
  }

  askCensus(): void {
    this.#tell({ census: "wanted" });
  }

  tellCensuses(others: readonly Census[]): void {
    this.#tell({ census: others });
  }

  /** Ends the process at once. */
  kill(): void {
    // Deno lets a process signal its own children, but not by their ids.
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
  }

  #tell(message: LedgerMessage | CensusMessage): void {
    this.#calls.tell(message);
  }
}
