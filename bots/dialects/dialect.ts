/**
 * What a bot says and expects to hear. A dialect knows bytes; it knows nothing of bots, phases, clocks
 * or counts, so that servers which speak another protocol can be measured by the same bots.
 *
 * @module
 */

/**
 * What a frame from the server is.
 *
 * - `greeting`: the server has accepted the connection; now subscribe.
 * - `acknowledgement`: what was asked for is granted: a key, or the subscription.
 * - `heartbeat`: asks for a sign of life; see {@linkcode Dialect.heartbeatReply}.
 * - `message`: something published, to be looked at with {@linkcode Dialect.examine}.
 * - `refusal`: the server says why it will close the connection.
 * - `unknown`: none of these.
 */
export type FrameKind =
  | "greeting"
  | "acknowledgement"
  | "heartbeat"
  | "message"
  | "refusal"
  | "unknown";

/**
 * What was found in a message frame.
 *
 * - `right`: it is well formed and says what was published.
 * - `different`: it is well formed, but says something else.
 * - `damaged`: it is no message that the server may send to this subscriber.
 */
export interface Examination {
  readonly verdict: "right" | "different" | "damaged";
  /** The server's timestamp in microseconds since the Unix epoch, where the frame has a valid one. */
  readonly stampMicros: number | null;
}

/** The words of a client that wants to know why it is refused. */
export interface Inquiry {
  /** Sent as soon as the connection is there. */
  readonly opening: Uint8Array;
  /** Sent on the greeting, to ask for the subscription. */
  readonly subscribe: Uint8Array;
  /** Sent on the greeting, to publish the like of the message to a topic of its own. */
  readonly publish: Uint8Array;
}

/**
 * One protocol, for one topic and one message. Its frames' buffers are shared by all bots: nobody
 * writes to them.
 */
export interface Dialect {
  /** For the report. */
  readonly name: string;
  /** Who puts the timestamp into a message, and so whose clock its age is by. */
  readonly stampedBy: "server" | "publisher";
  /** Sent as soon as the connection is there. */
  readonly opening: Uint8Array;
  /** Sent on the greeting. */
  readonly subscribe: Uint8Array;
  /** How many acknowledgements come, the subscription's the last. */
  readonly acknowledgements: number;
  /** Sent before an orderly close. */
  readonly unsubscribe: Uint8Array;
  /** Sent on each heartbeat; empty where it isn't answered. */
  readonly heartbeatReply: Uint8Array;
  /** Sent by a publisher as soon as the connection is there; empty where the server speaks first. */
  readonly publisherOpening: Uint8Array;

  /**
   * Whether a publisher keeps its connection until all have the message, to hear what the server says of
   * it; else it closes at once.
   */
  readonly publisherStays: boolean;
  /**
   * How to ask a server why it refuses what it was asked for; `null` where it tells everyone at once.
   */
  readonly inquiry: Inquiry | null;

  /**
   * All that a publisher sends after the greeting.
   *
   * @param nowMicros The timestamp where the publisher puts it in: whole microseconds since the epoch.
   */
  publish(nowMicros: number): Uint8Array;
  /**
   * Where the frame that begins at `start` ends, its terminator included; 0 while it isn't complete.
   * `bytes` is only read.
   */
  frameEnd(bytes: Uint8Array, start: number): number;
  /** What a complete frame is. Never throws, whatever the bytes are. */
  kindOf(frame: Uint8Array): FrameKind;
  /** The reason in a refusal, in a word or a short text. */
  refusalReason(frame: Uint8Array): string;
  /** All that a refusal says, for people. */
  refusalText(frame: Uint8Array): string;
  /**
   * How many milliseconds a refusal asks to wait before coming back; `null` where it doesn't say. Absent
   * where the protocol has no such thing.
   */
  retryAfterMs?(frame: Uint8Array): number | null;
  /** Checks a message in full: members, their order, their decoded values, the timestamp. */
  examine(frame: Uint8Array): Examination;
}
