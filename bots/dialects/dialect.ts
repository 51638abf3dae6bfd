/**
 * The bytes that a bot sends and expects. A dialect knows bytes only, no bots, phases, clocks or counts.
 * So the same bots can measure servers that speak other protocols.
 *
 * @module
 */

/**
 * The kind of a frame from the server.
 *
 * - `greeting`: the server has accepted the connection; now subscribe.
 * - `acknowledgement`: the server granted a request: a key, or the subscription.
 * - `heartbeat`: the server asks for a sign of life; see {@linkcode Dialect.heartbeatReply}.
 * - `message`: a published message, to be checked with {@linkcode Dialect.examine}.
 * - `refusal`: the server says why it is about to close the connection.
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
 * The result of checking a message frame.
 *
 * - `right`: it is well formed and holds the published message.
 * - `different`: it is well formed, but holds another message.
 * - `damaged`: it is no message that the server may send to this subscriber.
 */
export interface Examination {
  readonly verdict: "right" | "different" | "damaged";
  /** The timestamp in microseconds since the Unix epoch; `null` if the frame has no valid one. */
  readonly stampMicros: number | null;
}

/** The frames of a client that asks why it is refused. */
export interface Inquiry {
  /** Sent as soon as the connection is there. */
  readonly opening: Uint8Array;
  /** Sent on the greeting, to ask for the subscription. */
  readonly subscribe: Uint8Array;
  /** Sent on the greeting, to publish a message of the same size to another topic. */
  readonly publish: Uint8Array;
}

/**
 * One protocol, for one topic and one message. All bots share its buffers, so callers must not write to
 * them.
 */
export interface Dialect {
  /** The protocol's name in reports. */
  readonly name: string;
  /**
   * The side that puts the timestamp into a message. The message's age is measured by that side's clock.
   */
  readonly stampedBy: "server" | "publisher";
  /** True if its bytes go over a WebSocket. */
  readonly isOverWebSocket?: boolean;
  /** Sent as soon as the connection is there. */
  readonly opening: Uint8Array;
  /** Sent on the greeting. */
  readonly subscribe: Uint8Array;
  /** The number of acknowledgements that come; the subscription's is the last. */
  readonly acknowledgements: number;
  /** Sent before an orderly close. */
  readonly unsubscribe: Uint8Array;
  /** Sent on each heartbeat; empty if heartbeats aren't answered. */
  readonly heartbeatReply: Uint8Array;
  /** Sent by a publisher as soon as the connection is there; empty if the server speaks first. */
  readonly publisherOpening: Uint8Array;

  /**
   * True if a publisher keeps its connection until all bots have the message, to hear what the server
   * says about it. If false, it closes at once.
   */
  readonly publisherStays: boolean;
  /**
   * The frames that ask a server for the reason of a refusal; `null` if the server tells every client at
   * once.
   */
  readonly inquiry: Inquiry | null;

  /**
   * The bytes that a publisher sends after the greeting.
   *
   * @param nowMicros The timestamp, if the publisher puts it in: whole microseconds since the Unix epoch.
   */
  publish(nowMicros: number): Uint8Array;
  /**
   * The offset behind the frame that begins at `start`, including its terminator; 0 while the frame isn't
   * complete. `bytes` is only read.
   */
  frameEnd(bytes: Uint8Array, start: number): number;
  /** The kind of a complete frame. Never throws, whatever the bytes are. */
  kindOf(frame: Uint8Array): FrameKind;
  /** The reason of a refusal, in a word or a short text. */
  refusalReason(frame: Uint8Array): string;
  /** The full text of a refusal, for people. */
  refusalText(frame: Uint8Array): string;
  /**
   * Milliseconds that a refusal asks to wait before coming back; `null` if it doesn't say. Absent if the
   * protocol has no such thing.
   */
  retryAfterMs?(frame: Uint8Array): number | null;
  /** Checks a message in full: members, their order, their decoded values, the timestamp. */
  examine(frame: Uint8Array): Examination;
}
