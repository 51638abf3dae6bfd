/**
 * A server's status as text, for a terminal and for a pipe.
 *
 * @module
 */

import { bytesText, countText, timeText } from "./quantities.ts";
import type {
  MemberStatus,
  Rates,
  ServerStatus,
  SlowSubscriber,
  WorkerStatus,
} from "./server_status.ts";

/** Columns of a bar. */
const BAR_COLUMNS = 20;

/** Lines of the list of topics at most. */
const MOST_TOPICS = 5;

/** Characters that may act on a terminal, or aren't seen. */
const ACTIVE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;

/** A line for a pipe, with everything that a line has room for. */
export function lineOf(status: ServerStatus, rates: Rates | undefined): string {
  const { fanout, gauges } = status;
  const number = (value: number | null | undefined, digits = 0) =>
    value === null || value === undefined ? "-" : value.toFixed(digits);
  return [
    new Date(status.time_ms).toISOString(),
    status.is_ready ? "ready" : "not-ready",
    `connections=${number(gauges?.connections)}`,
    `messages_per_s=${number(rates?.messages)}`,
    `deliveries_per_s=${number(rates?.deliveries)}`,
    `last_large_ms=${number(fanout.last_large?.took_ms, 1)}`,
    `p99_ms=${number(fanout.p99_ms, 1)}`,
    `max_ms=${number(fanout.max_ms, 1)}`,
    `over_1s=${fanout.over_one_second}`,
    `held_bytes=${number(gauges?.held_bytes)}`,
    `loop_delay_ms=${number(worstDelay(status), 1)}`,
    `slow=${status.slow_subscribers.length}`,
    `workers_up=${upCount(status)}`,
    ...status.cluster === undefined ? [] : [
      `nats=${status.cluster.is_connected ? "connected" : "away"}`,
      `machines_heard=${heardCount(status.cluster.members)}`,
      `machines_silent=${status.cluster.members.length - heardCount(status.cluster.members)}`,
    ],
  ].join(" ");
}

/**
 * A screen of lines.
 *
 * @param size The terminal's columns and rows; no line is longer, and there are no more of them.
 */
export function screenOf(
  status: ServerStatus,
  rates: Rates | undefined,
  size: { readonly columns: number; readonly rows: number },
): string[] {
  const lines = [
    ...headOf(status),
    "",
    ...loadOf(status, rates),
    "",
    ...tableOf(WORKER_COLUMNS, status.workers.map((one) => workerCells(one, rates))),
    "",
    ...membersOf(status),
    ...topicsOf(status),
    "",
    ...slowOf(status.slow_subscribers),
  ];
  return lines.slice(0, size.rows).map((line) => cut(line, size.columns));
}

function headOf(status: ServerStatus): string[] {
  const { version, runtime, runtime_version, workers, supervisor, time_ms, restarts } = status;
  const processes = [supervisor, ...workers.map(({ process }) => process)];
  const started = Math.min(...processes.flatMap((one) => one?.started_ms ?? []));
  const parts = [
    `Hotwheels ${version} on ${runtime === "bun" ? "Bun" : "Deno"} ${runtime_version}`,
    ...supervisor === null ? [] : [`${upCount(status)} of ${workers.length} workers up`],
    ...Number.isFinite(started) ? [`up for ${timeText(time_ms - started)}`] : [],
    ...restarts > 0 ? [`${countText(restarts)} restarts`] : [],
    status.is_ready ? "ready" : `NOT READY: ${status.reasons.map(inert).join("; ")}`,
  ];
  return [parts.join(" · ")];
}

function loadOf(
  { fanout, gauges, limits, paused_by_gate, ...status }: ServerStatus,
  rates?: Rates,
) {
  const ms = (value: number | null) => value === null ? "–" : timeText(value);
  const { last_large: last } = fanout;
  const { max_connections, max_total_pending_bytes } = limits;
  const lines = [
    `fan-out      ${last === null ? "–" : timeText(last.took_ms)}` +
    (last === null ? "" : ` to the last of ${countText(last.subscribers)}`) +
    ` · last minute: p50 ${ms(fanout.p50_ms)}, p99 ${ms(fanout.p99_ms)}, max ${ms(fanout.max_ms)}` +
    `, over 1 s ${countText(fanout.over_one_second)} of ${countText(fanout.passes)}`,
    `deliveries   ${rates === undefined ? "–" : countText(rates.deliveries)} a second` +
    ` from ${rates === undefined ? "–" : countText(rates.messages)} messages`,
  ];
  if (gauges !== null) {
    lines.push(
      `connections  ${bar(gauges.connections / max_connections)} ` +
        `${countText(gauges.connections)} of ${countText(max_connections)}`,
      `held memory  ${bar(gauges.held_bytes / max_total_pending_bytes)} ` +
        `${bytesText(gauges.held_bytes)} of ${bytesText(max_total_pending_bytes)}`,
    );
  }
  const paused = Object.entries(paused_by_gate)
    .map(([gate, count]) => `${countText(count)} for ${gate.replaceAll("_", " ")}`);
  const ended = Object.entries(status.counts?.ended ?? {}).filter(([, count]) => count > 0)
    .sort((a, b) => b[1] - a[1]).map(([reason, count]) => `${reason} ${countText(count)}`);
  lines.push(`publishers   ${paused.length === 0 ? "none waits" : `wait: ${paused.join(", ")}`}`);
  lines.push(`ended        ${ended.length === 0 ? "none" : ended.join(", ")}`);
  return lines;
}

