import type { EndReason } from "../counters.ts";

/** How a session came to its end: what it was at the moment in which that began. */
export interface SessionEnd {
  /** The client's IP address; empty on a Unix socket. */
  readonly remoteAddress: string;
  /** The client's port; 0 on a Unix socket. */
  readonly remotePort: number;
  /** Why it ended. */
  readonly reason: EndReason;
  /** Bytes that waited for the client. */
  readonly pendingBytes: number;
  /** The topic that it had been subscribed to for longest, if any. */
  readonly topic: string | undefined;
  /** How many topics it was subscribed to. */
  readonly topicCount: number;
  /** Milliseconds since it was accepted, as exact as deadlines are. */
  readonly ageMs: number;
  /** The error frame's text, or the transport's error; may be empty. */
  readonly detail: string;
}
