/**
 * What a client asks of a server.
 *
 * @module
 */

/** What a client asks for, in the order in which it asked. */
export interface ClientFrames {
  /**
   * The client subscribes, perhaps once more.
   *
   * @param topic A valid topic, decoded.
   */
  onSubscribe(topic: string): void;
  /**
   * The client unsubscribes, perhaps from what it isn't subscribed to.
   *
   * @param topic A valid topic, decoded.
   */
  onUnsubscribe(topic: string): void;
  /**
   * The client shows a key.
   *
   * @param key Not checked; a secret, which belongs in no message.
   */
  onAuthenticate(key: string): void;
  /**
   * The client publishes.
   *
   * @param topic A valid topic, decoded.
   * @param message MESSAGE's object exactly as it was sent, from `{` to `}`, checked. It has a valid
   * `topic` and no `timestamp`. A view of memory that is used again: valid only during the call.
   */
  onPublish(topic: string, message: Uint8Array): void;
  /** The same, and wants to know what becomes of the message. */
  onPublishForReceipt(topic: string, message: Uint8Array): void;
  /** The client sent a frame that asks for nothing: an empty one, `<regular-socket/>`, `PING` or `PONG`. */
  onIdleFrame(): void;
  /**
   * True when no further frame should be decoded for now. It's looked at behind each frame; absent
   * where all that arrives is to be decoded at once.
   */
  readonly hasEnough?: boolean;
}
