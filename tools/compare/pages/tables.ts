/**
 * The results of a comparison as rows of text: the same on the terminal, in Markdown and in HTML.
 *
 * @module
 */

import type { EnvironmentRecord } from "../../doctor/environment_record.ts";
import { count, inUnit, number, ratio } from "../results/format.ts";
import { type Metric, metricOf, METRICS } from "../results/metrics.ts";
import type {
  ArmReport,
  CompareReport,
  Comparison,
  IntervalReport,
  SizeReport,
} from "../results/report.ts";

/** A table; each row has as many cells as the head. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The text of an empty cell. */
const NONE = "–";

/** The metrics that some arm has with this number of subscribers. */
export function measuredMetrics({ arms }: SizeReport): readonly Metric[] {
  return METRICS.filter(({ name }) => arms.some(({ metrics }) => metrics[name] !== null));
}

/**
 * One row for each metric and arm: the value, and the comparison with the first arm. CPU and memory of
 * servers that weren't started here can't be measured and have no row.
 */
export function sizeTable(size: SizeReport): Table {
  const baseline = size.arms[0]!;
  return {
    head: [
      "",
      "server",
      "median",
      "95 % interval",
      `against ${baseline.arm}`,
      "95 % interval",
      "verdict",
    ],
    rows: measuredMetrics(size).flatMap((metric) => {
      const arms = size.arms.filter(({ metrics }) =>
        metric.kind === "time" || metrics[metric.name] !== null
      );
      return arms.map(({ arm, metrics }, at) => {
        const result = metrics[metric.name];
        const comparison = arms[0] !== baseline
          ? undefined
          : size.comparisons.find((one) => one.arm === arm && one.metric === metric.name);
        return [
          at === 0 ? `${metric.title}, ${metric.unit}` : "",
          arm,
          result === null ? NONE : inUnit(result.median, metric),
          result === null ? NONE : interval(result.interval, (value) => inUnit(value, metric)),
          comparison === undefined ? "" : times(comparison.ratio),
          comparison === undefined ? "" : interval(comparison.interval, ratio),
          comparison === undefined ? "" : result === null ? NONE : comparison.verdict,
        ];
      });
    }),
  };
}

function times(value: number | null): string {
  return value === null ? NONE : `${ratio(value)} ×`;
}

function interval(range: IntervalReport | null, format: (value: number) => string): string {
  return range === null ? NONE : `${format(range.low)} to ${format(range.high)}`;
}

/** Remarks on runs that weren't counted, and on missing verdicts. */
export function remarks(report: CompareReport, size: SizeReport): string[] {
  const { runs, options, arms } = report;
  const lines = size.arms.map(({ arm, valid_runs, invalid_runs, held_up_messages }) => {
    const invalid = invalid_runs === 0 ? "none invalid" : count(invalid_runs, "invalid run");
    const heldUp = held_up_messages === 0
      ? ""
      : `; ${count(held_up_messages, "message")} not counted, because the bots held ` +
        `${held_up_messages === 1 ? "it" : "them"} up`;
    return `${arm}: ${count(valid_runs, "valid run")} of ${count(options.rounds, "message")}, ` +
      `${invalid}${heldUp}`;
  });
  for (const run of runs.filter(({ n, valid }) => n === size.n && !valid)) {
    lines.push(`run ${run.run}, ${run.arm}, isn't counted: ${run.invalid_because.join("; ")}`);
  }
  lines.push(...size.arms.slice(1).flatMap(({ arm }) => doubts(report, size, arm)));
  const hasRuns = size.arms.some(({ valid_runs }) => valid_runs > 0);
  if (hasRuns && arms.some(({ runtime }) => runtime === null)) {
    lines.push("CPU and memory are measured for servers that the comparison starts itself");
  }
  return lines;
}

/** The reasons why there is no verdict on an arm, one a line, each with its metrics. */
function doubts({ arms }: CompareReport, size: SizeReport, arm: string): string[] {
  const isMeasured = ({ arm, baseline, metric }: Comparison) =>
    metricOf(metric).kind === "time" ||
    [arm, baseline].every((name) => arms.find((one) => one.name === name)!.runtime !== null);
  const comparisons = size.comparisons.filter((one) => one.arm === arm && isMeasured(one));
  const byReason = Map.groupBy(
    comparisons.filter(({ because }) => because !== null),
    ({ because }) => because!,
  );
  return [...byReason].map(([reason, ofReason]) => {
    const titles = ofReason.map(({ metric }) => metricOf(metric).title).join(", ");
    const on = ofReason.length === comparisons.length ? "" : ` on ${titles}`;
    return `${arm}: no verdict${on}: ${reason}`;
  });
}

