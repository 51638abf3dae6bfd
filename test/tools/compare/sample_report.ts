/**
 * A comparison whose outcome is known.
 *
 * @module
 */

import { buildReport } from "../../../tools/compare/results/build_report.ts";
import type { MetricName } from "../../../tools/compare/results/metrics.ts";
import type { ArmReport, CompareReport, RunReport } from "../../../tools/compare/results/report.ts";
import { packLatencies } from "../../../tools/compare/results/samples.ts";
import type { EnvironmentRecord } from "../../../tools/doctor/environment_record.ts";
import { quantiles } from "../../../bots/measures/statistics.ts";

export const ENVIRONMENT: EnvironmentRecord = {
  recorded_at: "2026-11-23T12:00:00.000Z",
  hotwheels_version: "0.1.0",
  commit: "0123abc",
  command_line: ["compare", "1000", "--seed", "7"],
  seed: 7,
  runtimes: { deno: "2.9.6", bun: "1.4.5" },
  os: "Linux",
  kernel: "6.1.0",
  architecture: "x64",
  cpu_model: "a <fast> CPU",
  cores: 2,
  memory_bytes: 8 * 2 ** 30,
  descriptor_limit: 20_000,
  port_range: { first: 32_768, last: 60_999 },
  max_backlog: 4096,
  syn_backlog: 2048,
  syn_cookies: true,
  tcp_memory: { pressure_bytes: 2 ** 30, max_bytes: 2 ** 31 },
  congestion_control: "cubic",
  conntrack: null,
  clock: { synchronized: true, max_error_ms: 0.25 },
  ec2: null,
};

export const ARMS: readonly ArmReport[] = [
  { name: "Deno", dialect: "janus", runtime: "deno", runtime_version: "2.9.6", address: null },
  { name: "Bun", dialect: "janus", runtime: "bun", runtime_version: "1.4.5", address: null },
];

/** A server that wasn't started here, whose usage isn't known. */
export function runningArm(name: string): ArmReport {
  return { name, dialect: "nats", runtime: null, runtime_version: null, address: "x:4222" };
}

const UNKNOWN_USES = {
  cpu_s: null,
  peak_memory_bytes: null,
  memory_per_connection_bytes: null,
};

/** The values of a sample's runs, by arm: so many runs as there are values. */
export type Sample = Readonly<Record<string, readonly number[]>>;

/** Ten runs that vary by some per cent around a value. */
export function around(value: number): number[] {
  return [0.98, 1.02, 1, 0.99, 1.01, 1.03, 0.97, 1, 1.02, 0.98].map((part) => part * value);
}

/** A run in which a thousand messages, a hundred each round, were spread evenly up to `max`. */
export function sampleRun(
  { run, arm, n, max, ...more }:
    & { run: number; arm: string; n: number; max: number }
    & Partial<RunReport>,
): RunReport {
  const latencies = Float64Array.from({ length: 100 }, (_, at) => max * (at + 1) / 100);
  const roundOf = (warmup: boolean) => ({
    warmup,
    counted: !warmup,
    good: n,
    bad: 0,
    latency_ms: quantiles(latencies),
    latencies_us: packLatencies(latencies),
    invalid_because: [],
  });
  const metrics: Record<MetricName, number | null> = {
    max_ms: max,
    p99_ms: max * 0.99,
    p50_ms: max / 2,
    setup_ms: 10 * max,
    cpu_s: max / 100,
    peak_memory_bytes: 60e6,
    memory_per_connection_bytes: 9e3,
  };
  return {
    run,
    pass: run,
    n,
    arm,
    started_at: "2026-11-23T12:00:00.000Z",
    valid: true,
    invalid_because: [],
    metrics,
    rounds: [roundOf(true), roundOf(false), roundOf(false)],
    bots_load: [],
    ...more,
  };
}

/** A report of such runs. */
export function sampleReport(
  sizes: Readonly<Record<number, Sample>>,
  { arms = ARMS, extra = [] }: { arms?: readonly ArmReport[]; extra?: readonly RunReport[] } = {},
): CompareReport {
  let run = 0;
  const runs = Object.entries(sizes).flatMap(([n, sample]) =>
    Object.entries(sample).flatMap(([arm, values]) =>
      values.map((max) => {
        const made = sampleRun({ run: ++run, arm, n: Number(n), max });
        const isStarted = arms.find(({ name }) => name === arm)!.runtime !== null;
        return isStarted ? made : { ...made, metrics: { ...made.metrics, ...UNKNOWN_USES } };
      })
    )
  );
  return buildReport([...runs, ...extra], {
    startedAt: new Date("2026-11-23T12:00:00Z"),
    endedAt: new Date("2026-11-23T12:05:00Z"),
    options: {
      runs: 10,
      rounds: 2,
      warmup_rounds: 1,
      workers: 1,
      bots_runtime: "bun",
      bots_runtime_version: "1.4.5",
      seed: 7,
      topic: "events",
      data_bytes: 4,
      timeout_ms: 5000,
    },
    arms,
    sizes: Object.keys(sizes).map(Number),
    environment: ENVIRONMENT,
    interrupted: null,
  });
}
