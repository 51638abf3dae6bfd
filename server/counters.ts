import type { ErrorCode } from "../protocol/errors.ts";
import type { ResumeReason } from "../protocol/resume.ts";

/**
 * The reason why a session ended: one of the protocol's error table, or one without an error frame.
 *
 * - `client_closed`: the client ended its side.
 * - `published`: a legacy publisher kept the connection open after its message.
 * - `handshake_failed`: the peer speaks no TLS, no version or suite of ours, or rejects our certificate.
 * - `connection_lost`: the peer aborted, or the network failed.
 */
export type EndReason =
  | ErrorCode
  | "client_closed"
  | "published"
  | "handshake_failed"
  | "connection_lost";

/**
 * The reason why a publisher is made to wait, by the gate at which it waits.
 *
 * - `rate`: it sends faster than one connection may.
 * - `memory`: the memory for messages, or the process's memory, is short.
 * - `receipts`: it is owed as many receipts as it may be, or doesn't take them.
 * - `backlog`: more is collected for its topic than the fan-out has handed out.
 * - `slow_subscribers`: subscribers of its topic are behind, and read.
 * - `workers`: another process of the server makes it wait, or takes too little.
 * - `machines`: the uplink to other machines takes too little.
 */
export type PauseCause =
  | "rate"
  | "memory"
  | "receipts"
  | "backlog"
  | "slow_subscribers"
  | "workers"
  | "machines";

/** Counts of what a server has done so far, and of what it holds now. */
export interface Counters {
  /** Connections that are open now, including those that are being closed. */
  connections: number;
  /** Those of them that came by WebSocket. */
  webSocketConnections: number;
  /** Connections accepted so far, including those beyond the maximum. */
  accepted: number;
  /** Connections refused because their address had too many or made too many a second. */
  refusedByAddress: number;
  /** Wrong keys that clients have shown. */
  wrongKeys: number;
  /** Subscriptions now, over all topics. */
  subscriptions: number;
  /** Bytes read from clients. */
  bytesIn: number;
  /** Bytes handed to clients' connections; with TLS, before they are encrypted. */
  bytesOut: number;
  /** Messages accepted. */
  messagesIn: number;
  /** Messages handed to subscribers: one for each message and subscriber. */
  deliveries: number;
  /** Receipts given to publishers. */
  receipts: number;
  /** Messages that another process of the server accepted. */
  messagesForwarded: number;
  /** Links to other processes of the server that broke, or couldn't be connected. */
  linkFailures: number;
  /** Times that another process of the server took nothing for a second, so that publishers went on. */
  linkStalls: number;
  /** Writes handed to connections for messages and heartbeats; one may carry many messages. */
  writes: number;
  /** Times that a publisher was made to wait. */
  publisherPauses: number;
  /** The part of these that was because it published faster than one connection may. */
  ratePauses: number;
  /** {@linkcode publisherPauses} by cause. */
  readonly pauses: Record<PauseCause, number>;
  /** Garbage collections because memory was short. */
  collections: number;
  /** Times that clients that send much were made to wait because memory was short. */
  memoryPauses: number;
  /** Clients ended because they held most while memory was short. */
  memoryEvictions: number;
  /** Connections refused because memory was short. */
  memoryRefusals: number;
  /** Accepts that failed. */
  acceptErrors: number;
  /** Messages given to subscribers from the history. */
  messagesReplayed: number;
  /** Stored messages that were dropped early, for want of memory, room or places for topics. */
  historyGivenUp: number;
  /** Bytes that the history holds now. */
  historyBytes: number;
  /** Messages that the history holds now. */
  historyMessages: number;
  /** Topics of which the history holds messages now. */
  historyTopics: number;
  /** Subscribes with `resume` by the reason of their answer. */
  readonly resumes: Record<ResumeReason, number>;
  /** Ended sessions by reason. */
  readonly ended: Record<EndReason, number>;
}

/** Makes counters that are all 0. */
export function newCounters(): Counters {
  return {
    connections: 0,
    webSocketConnections: 0,
    accepted: 0,
    refusedByAddress: 0,
    wrongKeys: 0,
    subscriptions: 0,
    bytesIn: 0,
    bytesOut: 0,
    messagesIn: 0,
    deliveries: 0,
    receipts: 0,
    messagesForwarded: 0,
    linkFailures: 0,
    linkStalls: 0,
    writes: 0,
    publisherPauses: 0,
    ratePauses: 0,
    pauses: {
      rate: 0,
      memory: 0,
      receipts: 0,
      backlog: 0,
      slow_subscribers: 0,
      workers: 0,
      machines: 0,
    },
    collections: 0,
    memoryPauses: 0,
    memoryEvictions: 0,
    memoryRefusals: 0,
    acceptErrors: 0,
    messagesReplayed: 0,
    historyGivenUp: 0,
    historyBytes: 0,
    historyMessages: 0,
    historyTopics: 0,
    resumes: { new: 0, ok: 0, off: 0, too_old: 0, unknown_origin: 0, gap: 0 },
    ended: {
      bad_frame: 0,
      bad_message: 0,
      frame_too_large: 0,
      too_many_topics: 0,
      too_many_connections: 0,
      forbidden: 0,
      slow_consumer: 0,
      discontinuity: 0,
      idle_timeout: 0,
      server_shutdown: 0,
      client_closed: 0,
      published: 0,
      handshake_failed: 0,
      connection_lost: 0,
    },
  };
}

/** True for a reason of which the client is told in an error frame. */
export function isErrorCode(reason: EndReason): reason is ErrorCode {
  return reason !== "client_closed" && reason !== "connection_lost" && reason !== "published" &&
    reason !== "handshake_failed";
}
