import type { Gate, WaitingPlace } from "../flow/gate.ts";

/**
 * Does what a client asks for. If that can't be decided yet, it returns the place to wait at, and is
 * called again later.
 */
export type Attempt = () => WaitingPlace | undefined;

/** The session, as the inbound side of its connection uses it. */
export interface InboundSession {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** True while the server reads the client's frames. */
  readonly isOpen: boolean;
  /** True if the inbound side wants the connection to be read. */
  readonly isReading: boolean;
  /** Bytes of memory that an incomplete frame holds. */
  readonly unfinishedBytes: number;
  /** The gate at which the client should wait before its next frame is read, if any. */
  readonly publishGate: Gate | undefined;
  /**
   * Decodes a chunk and does what its frames ask for, until the piece's units are used up. The chunk
   * isn't kept.
   *
   * @returns Bytes taken; the whole chunk once the session has ended.
   */
  read(chunk: Uint8Array): number;
  /** Called when all bytes before a message's end are read; see `Inbound.deferMessageEnd`. */
  endMessage(): void;
  /**
   * Tries again a request that had to wait.
   *
   * @returns The next place to wait at, if the request can't be decided yet.
   */
  retry(attempt: Attempt): WaitingPlace | undefined;
  /** True if the client has published a message. */
  readonly hasPublished: boolean;
  /** True if the client has lately sent more at once than small messages explain. */
  readonly hasSentMuch: boolean;
  /**
   * Called before the client is read again after a wait.
   *
   * @param sinceMs The beginning of the wait, on the coarse clock.
   * @param isLate True if much may arrive at once only because the client wasn't read.
   */
  onWaited(sinceMs: number, isLate: boolean): void;
  /** Called when all bytes that had to wait are read. */
  onNothingWaits(): void;
  /** Sets {@linkcode isReading}. */
  setReading(isWanted: boolean): void;
}
