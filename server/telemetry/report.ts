/**
 * The report of one process about itself, and the sum of several. Workers send it to their supervisor as JSON.
 *
 * @module
 */

import type { EndReason, PauseCause } from "../counters.ts";
import type { ClusterReport } from "../machines/report.ts";
import type { ResumeReason } from "../../protocol/resume.ts";
import type { HistogramCounts } from "./histogram.ts";
import type { WatchedCounts } from "./watched_topics.ts";

/** Counts that only ever grow while the process lives. See `Counters` for those of the same name. */
export interface Counts {
  readonly accepted: number;
  readonly refusedByAddress: number;
  readonly wrongKeys: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly messagesIn: number;
  readonly messagesForwarded: number;
  readonly deliveries: number;
  readonly receipts: number;
  readonly writes: number;
  readonly linkFailures: number;
  readonly linkStalls: number;
  readonly collections: number;
  readonly memoryPauses: number;
  readonly memoryEvictions: number;
  readonly memoryRefusals: number;
  readonly acceptErrors: number;
  readonly messagesReplayed: number;
  readonly historyGivenUp: number;
  readonly cpuSeconds: number;
  readonly ended: Readonly<Record<EndReason, number>>;
  readonly pauses: Readonly<Record<PauseCause, number>>;
  readonly resumes: Readonly<Record<ResumeReason, number>>;
  readonly fanoutSeconds: HistogramCounts;
  readonly largeFanoutSeconds: HistogramCounts;
  readonly fanoutSubscribers: HistogramCounts;
  readonly loopDelaySeconds: HistogramCounts;
  /** Of the watched topics, in their order. */
  readonly topics: readonly WatchedCounts[];
}

/** The ports that clients come by: that for TCP and that for WebSockets, each with TLS or without. */
export type ClientDoor = "tcp" | "websocket";

/** The objects and the memory that a process holds now. */
export interface Gauges {
  readonly connections: number;
  /** The same by the port that they came by. */
  readonly connectionsByDoor: Readonly<Record<ClientDoor, number>>;
  readonly subscriptions: number;
  /** Topics that have subscribers. */
  readonly topics: number;
  /** Bytes of memory that connections, subscriptions and topics make it hold. */
  readonly heldBytes: number;
  /** Bytes, messages and topics of the history. */
  readonly historyBytes: number;
  readonly historyMessages: number;
  readonly historyTopics: number;
  readonly residentBytes: number;
  /** Open descriptors; see `process_usage.ts`. */
  readonly openDescriptors: number;
  /** Subscribers of the watched topics, in their order. */
  readonly topicSubscribers: readonly number[];
}

/** The report of one process. */
export interface ProcessReport {
  readonly pid: number;
  /** When the process started, in milliseconds since the Unix epoch. */
  readonly startedMs: number;
  /** The descriptors that it may have open; `null` if that isn't known. */
  readonly maxDescriptors: number | null;
  /** Milliseconds by which its event loop was late at the last sample. */
  readonly loopDelayMs: number;
  readonly counts: Counts;
  readonly gauges: Gauges;
  /** The cluster as it sees it; absent without one. */
  readonly cluster?: ClusterReport;
}

/** Numbers by name, to any depth. */
type Numbers = number | readonly Numbers[] | { readonly [name: string]: Numbers };

/** Adds up trees of numbers of one shape. */
export function addUp<Tree>(first: Tree, second: Tree): Tree {
  return add(first as Numbers, second as Numbers) as Tree;
}

function add(first: Numbers, second: Numbers): Numbers {
  if (typeof first === "number") return first + (second as number);
  if (Array.isArray(first)) {
    return first.map((one: Numbers, index) => add(one, (second as readonly Numbers[])[index]!));
  }
  const others = second as { readonly [name: string]: Numbers };
  return Object.fromEntries(
    Object.entries(first).map(([name, one]) => [name, add(one, others[name]!)]),
  );
}
