import type { Limits } from "../limits.ts";
import type { Inspection } from "../telemetry/inspection.ts";
import type { TraceFilter, TraceSink } from "../telemetry/tracer.ts";
import type { InboxCounts } from "../machines/inbox.ts";
import type { MemberReport } from "../machines/report.ts";
import type { Counts, Gauges } from "../telemetry/report.ts";

/** One process of a server, or the successive processes of one worker's name. */
export interface ProcessState {
  /** `server` for a lone process; otherwise `supervisor`, or a worker's name. */
  readonly name: string;
  readonly pid: number;
  /** When it started, in milliseconds since the Unix epoch. */
  readonly startedMs: number;
  /** Seconds of processor time, with that of its predecessors of the same name. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly openDescriptors: number;
  /** `null` if it isn't known. */
  readonly maxDescriptors: number | null;
  /** Milliseconds by which its event loop was late when it was last measured. */
  readonly loopDelayMs: number;
}

/** A worker, or the lone process that serves. */
export interface WorkerState {
  readonly name: string;
  /** True if it accepts connections and its event loop turns. */
  readonly isUp: boolean;
  /** The reason why it isn't up, in a few words; empty if it is. */
  readonly trouble: string;
  /** `undefined` while there is no process, or that hasn't told anything yet. */
  readonly process: ProcessState | undefined;
  /** Everything counted under its name, by processes that have ended too. */
  readonly counts: Counts | undefined;
  /** The present memory, connections and so on of its running processes. */
  readonly gauges: Gauges | undefined;
}

/** The cluster, as a server's admin port sees it. */
export interface ClusterState {
  /** True while the other machines can be reached. */
  readonly isConnected: boolean;
  /** The worker that speaks with them; `undefined` while none does. */
  readonly holder: string | undefined;
  /** The counts of all workers, of those too that have ended. */
  readonly counts: InboxCounts;
  /** Bytes that workers keep for other machines, and that wait in them behind gaps. */
  readonly logBytes: number;
  readonly heldBytes: number;
  readonly members: readonly MemberReport[];
}

/** The lists of one worker. */
export interface WorkerInspection {
  readonly worker: string;
  readonly inspection: Inspection;
}

/** A server, as its admin port sees it. */
export interface AdminSource {
  /** The limits in force, for all workers together. */
  readonly limits: Limits;
  /** The topics that are counted by name. */
  readonly metricsTopics: readonly string[];
  readonly workers: readonly WorkerState[];
  /** The cluster; `undefined` without one. */
  readonly cluster: ClusterState | undefined;
  /** The supervisor's process; `undefined` without one. */
  readonly supervisor: ProcessState | undefined;
  /** Workers that were started again because their process had died. */
  readonly restarts: number;
  /** Sessions that ended because their worker died, so that it couldn't say why. */
  readonly lostSessions: number;
  /**
   * Shows the frames that some clients send and are sent.
   *
   * @param ms Milliseconds after which it ends by itself.
   * @returns Ends it before; may be called more than once.
   */
  trace(filter: TraceFilter, ms: number, onFrames: TraceSink): () => void;
  /** The lists of all workers that answer in time. */
  inspect(): Promise<readonly WorkerInspection[]>;
}
