import type { TransportEnd } from "../types.ts";

/** The state of a connection that is ending. Most connections have none, so that they stay small. */
export class Ending {
  code: number | undefined;
  reason: string | undefined;
  /** The peer broke the rules: the code is that of the violation. */
  isOfViolation = false;
  /** Everything that the peer sends from now on is ignored. */
  isDeaf = false;
  /** The owner knows that the peer has ended. */
  isEndTold = false;
  /** The peer's end came while reading was paused. */
  isEndHeld = false;
  /** The connection was given up; the owner is told when the descriptor is free. */
  isLeaving = false;
  /** The owner has closed during the handshake. */
  isClosing = false;
  /** The peer's close frame. */
  peerClose: { readonly code: number | undefined } | undefined;
  /** The end of the connection beneath, while bytes from before it are still to be delivered. */
  plainEnd: { readonly why: TransportEnd; readonly cause: Error | undefined } | undefined;
  /** The reason for a failed handshake, while the peer is being told. */
  failure: { readonly error: Error; readonly timer: ReturnType<typeof setTimeout> } | undefined;

  get takesWrites(): boolean {
    return !this.isClosing && this.plainEnd === undefined;
  }
}
