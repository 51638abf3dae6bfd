/**
 * The interfaces by which a WebSocket's connection knows its owner, and its side: client or server.
 *
 * @module
 */

import type { ConnectionHandler } from "../types.ts";
import type { FrameReader } from "./frame_reader.ts";

/** The owner of a {@linkcode WebSocketConnection}. A plain {@linkcode ConnectionHandler} will do. */
export interface WebSocketHandler extends ConnectionHandler {
  /**
   * A message has ended whose last byte isn't 0. Messages that end in 0 may be delivered several at once,
   * without a call.
   */
  onMessageEnd?(): void;
  /** The peer has sent a ping or a pong. */
  onSignOfLife?(): void;
  /**
   * The peer broke the rules of WebSocket. Nothing of what it sends is read any more. The owner may still
   * write, and should `close()`; without this method the connection does so itself.
   */
  onViolation?(message: string): void;
}

/** The handshake of one side. */
export interface Handshake {
  /** Bytes that are sent first; absent if the peer begins. */
  readonly opening?: Uint8Array;
  /** The bytes of memory that it holds. */
  readonly heldBytes: number;
  /**
   * Takes received bytes.
   *
   * @returns Absent if more have to come; else the number of bytes of this chunk that it took, and what is
   * to be sent before anything else, which is valid until the next handshake.
   * @throws {Error} if the handshake has failed. Its `answer`, if any, is sent before the end.
   */
  push(chunk: Uint8Array): { readonly taken: number; readonly answer?: Uint8Array } | undefined;
}

/** The parts that all connections of one side share. */
export interface WebSocketSide {
  /** True if frames must be masked when they are sent. */
  readonly isClient: boolean;
  /** Takes a reader at rest. */
  borrowReader(): FrameReader;
  /** Takes it back, at rest. */
  giveReaderBack(reader: FrameReader): void;
}
