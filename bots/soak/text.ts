/**
 * The soak's report for people.
 *
 * @module
 */

import { wrapped } from "../plain_text.ts";
import type { SoakProgress } from "./soak.ts";
import { type Growth, MAX_GROWTH } from "./memory.ts";
import type { SoakReport, SoakRun } from "./report.ts";

const MB = 1e6;

/** The whole report, without a line feed at its end. */
export function reportText(report: SoakReport): string {
  const { runs, seed, passed, interrupted } = report;
  const servers = runs.map((run) => `${serverText(run)} ${run.passed ? "held" : "FAILED"}`);
  return [
    ...runs.flatMap((run) => [...runLines(run), ""]),
    `seed ${seed}`,
    `verdict: ${interrupted ? "interrupted" : passed ? "passed" : "FAILED"}: ${servers.join(", ")}`,
  ].flatMap(broken).join("\n");
}

/** A line of the report, which may be indented, as a terminal has room for it. */
function broken(line: string): string[] {
  return line.startsWith("  ") ? wrapped(line.trimStart(), "  ", "    ") : wrapped(line, "", "  ");
}

function serverText({ server, door }: SoakRun): string {
  return door === "open" ? server : `${server} behind TLS`;
}

function runLines(run: SoakRun): string[] {
  const { load_s, subscribers, streams, published, delivered, receipts, kills } = run;
  const version = run.runtime_version === null ? "" : ` ${run.runtime_version}`;
  return [
    `--- ${serverText(run)}${version}: ${load_s.toFixed(0)} s, ${subscribers} healthy subscribers`,
    `published: ${published}, delivered: ${delivered} on ${streams} streams, each checked; ` +
    `${receipts} receipts`,
    `workers killed: ${kills.filter(({ how }) => how === "killed").length}, ` +
    `asked to end: ${kills.filter(({ how }) => how === "asked").length}` +
    (kills.length === 0
      ? ""
      : `, with ${kills.reduce((sum, { connections }) => sum + connections, 0)} connections, ` +
        `${run.lost_to_kills} of them healthy clients'`),
    ...(run.renewals === 0 ? [] : [`certificates changed: ${run.renewals}`]),
    ...faultLines(run),
    ...memoryLines(run),
    ...(run.descriptors === null
      ? []
      : [`descriptors: ${run.descriptors.before} before, ${run.descriptors.after} after`]),
    ...(run.stop === null
      ? []
      : [`stopped with status ${run.stop.status} after ${(run.stop.took_ms / 1000).toFixed(1)} s`]),
    "attacks, and how their connections ended:",
    ...Object.entries(run.attacks).map(([name, { runs, ends }]) => {
      const tally = Object.entries(ends).sort(([, a], [, b]) => b - a)
        .map(([how, count]) => `${count} ${how}`);
      return `  ${runs} x ${name}: ${tally.join(", ") || "none"}`;
    }),
  ];
}

function faultLines({ faults, fault_details }: SoakRun): string[] {
  const kinds = Object.entries(faults);
  if (kinds.length === 0) {
    return [
      "faults: none: no healthy client missed, repeated or reordered a message, or was cut off",
    ];
  }
  return [
    `FAULTS: ${kinds.map(([kind, count]) => `${count} ${kind}`).join(", ")}`,
    ...fault_details.map((detail) => `  ${detail}`),
  ];
}

function memoryLines({ memory }: SoakRun): string[] {
  if (memory === null) return [];
  if (!memory.judged) return ["memory: the soak was too short to judge it; 3 minutes are enough"];
  const verdict = memory.server!.ratio <= MAX_GROWTH ? "" : " GREW";
  return [
    growthLine("memory of all processes", memory.server!) + verdict,
    growthLine("of the one that serves since the beginning", memory.oldest!),
  ];
}

function growthLine(what: string, { baseline_bytes, end_bytes, ratio }: Growth): string {
  const percent = (ratio - 1) * 100;
  const change = `${percent < 0 ? "" : "+"}${percent.toFixed(1)} %`;
  return `${what}: ${megabytes(baseline_bytes)} after the first minute, ${megabytes(end_bytes)} ` +
    `at the end, ${change}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / MB).toFixed(1)} MB`;
}

/** One line for a terminal. */
export function progressLine(server: string, progress: SoakProgress, durationMs: number): string {
  const { elapsedMs, delivered, faults, kills, residentBytes } = progress;
  const memory = residentBytes === null ? "" : `, ${megabytes(residentBytes)}`;
  const seconds = (durationMs / 1000).toFixed(0);
  const phase = elapsedMs < durationMs
    ? `${(elapsedMs / 1000).toFixed(0)} of ${seconds} s`
    : `${seconds} s are over, all is to end well`;
  return `${server}: ${phase}, ` +
    `${delivered} delivered, ${faults} faults, ${kills} kills${memory}`;
}
