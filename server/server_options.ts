import type { AccessOptions } from "./access/access.ts";
import type { OverdueProcess, OwedProcess, UnreachableProcess } from "./cluster/backplane.ts";
import type { LinkState } from "./cluster/link_dialler.ts";
import type { TopicHooks } from "./embedding/topic_permits.ts";
import type { LendingOptions } from "./lending/shared_limits.ts";
import type { ClusterSettings } from "./machines/cluster_host.ts";
import type { ClusterEvents } from "./machines/report.ts";
import type { Timekeeper } from "./timing/timekeeper.ts";

/** The settings of a server's telemetry. */
export interface TelemetryOptions {
  /** Topics that are counted by name. */
  readonly topics: readonly string[];
}

/** The options of a {@linkcode Server}; all may be left out. */
export interface ServerOptions {
  /** Makes the server a part of a cluster of machines. */
  readonly cluster?: { readonly settings: ClusterSettings; readonly events: ClusterEvents };
  /** The host program's say about topics. */
  readonly topicHooks?: TopicHooks | undefined;
  /** Makes the server measure its passes and so on, for an admin port; it doesn't unless given. */
  readonly telemetry?: TelemetryOptions | undefined;
  /** The descriptors that the process may have; enough for the limits unless given. */
  readonly descriptorLimit?: number | undefined;
  /** The access rules; every client may publish and subscribe unless given. */
  readonly access?: AccessOptions;
  /** A monotonic clock in milliseconds, for deadlines. */
  readonly readMs?: () => number;
  /** Issues the timestamps. */
  readonly timekeeper?: Timekeeper;
  /** True if other processes serve the same topics. */
  readonly hasMesh?: boolean;
  /**
   * Called once a second while one of them gives no sign of life, and more waits for it than may. It
   * should be ended, since publishers wait for it.
   */
  readonly onOverdue?: (process: OverdueProcess) => void;
  /** Called once a second while a link can't be restored: one of the two processes should be ended. */
  readonly onUnreachable?: (process: UnreachableProcess) => void;
  /** Called every 10 s while a link to one of them is down, and when it stands again. */
  readonly onLinkState?: (state: LinkState) => void;
  /** Called when this process ends before one of them has taken all that was accepted here. */
  readonly onDropped?: (process: OwedProcess) => void;
  /** Shares limits with those processes; unless given, each process has its own. */
  readonly lending?: LendingOptions;
}

/** The options of a stop. */
export interface StopOptions {
  /**
   * Milliseconds over which the closes are spread, so that clients don't come back all at once. A client is
   * served as ever until it is told. Unless given, a second for every 5,000 connections, and four at most.
   */
  readonly drainMs?: number;
}

/** A topic with subscribers, and its counts. */
export interface TopicCounts {
  /** The topic's name. */
  readonly topic: string;
  /** Subscribers now. */
  readonly subscribers: number;
  /** Messages handed to subscribers since the topic has some: one for each message and subscriber. */
  readonly deliveries: number;
}

/** The fault of an option that is a time in milliseconds; `undefined` if it has none, or isn't given. */
export function timeFault(name: string, ms: number | undefined): RangeError | undefined {
  if (ms === undefined || ms >= 0 && ms < Infinity) return undefined;
  return new RangeError(`${name} must be a number of milliseconds from 0 on, not ${ms}`);
}
