/**
 * The reasons for which a server closes a connection, as they stand on the wire.
 *
 * @module
 */

/** The `code` of an error frame. A closed list: clients may switch on it. */
export type ErrorCode =
  | "bad_frame"
  | "bad_message"
  | "frame_too_large"
  | "too_many_topics"
  | "too_many_connections"
  | "forbidden"
  | "slow_consumer"
  | "idle_timeout"
  | "server_shutdown";

/** A peer broke the protocol. It costs the peer its connection, and nobody else anything. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  /** What the error frame will say. */
  readonly code: ErrorCode;
  /** @param message For the peer's developer: what was wrong, in one line of plain text. */
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
