import process from "node:process";
import { descriptorLimit } from "../../host/descriptor_limit.ts";
import type { Runtime } from "../../runtime/types.ts";
import { processState } from "../admin/local_source.ts";
import { clusterState } from "../admin/cluster_state.ts";
import type {
  AdminSource,
  ClusterState,
  ProcessState,
  WorkerInspection,
  WorkerState,
} from "../admin/source.ts";
import type { InboxCounts } from "../machines/inbox.ts";
import { type Limits } from "../limits.ts";
import { ANSWER_DEADLINE_MS } from "../limits/processes.ts";
import { cpuSeconds, openDescriptors, startedMs } from "../telemetry/process_usage.ts";
import { addUp, type Counts, type Gauges, type ProcessReport } from "../telemetry/report.ts";
import type { TracedFrame, TraceFilter, TraceSink } from "../telemetry/tracer.ts";
import { settledWithin } from "../timing/settled_within.ts";
import type { WorkerProcess } from "./worker_process.ts";

/** Milliseconds without a report after which a worker doesn't count as up. It reports ten times a second. */
const WORKER_SILENCE_MS = 2_000;

/** Milliseconds for which the last reports of a worker that has ended may still be on their way. */
const LATE_REPORT_MS = 1_000;

interface LastReport {
  readonly report: ProcessReport;
  readonly atMs: number;
}

interface RunningTrace {
  readonly filter: TraceFilter;
  readonly untilMs: number;
  readonly onFrames: TraceSink;
}

/** The options of {@linkcode SupervisedSource}. */
export interface SupervisedSourceOptions {
  readonly runtime: Runtime;
  readonly limits: Limits;
  readonly metricsTopics: readonly string[];
  /** True if the server is part of a cluster. */
  readonly isClustered: boolean;
  /** The workers' names. */
  readonly names: readonly string[];
  /** The workers that have a process; its owner keeps it up to date. */
  readonly workers: ReadonlySet<WorkerProcess>;
}

/**
 * A server of several processes, as its admin port sees it: the sum of what its workers report. What a worker
 * has counted stays in the sum when it has ended, however it ended, so that no count falls.
 */
export class SupervisedSource implements AdminSource {
  restarts = 0;
  readonly #options: SupervisedSourceOptions;
  readonly #reports = new Map<WorkerProcess, LastReport>();
  /** The counts of processes that have ended, by their worker's name. */
  readonly #past = new Map<string, Counts>();
  #pastLostSessions = 0;
  /** The cluster's counts of processes that have ended. */
  #pastCluster: InboxCounts | undefined;
  readonly #traces = new Map<number, RunningTrace>();
  #lastTrace = 0;

  constructor(options: SupervisedSourceOptions) {
    this.#options = options;
  }

  get limits(): Limits {
    return this.#options.limits;
  }

  get metricsTopics(): readonly string[] {
    return this.#options.metricsTopics;
  }

  get workers(): readonly WorkerState[] {
    return this.#options.names.map((name) => this.#workerState(name));
  }

  get supervisor(): ProcessState {
    const { runtime, names } = this.#options;
    return {
      name: "supervisor",
      pid: process.pid,
      startedMs: startedMs(),
      cpuSeconds: cpuSeconds(),
      residentBytes: runtime.residentBytes,
      openDescriptors: openDescriptors(names.length),
      maxDescriptors: descriptorLimit() ?? null,
      loopDelayMs: 0,
    };
  }

