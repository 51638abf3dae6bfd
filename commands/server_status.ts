/**
 * The part of `/status.json` that commands show.
 *
 * @module
 */

/** A pass over a topic's subscribers. */
interface Pass {
  readonly ended_ms: number;
  readonly took_ms: number;
  readonly subscribers: number;
}

/** Counts that only grow. */
interface Counts {
  readonly messages_in: number;
  readonly deliveries: number;
  readonly cpu_seconds: number;
  readonly ended: Readonly<Record<string, number>>;
}

/** The memory and the objects that a server holds now. */
interface Gauges {
  readonly connections: number;
  readonly subscriptions: number;
  readonly topics: number;
  readonly held_bytes: number;
}

/** A process. */
interface ProcessState {
  readonly started_ms: number;
  readonly resident_bytes: number;
  readonly loop_delay_ms: number;
}

/** A worker, or the lone process that serves. */
export interface WorkerStatus {
  readonly name: string;
  readonly is_up: boolean;
  readonly trouble: string;
  readonly process: ProcessState | null;
  readonly counts: Counts | null;
  readonly gauges: Gauges | null;
}

/** A subscriber that has bytes waiting. */
export interface SlowSubscriber {
  readonly address: string;
  readonly port: number;
  readonly topics: readonly string[];
  readonly topic_count: number;
  readonly pending_bytes: number;
  readonly stalled_ms: number;
  readonly age_ms: number;
}

/** Another machine of the cluster. */
export interface MemberStatus {
  readonly machine: string;
  readonly address: string;
  readonly is_there: boolean;
  readonly workers: number;
  readonly lag_ms: number;
  readonly refills: number;
  readonly holes: number;
}

/** The cluster of machines that a server is part of. */
interface ClusterStatus {
  readonly is_connected: boolean;
  readonly members: readonly MemberStatus[];
}

/** A server's answer to `/status.json`. */
export interface ServerStatus {
  readonly version: string;
  readonly runtime: string;
  readonly runtime_version: string;
  readonly time_ms: number;
  readonly phase: string;
  readonly is_ready: boolean;
  readonly reasons: readonly string[];
  readonly limits: {
    readonly max_connections: number;
    readonly max_total_pending_bytes: number;
  };
  readonly restarts: number;
  readonly fanout: {
    readonly passes: number;
    readonly last_large: Pass | null;
    readonly p50_ms: number | null;
    readonly p99_ms: number | null;
    readonly max_ms: number | null;
    readonly over_one_second: number;
  };
  readonly counts: Counts | null;
  readonly gauges: Gauges | null;
  readonly workers: readonly WorkerStatus[];
  readonly supervisor: ProcessState | null;
  readonly topics_by_subscribers: readonly {
    readonly topic: string;
    readonly subscribers: number;
    readonly deliveries: number;
  }[];
  readonly slow_subscribers: readonly SlowSubscriber[];
  readonly paused_by_gate: Readonly<Record<string, number>>;
  /** `undefined` where the server isn't part of one. */
  readonly cluster?: ClusterStatus;
}

/** The rates between two answers, a second. */
export interface Rates {
  readonly deliveries: number;
  readonly messages: number;
  /** By a worker's name: the share of a core that it took, and its deliveries. */
  readonly workers: ReadonlyMap<string, { readonly cpu: number; readonly deliveries: number }>;
}

/** The rates between two answers; `undefined` if they can't be compared. */
export function ratesBetween(
  before: ServerStatus | undefined,
  now: ServerStatus,
): Rates | undefined {
  const seconds = (now.time_ms - (before?.time_ms ?? NaN)) / 1000;
  if (!(seconds > 0) || !before?.counts || !now.counts) return undefined;
  const perSecond = (
    from: Counts,
    to: Counts,
    name: "deliveries" | "messages_in" | "cpu_seconds",
  ) =>
    // The server may be another one by now.
    Math.max(0, (to[name] - from[name]) / seconds);
  const workers = new Map<string, { cpu: number; deliveries: number }>();
  for (const { name, counts } of now.workers) {
    const old = before.workers.find((one) => one.name === name)?.counts;
    if (!old || !counts) continue;
    workers.set(name, {
      cpu: perSecond(old, counts, "cpu_seconds"),
      deliveries: perSecond(old, counts, "deliveries"),
    });
  }
  return {
    deliveries: perSecond(before.counts, now.counts, "deliveries"),
    messages: perSecond(before.counts, now.counts, "messages_in"),
    workers,
  };
}
