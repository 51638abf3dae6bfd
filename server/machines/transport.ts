/** Carries frames between the machines of a cluster. It may lose frames, and never waits. */
export interface Transport {
  /** True while frames go out: there is a connection, and the other end takes what is sent. */
  readonly isConnected: boolean;
  /** True if publishers should wait until more of what was sent has left. */
  readonly isFull: boolean;
  /** Bytes that were sent and aren't known to have left. */
  readonly unsentBytes: number;
  /** The longest frame, in bytes; 0 if that isn't known yet. */
  readonly maxFrameBytes: number;
  /** This machine's address, as the other end sees it; empty if that isn't known. */
  readonly ownAddress: string;
  /**
   * Sends a frame to all other machines, or to one. It is lost if there is no connection.
   *
   * @param frame Must not be changed any more.
   */
  send(frame: Uint8Array, machine?: string): void;
  /** Looks whether the other end takes what is sent. To be called about once a sweep. */
  sweep(): void;
  /** Sends what was sent, and closes the connection. */
  close(): Promise<void>;
}

/** The events of a transport. */
export interface TransportEvents {
  /**
   * A frame has come. Valid only during the call.
   *
   * @param isForOne True if it is for this machine only, which has asked for it.
   */
  onFrame(frame: Uint8Array, isForOne: boolean): void;
  /** Publishers that waited may go on, since it isn't full any more, or takes nothing. */
  onCaughtUp(): void;
  /** The connection stands, for the first time or again. */
  onConnected(): void;
  /** The connection is lost, or takes nothing; the reason in words. */
  onAway(reason: string): void;
  /** The other end has refused something; the reason in words. */
  onError(reason: string): void;
}
