/**
 * The errors for which a server closes a connection, as they stand on the wire.
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
  | "discontinuity"
  | "idle_timeout"
  | "server_shutdown";

/** A peer broke the protocol. It loses its connection; no other peer is affected. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  /** The code of the error frame. */
  readonly code: ErrorCode;
  /** @param message The fault in one line of plain text, for the peer's developer. */
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
