/**
 * The messages between a supervisor and its workers, over the child process's IPC channel.
 *
 * @module
 */

import type { Address, TlsIdentity } from "../../runtime/types.ts";
import type { AccessOptions } from "../access/access.ts";
import type { ProcessEnd } from "../cluster/mesh.ts";
import type { OverdueProcess, UnreachableProcess } from "../cluster/backplane.ts";
import type { Counters } from "../counters.ts";
import type { PublishReceipt } from "../embedding/local_publisher.ts";
import type { TopicAction, TopicRequest } from "../embedding/topic_permits.ts";
import type { Claim, Notice } from "../lending/terms.ts";
import type { Census } from "../shares/census.ts";
import type { Limits } from "../limits.ts";
import type { ClusterSettings } from "../machines/cluster_host.ts";
import type { Joined } from "../machines/joining/joining.ts";
import type { NatsOptions } from "../machines/nats/nats_transport.ts";
import type { HistoryPiece } from "./history_pieces.ts";
import type { LogFormat } from "../log/format.ts";
import type { LogLevel } from "../log/log.ts";
import type { Inspection } from "../telemetry/inspection.ts";
import type { ProcessReport } from "../telemetry/report.ts";
import type { TracedFrame, TraceFilter } from "../telemetry/tracer.ts";
import type { TelemetryOptions, TopicCounts } from "../server_options.ts";

/**
 * The version of these messages. A rolling upgrade starts workers from what is on disk by then, while their
 * supervisor and the other workers are older. Raise it with each change in this module, or in what workers
 * send each other, that the other side wouldn't understand. A worker of another version ends the roll.
 */
export const CONTROL_VERSION = 14;

/** An order of a supervisor to a worker. */
export type Order =
  /** Begin, and listen for the other workers. The answer is empty. */
  | {
    readonly do: "start";
    /** The supervisor's {@linkcode CONTROL_VERSION}. */
    readonly version: number;
    readonly name: string;
    readonly socketPath: string;
    /** Proves to the other workers that it's one of them; see `ProvenSockets`. */
    readonly secret: string;
    readonly limits: Limits;
    /** The number of the server's workers. */
    readonly workers: number;
    /** The connections that the worker's descriptors allow. */
    readonly maxOwnConnections: number;
    readonly logLevel: LogLevel;
    readonly logFormat: LogFormat;
    /** Makes it report what it counts; `null` if there is no admin port. */
    readonly telemetry: TelemetryOptions | null;
    /**
     * Milliseconds over which it closes its clients' connections when it stops; `null` for the default.
     */
    readonly drainMs: number | null;
    /** The decisions about topics for which it asks the program that embeds the server. */
    readonly asksFor: readonly TopicAction[];
    /** Its timestamps must be greater than this one, as those of the other workers are. */
    readonly timestampsAfter: number;
    /** The machine as it presents itself to the others of a cluster; `null` if there is none. */
    readonly cluster: ClusterSettings | null;
  }
  /** Take the uplink to other machines, for all workers. The answer comes when it was tried. */
  | { readonly do: "hold_cluster"; readonly nats: NatsOptions }
  /** Let it go: another worker has taken it. */
  | { readonly do: "let_go_cluster" }
  /** Copy the history of another machine, over the uplink. The answer says whether there is one. */
  | { readonly do: "join_cluster" }
  /** Forward to the worker that listens at this path. The answer comes when the link stands. */
  | { readonly do: "link"; readonly socketPath: string }
  /** The worker that listened at this path has ended. */
  | { readonly do: "unlink"; readonly socketPath: string; readonly end: ProcessEnd }
  /** Copy the history of the worker that listens at this path. The answer comes when that is done. */
  | { readonly do: "copy_history"; readonly socketPath: string }
  /** Accept clients. The answer is the {@linkcode Address}. */
  | {
    readonly do: "listen";
    /** True if no other worker listens: then no other program may listen on this address either. */
    readonly isFirst: boolean;
    readonly hostname: string;
    readonly port: number;
    readonly tls: TlsIdentity | null;
    readonly access: AccessOptions;
  }
  /** Accept clients by WebSocket too. The answer is the {@linkcode Address}. */
  | {
    readonly do: "listen_for_web_sockets";
    /** As in `listen`. */
    readonly isFirst: boolean;
    readonly hostname: string;
    readonly port: number;
    readonly tls: TlsIdentity | null;
    /** The pages that may connect; `null` for those of the same host. */
    readonly origins: readonly string[] | null;
  }
  /** Use another TLS identity from now on. The answer is empty. */
  | { readonly do: "renew"; readonly tls: TlsIdentity }
  /** Use other access rules from now on. The answer is empty. */
  | { readonly do: "set_access"; readonly access: AccessOptions }
  /** Accept no more clients, and forward and deliver what was accepted. The answer comes when that is done. */
  | { readonly do: "drain" }
  /** Tell the clients, close their connections over that time if it is given, and end. */
  | { readonly do: "stop"; readonly drainMs?: number }
  /** Publish a message of the program that embeds the server. The answer is the {@linkcode PublishReceipt}. */
  | { readonly do: "publish"; readonly message: string }
  /** Say what you have counted. The answer is the {@linkcode Counters}. */
  | { readonly do: "count" }
  /** Say which topics you have. The answer is a list of {@linkcode TopicCounts}. */
  | { readonly do: "list_topics" }
  /** Show what some clients send and are sent, for so many milliseconds at most. */
  | {
    readonly do: "trace";
    /** The number of the trace, which the frames will carry. */
    readonly trace: number;
    readonly filter: TraceFilter;
    readonly ms: number;
  }
  /** End a trace. */
  | { readonly do: "end_trace"; readonly trace: number }
  /** Look at your sessions and topics. The answer is the {@linkcode Inspection}. */
  | { readonly do: "inspect" }
  /** Store what an earlier run has left. Sent before it has clients, piece by piece. */
  | { readonly do: "restore_history"; readonly piece: HistoryPiece; readonly ageMs: number }
  /** Tell the clients, close their connections, and wait for another order. */
  | { readonly do: "retire"; readonly drainMs?: number }
  /** Give the next piece of what is stored; to be asked of a worker that has retired. */
  | { readonly do: "save_history" }
  /** Answer, as a sign of life. */
  | { readonly do: "ping" };