const WORKER_COLUMNS = [
  "WORKER",
  "STATE",
  "CONNECTIONS",
  "DELIVERIES/S",
  "HELD",
  "LOOP DELAY",
  "CPU",
  "MEMORY",
] as const;

function workerCells({ name, is_up, trouble, process, gauges }: WorkerStatus, rates?: Rates) {
  const rate = rates?.workers.get(name);
  return [
    name,
    is_up ? "up" : trouble,
    gauges === null ? "–" : countText(gauges.connections),
    rate === undefined ? "–" : countText(rate.deliveries),
    gauges === null ? "–" : bytesText(gauges.held_bytes),
    process === null ? "–" : timeText(process.loop_delay_ms),
    rate === undefined ? "–" : `${Math.round(rate.cpu * 100)} %`,
    process === null ? "–" : bytesText(process.resident_bytes),
  ];
}

/** The other machines of the cluster, and a blank line; no line where the server isn't part of one. */
function membersOf({ cluster }: ServerStatus): string[] {
  if (cluster === undefined) return [];
  const nats = cluster.is_connected ? "NATS connected" : "NATS IS AWAY";
  if (cluster.members.length === 0) return [`${nats}, no other machine`, ""];
  const rows = cluster.members.map(({ machine, address, is_there, workers, ...one }) => [
    inert(machine),
    inert(address),
    is_there ? "up" : "SILENT",
    countText(workers),
    timeText(one.lag_ms),
    countText(one.refills),
    countText(one.holes),
  ]);
  const head = ["MACHINE", "ADDRESS", "STATE", "WORKERS", "BEHIND", "REFILLS", "HOLES"];
  return [nats, ...tableOf(head, rows), ""];
}

function topicsOf({ topics_by_subscribers }: ServerStatus): string[] {
  const rows = topics_by_subscribers.slice(0, MOST_TOPICS).map(({ topic, ...one }) => [
    inert(topic),
    countText(one.subscribers),
    countText(one.deliveries),
  ]);
  return tableOf(["TOPIC", "SUBSCRIBERS", "DELIVERIES"], rows);
}

function slowOf(slow: readonly SlowSubscriber[]): string[] {
  if (slow.length === 0) return ["no slow subscribers"];
  const rows = slow.map(({ address, port, topics, topic_count, ...one }) => [
    address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`,
    bytesText(one.pending_bytes),
    timeText(one.stalled_ms),
    timeText(one.age_ms),
    topics.map(inert).join(", ") +
    (topic_count > topics.length ? ` and ${topic_count - topics.length} more` : ""),
  ]);
  return tableOf(["SLOW SUBSCRIBER", "WAITING", "STALLED", "AGE", "TOPICS"], rows);
}

/** A table whose columns are as wide as they must be. */
function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, at) =>
    Math.max(title.length, ...rows.map((cells) => Math.min(40, cells[at]!.length)))
  );
  return [head, ...rows].map((cells) =>
    cells.map((cell, at) =>
      cut(cell, at === cells.length - 1 ? cell.length : 40).padEnd(widths[at]!)
    )
      .join("  ").trimEnd()
  );
}

function bar(share: number): string {
  const filled = Math.min(BAR_COLUMNS, Math.max(0, Math.ceil(share * BAR_COLUMNS)));
  return `[${"#".repeat(filled)}${"-".repeat(BAR_COLUMNS - filled)}]`;
}

function worstDelay({ workers }: ServerStatus): number {
  return Math.max(0, ...workers.map(({ process }) => process?.loop_delay_ms ?? 0));
}

function heardCount(members: readonly MemberStatus[]): number {
  return members.filter(({ is_there }) => is_there).length;
}

function upCount({ workers }: ServerStatus): number {
  return workers.filter(({ is_up }) => is_up).length;
}

function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`;
}

/** A client's text, in which nothing acts on a terminal. */
export function inert(text: string): string {
  return text.replaceAll(ACTIVE, (one) => `\\u{${one.codePointAt(0)!.toString(16)}}`);
}
