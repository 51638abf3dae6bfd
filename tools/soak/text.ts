/**
 * The report of a soak as text.
 *
 * @module
 */

import { wrapped } from "../../cli/plain_text.ts";
import { type Strike, STRIKES } from "./checks/strike_history.ts";
import type { LibraryDoor } from "./clients/library_order.ts";
import type { SoakProgress } from "./soak_plan.ts";
import { isFit } from "./checks/fitness.ts";
import { type Growth, MAX_GROWTH, type MemoryVerdict } from "./checks/memory.ts";
import type { SoakReport, SoakRun } from "./report.ts";

const MB = 1e6;

/** The names of strikes in the report. */
const STRIKE_NAMES: Readonly<Record<Strike, string>> = {
  killed: "workers killed",
  asked: "asked to end",
  hung: "hung",
  rolled: "all workers replaced",
  exhausted: "without descriptors",
  cut: "links cut",
  renewed: "certificate changed",
  misrenewed: "unusable certificate",
  member_killed: "other members killed",
  nats_restarted: "NATS restarted",
};

const DOOR_NAMES: Readonly<Record<LibraryDoor, string>> = { tcp: "TCP", websocket: "WebSocket" };

/** The strikes of `--kill-every`. The report names others only if they happened. */
const COMMON: readonly Strike[] = ["killed", "asked", "hung"];

/** The strikes that end connections. */
const ENDING: readonly Strike[] = ["killed", "asked", "rolled", "member_killed"];

/** The whole report, without a line feed at its end. */
export function reportText(report: SoakReport): string {
  const { runs, seed, passed, interrupted } = report;
  const servers = runs.map((run) => `${serverText(run)} ${OUTCOMES[verdictOf(run)]}`);
  const failure = runs.some((run) => verdictOf(run) === "failed") ? "FAILED" : "INVALID";
  return [
    ...runs.flatMap((run) => [...runLines(run), ""]),
    `seed ${seed}`,
    `verdict: ${interrupted ? "interrupted" : passed ? "passed" : failure}: ${servers.join(", ")}`,
  ].flatMap(broken).join("\n");
}

/** The verdict of one soak. Faults on a machine that had no time for the server say nothing about it. */
type Verdict = "held" | "failed" | "invalid";

const OUTCOMES: Readonly<Record<Verdict, string>> = {
  held: "held",
  failed: "FAILED",
  invalid: "can't be judged",
};

function verdictOf({ passed, waited_share }: SoakRun): Verdict {
  return passed ? "held" : isFit(waited_share) ? "failed" : "invalid";
}

/** Wraps a line of the report, which may be indented, at the terminal's width. */
function broken(line: string): string[] {
  return line.startsWith("  ") ? wrapped(line.trimStart(), "  ", "    ") : wrapped(line, "", "  ");
}

function serverText({ server, door }: SoakRun): string {
  return server + (door === "locked" ? " behind TLS" : door === "tight" ? " short of memory" : "");
}

function runLines(run: SoakRun): string[] {
  const { load_s, subscribers, streams, published, delivered, receipts } = run;
  const version = run.runtime_version === null ? "" : ` ${run.runtime_version}`;
  return [
    `--- ${serverText(run)}${version}: ${load_s.toFixed(0)} s, ${subscribers} healthy subscribers`,
    `published: ${published}, delivered: ${delivered} on ${streams} streams, each checked; ` +
    `${receipts} receipts`,
    ...libraryLines(run),
    ...resumeLines(run),
    ...strikeLines(run),
    ...(run.renewals === 0 ? [] : [`certificates changed: ${run.renewals}`]),
    ...(run.lost_to_own_pace === 0 ? [] : [
      `too slow itself to read or write: ${run.lost_to_own_pace} connections, which aren't judged`,
    ]),
    ...latencyLines(run),
    ...faultLines(run),
    ...memoryLines(run),
    ...fitnessLines(run),
    ...(run.descriptors === null
      ? []
      : [`descriptors: ${run.descriptors.before} before, ${run.descriptors.after} after`]),
    ...(run.stop === null
      ? []
      : [`stopped with status ${run.stop.status} after ${(run.stop.took_ms / 1000).toFixed(1)} s`]),
    "attacks, what they sent and were answered, and how their connections ended:",
    ...Object.entries(run.attacks).map(([name, { runs, sent_bytes, answers, ends }]) => {
      const tally = Object.entries(ends).sort(([, a], [, b]) => b - a)
        .map(([how, count]) => `${count} ${how}`);
      const did = runs === 0
        ? "none"
        : `${megabytes(sent_bytes)}, ${answers} answers, ${tally.join(", ") || "no ends"}`;
      return `  ${runs} x ${name}: ${did}`;
    }),
  ];
}