/** Explains the ratios, for pages without a picture of them; empty if there are none. */
export function ratioLegend({ arms, comparisons }: SizeReport): string[] {
  return comparisons.every(({ ratio }) => ratio === null)
    ? []
    : [`× is a server's median over that of ${arms[0]!.arm}; below 1 is better in every row`];
}

/** Says how many runs are missing; empty if all took place. */
export function interruptionRemark({ interrupted, runs }: CompareReport): string[] {
  return interrupted === null
    ? []
    : [`Interrupted: this is of ${runs.length} of ${count(interrupted.planned_runs, "run")}.`];
}

/** The full name of an arm's server. */
export function serverOf({ name, runtime, runtime_version, dialect, address }: ArmReport): string {
  return runtime === null
    ? `${name}: ${dialect}://${address}`
    : `${name}: this checkout's server on ${runtime} ${runtime_version}`;
}

/** The environment: one name and value a row. */
export function environmentTable({ environment, options, arms }: CompareReport): Table {
  const { runtimes, ec2 } = environment;
  const known = (value: string | number | null) => value === null ? "unknown" : String(value);
  const rows: [string, string][] = [
    ["servers", arms.map(serverOf).join("; ")],
    ["bots", `${options.bots_runtime} ${options.bots_runtime_version}, the same for all`],
    ["runtimes", `Deno ${known(runtimes.deno)}, Bun ${known(runtimes.bun)}`],
    ["Hotwheels", `${environment.hotwheels_version}, commit ${known(environment.commit)}`],
    ["command line", environment.command_line.join(" ")],
    ["seed", String(options.seed)],
    ["recorded", environment.recorded_at],
    ["system", `${environment.os} ${known(environment.kernel)}, ${environment.architecture}`],
    ["CPU", `${known(environment.cpu_model)}, ${count(environment.cores, "thread")}`],
    ["memory", bytes(environment.memory_bytes)],
    ["descriptors a process", known(environment.descriptor_limit)],
    ["ports", ports(environment)],
    ["somaxconn, SYN backlog", backlogs(environment)],
    ["tcp_mem", tcpMemory(environment)],
    ["congestion control", known(environment.congestion_control)],
    ["conntrack", conntrack(environment)],
    ["clock", clock(environment)],
  ];
  if (ec2 !== null) {
    rows.push(
      ["instance", `${known(ec2.instance_type)} in ${known(ec2.availability_zone)}`],
      ["AMI", known(ec2.ami_id)],
      ["allowances before", allowances(ec2.allowances_before)],
      ["allowances after", allowances(ec2.allowances_after)],
    );
  }
  return { head: ["", ""], rows };
}

function bytes(value: number | null): string {
  return value === null ? "unknown" : `${(value / 2 ** 30).toFixed(1)} GiB`;
}

function ports({ port_range }: EnvironmentRecord): string {
  return port_range === null ? "unknown" : `${port_range.first} to ${port_range.last}`;
}

function backlogs({ max_backlog, syn_backlog, syn_cookies }: EnvironmentRecord): string {
  const cookies = syn_cookies === null ? "" : syn_cookies ? ", SYN cookies" : ", no SYN cookies";
  return `${max_backlog ?? "unknown"}, ${syn_backlog ?? "unknown"}${cookies}`;
}

function tcpMemory({ tcp_memory }: EnvironmentRecord): string {
  return tcp_memory === null
    ? "unknown"
    : `${bytes(tcp_memory.pressure_bytes)} under pressure, ${bytes(tcp_memory.max_bytes)} at most`;
}

function conntrack({ conntrack }: EnvironmentRecord): string {
  return conntrack === null
    ? "not loaded"
    : `${number(conntrack.used)} of ${number(conntrack.max)} connections`;
}

function clock({ clock }: EnvironmentRecord): string {
  if (clock === null) return "unknown";
  const error = clock.max_error_ms === null ? "" : `, within ${clock.max_error_ms.toFixed(2)} ms`;
  return `${clock.synchronized ? "synchronized" : "not synchronized"}${error}`;
}

function allowances(counters: Readonly<Record<string, number>> | null): string {
  if (counters === null) return "unknown";
  return Object.entries(counters).map(([name, value]) => `${name} ${value}`).join(", ");
}
