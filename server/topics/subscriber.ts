import type { Gate } from "../flow/gate.ts";
import type { SharedChunk } from "../flow/shared_chunk.ts";

/**
 * Whether a subscriber keeps up. If the chunk `is_due`, it is written later in this turn, together with
 * other topics' chunks. A subscriber that is `behind` has drained bytes since it fell behind; one that is
 * `behind_unproven` hasn't, and may be slow or dead.
 */
export type Lag = "keeps_up" | "is_due" | "behind" | "behind_unproven";

/** Counts the topics that exist because of one address's clients. */
export interface TopicHolder {
  addTopic(): void;
  removeTopic(): void;
}

/** A receiver of a topic's messages. */
export interface Subscriber {
  /** Counts the topics whose first subscriber it is; absent for a peer without an address. */
  readonly holder?: TopicHolder | undefined;
  /**
   * Takes a chunk of whole frames, in order. It may unsubscribe from inside.
   *
   * @param mayWait True if the chunk may wait until this turn's end, so that one write serves several
   * topics.
   * @returns Whether it keeps up, with this chunk included.
   */
  deliver(chunk: SharedChunk, mayWait: boolean): Lag;
  /** Ends it, because older messages that it was about to get are no longer stored. */
  fallBehind(): void;
  /** The gate for its topics' publishers, while it is behind but making progress. */
  readonly gate: Gate | undefined;
  /** The number of delivered bytes that still wait. */
  readonly pendingBytes: number;
  /** True if delivered bytes wait that weren't left for this turn's end. */
  readonly hasUnsent: boolean;
}

/** A subscriber's place among the subscriptions of a topic. */
export interface SubscriberPlace {
  readonly subscriber: Subscriber;
  /** Its index among them; -1 once it has ended. */
  readonly index: number;
}
