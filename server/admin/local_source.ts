import type { Limits } from "../limits.ts";
import type { ProcessReport } from "../telemetry/report.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { AdminSource, ProcessState, WorkerInspection, WorkerState } from "./source.ts";

const NAME = "server";

/** A server of one process, as its admin port sees it. */
export class LocalSource implements AdminSource {
  readonly limits: Limits;
  readonly supervisor = undefined;
  readonly restarts = 0;
  readonly lostSessions = 0;
  readonly #telemetry: Telemetry;

  constructor(telemetry: Telemetry, limits: Limits) {
    this.#telemetry = telemetry;
    this.limits = limits;
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