/** An order with the number that its answer will carry. */
export type NumberedOrder = Order & { readonly id: number };

/** Notices of the supervisor's ledger, which want no answer. */
export interface LedgerMessage {
  readonly notices: readonly Notice[];
  /** True if they answer the worker's last claims. */
  readonly isAnswer: boolean;
}

/** The decision of the program that embeds the server, for which the worker has asked. */
export interface VerdictMessage {
  /** The question's number. */
  readonly asked: number;
  readonly isAllowed: boolean;
}

/** The supervisor's messages about the places that addresses hold. */
export type CensusMessage =
  /** Send your census. */
  | { readonly census: "wanted" }
  /** The censuses of the other workers, for which the worker has asked. */
  | { readonly census: readonly Census[] };

/** The answer to an order. */
export type OrderAnswer =
  | Address
  | Inspection
  | HistoryPiece
  | null
  | PublishReceipt
  | Counters
  | Joined
  | readonly TopicCounts[];

/** A message of a worker to its supervisor. */
export type Report =
  | { readonly id: number; readonly done: OrderAnswer }
  | { readonly id: number; readonly failed: string }
  /** Its claims on the limits that hold for all workers. */
  | { readonly claims: readonly Claim[] }
  /** Its census, and whether it wants those of the others. */
  | { readonly census: Census; readonly asks: boolean }
  /** Its counts so far. */
  | { readonly telemetry: ProcessReport }
  /** Frames of a trace, and the number of those that were too many. */
  | {
    readonly traced: readonly TracedFrame[];
    readonly skipped: number;
    readonly trace: number;
  }
  /** Another worker gives no sign of life, and publishers wait for it. */
  | { readonly overdue: OverdueProcess }
  /** The link to another worker is down, and can't be restored. */
  | { readonly unreachable: UnreachableProcess }
  /** A client wants something with a topic, about which the program that embeds the server decides. */
  | { readonly asked: number; readonly action: TopicAction; readonly request: TopicRequest }
  /** A signal asked this one worker to end. */
  | { readonly signal: string };
