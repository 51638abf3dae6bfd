/**
 * The requests that a server decodes from a client's bytes.
 *
 * @module
 */

import type { ResumeRequest } from "./resume.ts";

/** The callbacks for a client's requests, called in the order of the requests. */
export interface ClientFrames {
  /**
   * The client subscribes, perhaps to a topic that it's subscribed to already.
   *
   * @param topic A valid topic, decoded.
   * @param resume Where the subscription begins, if the client says so.
   */
  onSubscribe(topic: string, resume: ResumeRequest | undefined): void;
  /**
   * The client unsubscribes, perhaps from a topic that it isn't subscribed to.
   *
   * @param topic A valid topic, decoded.
   */
  onUnsubscribe(topic: string): void;
  /**
   * The client authenticates with a key.
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
  /** The same, for a publisher that asks for a receipt. */
  onPublishForReceipt(topic: string, message: Uint8Array): void;
  /** The client sent a frame that asks for nothing: an empty one, `<regular-socket/>`, `PING` or `PONG`. */
  onIdleFrame(): void;
  /**
   * True if no further frame should be decoded for now. It is read after each frame; absent if everything
   * is to be decoded at once.
   */
  readonly hasEnough?: boolean;
}
