/**
 * The part of a connection that differs between TCP and WebSocket.
 *
 * @module
 */

import type { ServerAddress } from "./address.ts";
import type { WebSocketConstructor } from "../api/options.ts";

/** Receives a transport's events. Nothing follows `onClose`. */
export interface TransportHandler {
  /** It is connected. */
  onOpen(): void;
  /** A whole frame, without its terminator. */
  onFrame(frame: string): void;
  /** After a `write` that returned false: there is room again. */
  onDrain(): void;
  /** It has ended, or couldn't be made. A final error means that the address is no good. */
  onClose(error: Error): void;
}

/** A connection. After `close` or `destroy` it tells nothing but `onClose`. */
export interface Transport {
  /** Sends bytes, which mustn't be changed any more. False if it is full, though it has taken them. */
  write(bytes: Uint8Array): boolean;
  /** False if it reads for as long as it is open. */
  readonly canPause: boolean;
  /** Reads no more until `resume`, if it can. */
  pause(): void;
  resume(): void;
  /** Closes the connection after sending what was written. */
  close(): void;
  /** Closes the connection at once. */
  destroy(): void;
}

/** The client's options that a transport may need. */
export interface DialOptions {
  readonly ca: string | undefined;
  readonly WebSocket: WebSocketConstructor | undefined;
}

/** Begins to connect, and answers by the handler, not before this has returned. */
export type Dial = (
  address: ServerAddress,
  handler: TransportHandler,
  options: DialOptions,
) => Transport;
