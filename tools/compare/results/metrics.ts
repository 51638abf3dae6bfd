/**
 * The metrics in which runs are compared.
 *
 * @module
 */

import type { Finding } from "./verdict.ts";

/** A metric's name in reports, with its unit. */
export type MetricName =
  | "max_ms"
  | "p99_ms"
  | "p50_ms"
  | "setup_ms"
  | "cpu_s"
  | "peak_memory_bytes"
  | "memory_per_connection_bytes";

/** The verdict on one arm against another. The first two are for times, the next two for resources. */
export type Verdict = "faster" | "slower" | "less" | "more" | "no difference" | "inconclusive";

/** A metric. For every metric, less is better. */
export interface Metric {
  readonly name: MetricName;
  /** The title in tables. */
  readonly title: string;
  /** The displayed unit. */
  readonly unit: string;
  /** The number of the metric's own units in one `unit`. */
  readonly scale: number;
  readonly kind: "time" | "use";
  /** The exact meaning, in one sentence. */
  readonly meaning: string;
}

/** All metrics, the most important first. */
export const METRICS: readonly Metric[] = [
  {
    name: "max_ms",
    title: "last subscriber",
    unit: "ms",
    scale: 1,
    kind: "time",
    meaning: "from the publish until the last of all subscribers has the message",
  },
  {
    name: "p99_ms",
    title: "99th percentile",
    unit: "ms",
    scale: 1,
    kind: "time",
    meaning: "until 99 of 100 subscribers have it",
  },
  {
    name: "p50_ms",
    title: "median subscriber",
    unit: "ms",
    scale: 1,
    kind: "time",
    meaning: "until half of them have it",
  },
  {
    name: "setup_ms",
    title: "setup",
    unit: "ms",
    scale: 1,
    kind: "time",
    meaning: "from the first connect to the last subscription",
  },
  {
    name: "cpu_s",
    title: "server CPU",
    unit: "s",
    scale: 1,
    kind: "use",
    meaning: "CPU time of the server's processes over the run, connects and closes included",
  },
  {
    name: "peak_memory_bytes",
    title: "peak memory",
    unit: "MB",
    scale: 1e6,
    kind: "use",
    meaning: "the most memory that the server's processes had resident",
  },
  {
    name: "memory_per_connection_bytes",
    title: "memory a connection",
    unit: "kB",
    scale: 1e3,
    kind: "use",
    meaning: "what the server grew by until all were subscribed, over their number",
  },
];

/** The metric of that name. */
export function metricOf(name: MetricName): Metric {
  return METRICS.find((metric) => metric.name === name)!;
}

/** A finding in the words that fit the metric. */
export function verdictOn(metric: Metric, finding: Finding): Verdict {
  if (finding === "equal") return "no difference";
  if (finding === "unknown") return "inconclusive";
  if (metric.kind === "time") return finding === "lower" ? "faster" : "slower";
  return finding === "lower" ? "less" : "more";
}
