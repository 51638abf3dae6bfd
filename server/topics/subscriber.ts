import type { Gate } from "../flow/gate.ts";
import type { SharedChunk } from "../flow/shared_chunk.ts";

/**
 * How a subscriber keeps up. One for which the chunk `is_due` gets it soon, together with what other
 * topics have for it. One that is well `behind` has taken bytes since it fell behind; one that is
 * `behind_unproven` hasn't, so that only time will tell whether it reads at all.
 */
export type Pace = "keeps_up" | "is_due" | "behind" | "behind_unproven";

/** Counts the topics that are there because of the clients of one address. */
export interface TopicHolder {
  addTopic(): void;
  removeTopic(): void;
}

/** Whoever receives a topic's messages. */
export interface Subscriber {
  /** Whom a topic counts for whose first subscriber it is; absent for a peer without an address. */
  readonly holder?: TopicHolder | undefined;
  /**
   * Takes a chunk of whole frames, in order. It may unsubscribe from inside.
   *
   * @param mayWait Whether it may be kept for a moment, so that one write does for several topics.
   * @returns How it keeps up, once the chunk is with it.
   */
  deliver(chunk: SharedChunk, mayWait: boolean): Pace;
  /** Where its topics' publishers should wait, while it's well behind but making progress. */
  readonly gate: Gate | undefined;
  /** Bytes that were delivered to it and still wait. */
  readonly pendingBytes: number;
  /** Whether anything still waits that was delivered to it, and not to be kept for a moment. */
  readonly hasUnsent: boolean;
}

/** A subscriber's place among the subscriptions of a topic. */
export interface SubscriberPlace {
  readonly subscriber: Subscriber;
  /** Where it stands among them; -1 once it has ended. */
  readonly index: number;
}