function libraryLines({ library }: SoakRun): string[] {
  return Object.entries(library).map(([door, record]) => {
    const { published, unknown, delivered, recovered, gaps } = record;
    const told = Object.entries(gaps).map(([reason, count]) => `${count} ${reason}`);
    return `client library over ${DOOR_NAMES[door as LibraryDoor]}: ${published} accepted, ` +
      `${unknown} of unknown outcome, ${delivered} delivered, ${recovered} returns without a gap, ` +
      `gaps: ${told.join(", ") || "none"}`;
  });
}

function resumeLines({ resumes }: SoakRun): string[] {
  const reasons = Object.entries(resumes).map(([reason, count]) => `${count} ${reason}`);
  return reasons.length === 0 ? [] : [`subscriptions that came back: ${reasons.join(", ")}`];
}

function strikeLines({ kills, strikes, left_out, lost_to_kills }: SoakRun): string[] {
  const named = STRIKES.filter((strike) => COMMON.includes(strike) || strikes[strike] > 0)
    .map((strike) => `${STRIKE_NAMES[strike]}: ${strikes[strike]}`);
  const ended = kills.reduce(
    (sum, { how, connections }) => ENDING.includes(how) ? sum + connections : sum,
    0,
  );
  return [
    named.join(", ") +
    (kills.length === 0
      ? ""
      : `, with ${ended} connections ended, ${lost_to_kills} of them healthy clients'`),
    ...Object.entries(left_out).map(([strike, reason]) => {
      return `left out: ${STRIKE_NAMES[strike as Strike]}: ${reason}`;
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

function latencyLines({ latency }: SoakRun): string[] {
  if (latency === null) return ["bystander: it got no message that could be judged"];
  const { messages, p50_ms, p99_ms, max_ms, excused } = latency;
  return [
    `bystander: ${messages} messages took ${p50_ms.toFixed(1)} ms, 1 in 100 ` +
    `${p99_ms.toFixed(0)} ms or more, the slowest ${max_ms.toFixed(0)} ms` +
    (excused === 0 ? "" : `; ${excused} aren't judged, its worker hung`),
  ];
}

function memoryLines(run: SoakRun): string[] {
  const { memory, peak_resident_bytes } = run;
  if (memory === null) return [];
  return [
    `memory of all processes at most: ${megabytes(peak_resident_bytes!)}`,
    ...growthLines(memory),
  ];
}

function fitnessLines({ waited_share }: SoakRun): string[] {
  if (waited_share === null) return [];
  const percent = (waited_share * 100).toFixed(0);
  return [
    `the server's processes waited for a processor for ${percent} % of their time` +
    (isFit(waited_share)
      ? ""
      : ": this machine is too busy to judge a server by; end what else runs, or soak with less"),
  ];
}

function growthLines(memory: MemoryVerdict): string[] {
  if (!memory.judged) return ["memory: the soak was too short to judge it; 3 minutes are enough"];
  const verdict = memory.server!.ratio <= MAX_GROWTH ? "" : " GREW";
  return [
    growthLine("memory of all processes", memory.server!) + verdict,
    ...(memory.oldest === null
      ? []
      : [growthLine("of the one that serves since the beginning", memory.oldest)]),
  ];
}

function growthLine(what: string, { baseline_bytes, end_bytes, ratio }: Growth): string {
  const percent = (ratio - 1) * 100;
  const change = `${percent < 0 ? "" : "+"}${percent.toFixed(1)} %`;
  return `${what}: ${megabytes(baseline_bytes)} after the warm-up, ${megabytes(end_bytes)} ` +
    `at the end, ${change}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / MB).toFixed(1)} MB`;
}

/** The progress in one line for a terminal. */
export function progressLine(server: string, progress: SoakProgress, durationMs: number): string {
  const { elapsedMs, delivered, faults, strikes, residentBytes } = progress;
  const memory = residentBytes === null ? "" : `, ${megabytes(residentBytes)}`;
  const seconds = (durationMs / 1000).toFixed(0);
  const phase = elapsedMs < durationMs
    ? `${(elapsedMs / 1000).toFixed(0)} of ${seconds} s`
    : `${seconds} s are over, all is to end well`;
  return `${server}: ${phase}, ` +
    `${delivered} delivered, ${faults} faults, ${strikes} strikes${memory}`;
}
