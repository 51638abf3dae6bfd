import type { Limits } from "../limits.ts";
import type { ProcessReport } from "../telemetry/report.ts";
import type { TraceFilter, TraceSink } from "../telemetry/tracer.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { clusterState } from "./cluster_state.ts";
import type {
  AdminSource,
  ClusterState,
  ProcessState,
  WorkerInspection,
  WorkerState,
} from "./source.ts";

const NAME = "server";

/** The part of a server that shows frames. */
export interface TraceableServer {
  /** See `Server.trace`. */
  trace(filter: TraceFilter, onFrames: TraceSink): () => void;
}

/** Shows frames for so many milliseconds, or until what it returns is called. */
export function timedTrace(
  server: TraceableServer,
  filter: TraceFilter,
  ms: number,
  onFrames: TraceSink,
): () => void {
  let isOver = false;
  const end = server.trace(filter, onFrames);
  const stop = () => {
    clearTimeout(timer);
    if (!isOver) end();
    isOver = true;
  };
  const timer = setTimeout(stop, ms);
  return stop;
}

/** A server of one process, as its admin port sees it. */
export class LocalSource implements AdminSource {
  readonly limits: Limits;
  readonly supervisor = undefined;
  readonly restarts = 0;
  readonly lostSessions = 0;
  readonly #telemetry: Telemetry;
  readonly #server: TraceableServer;

  constructor(server: TraceableServer, telemetry: Telemetry, limits: Limits) {
    this.#server = server;
    this.#telemetry = telemetry;
    this.limits = limits;
  }

  trace(filter: TraceFilter, ms: number, onFrames: TraceSink): () => void {
    return timedTrace(this.#server, filter, ms, onFrames);
  }

  get metricsTopics(): readonly string[] {
    return this.#telemetry.topics;
  }

  get workers(): readonly WorkerState[] {
    const report = this.#telemetry.report();
    const { counts, gauges } = report;
    const process = processState(NAME, report, counts.cpuSeconds);
    return [{ name: NAME, isUp: true, trouble: "", process, counts, gauges }];
  }

  get cluster(): ClusterState | undefined {
    const { cluster } = this.#telemetry.report();
    return cluster && clusterState([[NAME, cluster]]);
  }

  async inspect(): Promise<readonly WorkerInspection[]> {
    return [{ worker: NAME, inspection: await this.#telemetry.inspect() }];
  }
}

/** @param cpuSeconds The processor time of all processes of this name. */
export function processState(
  name: string,
  { pid, startedMs, maxDescriptors, loopDelayMs, gauges }: ProcessReport,
  cpuSeconds: number,
): ProcessState {
  const { residentBytes, openDescriptors } = gauges;
  return {
    name,
    pid,
    startedMs,
    cpuSeconds,
    residentBytes,
    openDescriptors,
    maxDescriptors,
    loopDelayMs,
  };
}
