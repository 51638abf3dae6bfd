import type { ChildProcess } from "node:child_process";
import { startChild } from "../../cli/child.ts";
import { ChildCalls } from "../../cli/child_calls.ts";
import { SERVER_MEMORY_FLAGS } from "../../cli/deno_flags.ts";
import type { Address, Runtime } from "../../runtime/types.ts";
import type { OverdueProcess, UnreachableProcess } from "../cluster/backplane.ts";
import type {
  CensusMessage,
  LedgerMessage,
  Order,
  OrderAnswer,
  Report,
  VerdictMessage,
} from "./control.ts";
import type { Counters } from "../counters.ts";
import type { PublishReceipt } from "../embedding/local_publisher.ts";
import type { TopicAction, TopicRequest } from "../embedding/topic_permits.ts";
import type { TopicCounts } from "../server_options.ts";
import type { Joined } from "../machines/joining/joining.ts";
import type { HistoryPiece } from "./history_pieces.ts";
import type { Claim, Notice } from "../lending/terms.ts";
import type { Census } from "../shares/census.ts";
import type { Inspection } from "../telemetry/inspection.ts";
import type { TracedFrame } from "../telemetry/tracer.ts";
import type { ProcessReport } from "../telemetry/report.ts";

/** Says how a worker's process ended: `with status 1`, `by SIGKILL`. */
export type Death = string;

/** The reports that a worker sends unasked. */
export interface WorkerEvents {
  /** A signal asked this one process to end. */
  onSignal(worker: WorkerProcess): void;
  /** It claims permits of the limits that hold for all workers. */
  onClaims(worker: WorkerProcess, claims: readonly Claim[]): void;
  /** It shows frames of a trace. */
  onTraced(trace: number, frames: readonly TracedFrame[], skipped: number): void;
  /** It asks for a decision of the program that embeds the server. */
  onAsked(worker: WorkerProcess, asked: number, action: TopicAction, request: TopicRequest): void;
  /** It says what it has counted. */
  onTelemetry(worker: WorkerProcess, report: ProcessReport): void;
  /** It says that another worker gives no sign of life. */
  onOverdue(overdue: OverdueProcess): void;
  /** It says that it can't be linked with another worker any more. */
  onUnreachable(worker: WorkerProcess, unreachable: UnreachableProcess): void;
  /** It sends its census, and may ask for those of the others. */
  onCensus(worker: WorkerProcess, census: Census, asks: boolean): void;
}

/**
 * The phases of a worker. `starting`: it loads its program. `linking`: it is being linked with the others,
 * and about to listen. `serving`: it accepts clients. `leaving`: it was asked to end, while the others go on.
 */
export type WorkerPhase = "starting" | "linking" | "serving" | "leaving";

/** A worker's process, as its supervisor sees it. */
export class WorkerProcess {
  /** Its name in the log. */
  readonly name: string;
  /** Set by its supervisor. */
  phase: WorkerPhase = "starting";
  /** True while it listens for clients. */
  isListening = false;
  /** The time at which it began to serve, by `performance.now()`. */
  servingSinceMs: number | undefined;
  /** The name of its socket for the other workers, which is no file. */
  readonly socketPath: string;
  /** Resolves when the process has ended. */
  readonly ended: Promise<Death>;
  readonly #child: ChildProcess;
  readonly #calls: ChildCalls<Order, OrderAnswer>;
  #hasEnded = false;

  constructor(name: string, socketPath: string, child: ChildProcess, events: WorkerEvents) {
    this.name = name;
    this.socketPath = socketPath;
    this.#child = child;
    this.#calls = new ChildCalls(child);
    child.on("message", (report: Report) => {
      if ("traced" in report) events.onTraced(report.trace, report.traced, report.skipped);
      else if ("asked" in report) {
        events.onAsked(this, report.asked, report.action, report.request);
      } else if ("telemetry" in report) events.onTelemetry(this, report.telemetry);
      else if ("census" in report) events.onCensus(this, report.census, report.asks);
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
   * @param prefix The prefix of its socket's name.
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
  order(
    order: Exclude<Order, { do: "inspect" | "save_history" | "join_cluster" }>,
  ): Promise<Address | null> {
    return this.#calls.make(order) as Promise<Address | null>;
  }

  /**
   * Gets the next piece of what it has stored; it must have retired.
   *
   * @throws {Error} (rejects) if it ends before.
   */
  async savedPiece(): Promise<HistoryPiece | null> {
    return await this.#calls.make({ do: "save_history" }) as HistoryPiece | null;
  }

  /**
   * Asks for the lists of its sessions and topics. A worker without telemetry must not be asked.
   *
   * @throws {Error} (rejects) if the worker ends before it has answered.
   */
  inspect(): Promise<Inspection> {
    return this.#calls.make({ do: "inspect" }) as Promise<Inspection>;
  }

  /**
   * Lets it copy the history of another machine; it must hold the uplink.
   *
   * @throws {Error} (rejects) if it ends before.
   */
  joinCluster(): Promise<Joined> {
    return this.#calls.make({ do: "join_cluster" }) as Promise<Joined>;
  }

  /**
   * Lets it publish a message.
   *
   * @throws {Error} (rejects) if the worker can't, or ends before the message's fate is known.
   */
  publish(message: string): Promise<PublishReceipt> {
    return this.#calls.make({ do: "publish", message }) as Promise<PublishReceipt>;
  }

  /** @throws {Error} (rejects) if the worker ends before it has answered. */
  count(): Promise<Counters> {
    return this.#calls.make({ do: "count" }) as Promise<Counters>;
  }

  /** @throws {Error} (rejects) if the worker ends before it has answered. */
  listTopics(): Promise<readonly TopicCounts[]> {
    return this.#calls.make({ do: "list_topics" }) as Promise<readonly TopicCounts[]>;
  }

  /** Tells the decision for which it has asked. */
  answerAsked(asked: number, isAllowed: boolean): void {
    this.#tell({ asked, isAllowed });
  }

  /** Sends the ledger's notices. */
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
    // Through the child object: Deno doesn't let a process signal its children by their ids.
    if (!this.#hasEnded) this.#child.kill("SIGKILL");
  }

  #tell(message: LedgerMessage | CensusMessage | VerdictMessage): void {
    this.#calls.tell(message);
  }
}
