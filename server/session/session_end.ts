import type { EndReason } from "../counters.ts";

/** The end of a session, with its state at the moment when it began to end. */
export interface SessionEnd {
  /** The client's IP address; empty on a Unix socket. */
  readonly remoteAddress: string;
  /** The client's port; 0 on a Unix socket. */
  readonly remotePort: number;
  /** The reason for the end. */
  readonly reason: EndReason;
  /** Bytes that waited for the client. */
  readonly pendingBytes: number;
  /** The topic of the client's oldest subscription, if it had any. */
  readonly topic: string | undefined;
  /** Number of topics that the client was subscribed to. */
  readonly topicCount: number;
  /** Milliseconds since the connection was accepted, on the coarse clock. */
  readonly ageMs: number;
  /** The error frame's text, or the transport's error; may be empty. */
  readonly detail: string;
}