  get cluster(): ClusterState | undefined {
    if (!this.#options.isClustered) return undefined;
    const living = [...this.#reports].filter(([worker]) => !worker.hasEnded);
    return clusterState(
      living.flatMap(([{ name }, { report: { cluster } }]) => cluster ? [[name, cluster]] : []),
      this.#pastCluster,
    );
  }

  get lostSessions(): number {
    let lost = this.#pastLostSessions;
    for (const [worker, { report }] of this.#reports) {
      if (worker.hasEnded) lost += openSessions(report.counts);
    }
    return lost;
  }

  trace(filter: TraceFilter, ms: number, onFrames: TraceSink): () => void {
    const trace = ++this.#lastTrace;
    const untilMs = performance.now() + ms;
    this.#traces.set(trace, { filter, untilMs, onFrames });
    for (const worker of this.#reports.keys()) this.#begin(trace, worker);
    return () => {
      if (!this.#traces.delete(trace)) return;
      for (const worker of this.#reports.keys()) {
        worker.order({ do: "end_trace", trace }).catch(() => {});
      }
    };
  }

  /** Shows frames that a worker reports for a trace. */
  show(trace: number, frames: readonly TracedFrame[], skipped: number): void {
    this.#traces.get(trace)?.onFrames(frames, skipped);
  }

  #begin(trace: number, worker: WorkerProcess): void {
    const { filter, untilMs } = this.#traces.get(trace)!;
    const ms = Math.max(0, untilMs - performance.now());
    worker.order({ do: "trace", trace, filter, ms }).catch(() => {});
  }

  /** Takes a worker's report. */
  take(worker: WorkerProcess, report: ProcessReport): void {
    if (!this.#reports.has(worker)) {
      for (const trace of this.#traces.keys()) this.#begin(trace, worker);
      worker.ended.then(() => setTimeout(() => this.#carryOver(worker), LATE_REPORT_MS));
    }
    this.#reports.set(worker, { report, atMs: performance.now() });
  }

  async inspect(): Promise<readonly WorkerInspection[]> {
    const found: WorkerInspection[] = [];
    const asked = [...this.#options.workers].filter(({ phase }) => phase === "serving");
    await settledWithin(
      ANSWER_DEADLINE_MS,
      asked.map(async (worker) => {
        found.push({ worker: worker.name, inspection: await worker.inspect() });
      }),
    );
    return found.sort((a, b) => a.worker < b.worker ? -1 : 1);
  }

  /** Keeps what was counted by a process that has ended. */
  #carryOver(worker: WorkerProcess): void {
    const last = this.#reports.get(worker);
    if (last === undefined) return;
    this.#reports.delete(worker);
    const { counts, cluster } = last.report;
    const pastCluster = this.#pastCluster;
    if (pastCluster === undefined) this.#pastCluster = cluster?.counts;
    else if (cluster !== undefined) this.#pastCluster = addUp(pastCluster, cluster.counts);
    this.#pastLostSessions += openSessions(counts);
    const past = this.#past.get(worker.name);
    this.#past.set(worker.name, past === undefined ? counts : addUp(past, counts));
  }

  #workerState(name: string): WorkerState {
    let counts = this.#past.get(name);
    let gauges: Gauges | undefined;
    let newest: ProcessReport | undefined;
    for (const [worker, { report }] of this.#reports) {
      if (worker.name !== name) continue;
      counts = counts === undefined ? report.counts : addUp(counts, report.counts);
      if (worker.hasEnded) continue;
      gauges = gauges === undefined ? report.gauges : addUp(gauges, report.gauges);
      newest = report;
    }
    const trouble = this.#troubleOf(name);
    // Deno's sandbox hides a worker's limit from it; it inherits the supervisor's.
    const maxDescriptors = newest?.maxDescriptors ?? descriptorLimit() ?? null;
    const process = newest && processState(name, { ...newest, maxDescriptors }, counts!.cpuSeconds);
    return { name, isUp: trouble === "", trouble, process, counts, gauges };
  }

  /** Says why no process of this name is up; empty if one is. */
  #troubleOf(name: string): string {
    let trouble = "isn't running";
    for (const worker of this.#options.workers) {
      if (worker.name !== name) continue;
      if (worker.phase === "leaving") trouble = "is being replaced";
      else if (worker.phase !== "serving") trouble = "is starting";
      else {
        // Its first report comes soon after it began to serve.
        const sinceMs = this.#reports.get(worker)?.atMs ?? worker.servingSinceMs ?? 0;
        const silentMs = performance.now() - sinceMs;
        if (silentMs < WORKER_SILENCE_MS) return "";
        trouble = `has given no sign of life for ${(silentMs / 1000).toFixed(1)} s`;
      }
    }
    return trouble;
  }
}

/** Sessions whose end a process hasn't counted. */
function openSessions({ accepted, ended }: Counts): number {
  return accepted - Object.values(ended).reduce((sum, count) => sum + count, 0);
}
