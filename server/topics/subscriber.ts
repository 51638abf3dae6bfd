import type { SharedChunk } from "../flow/shared_chunk.ts";

/**
 * Whether a subscriber keeps up. If the chunk `is_due`, it is written later in this turn, together with
 * other topics' chunks. For a subscriber that is `behind` so much waits that it should read on from a log.
 */
export type Lag = "keeps_up" | "is_due" | "behind";

/**
 * How a subscriber that is behind takes what it is given. It is `unproven` until it has drained something, and
 * `stalled` when it has taken nothing for a while, or too little.
 */
export type Pace = "unproven" | "reads" | "stalled";

/**
 * The reason why a subscriber can't go on where it is: messages that it has yet to get are `not_stored` any
 * more, or it is `too_far` behind.
 */
export type Fall = "not_stored" | "too_far";

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
  /** Ends it. */
  fallBehind(fall: Fall): void;
  /** The bytes that wait for it here, without those in logs. */
  readonly unsentBytes: number;
  /** True if so little waits that stored messages of another topic may be delivered, too. */
  readonly takesMore: boolean;
  /** True if delivered bytes wait that weren't left for this turn's end. */
  readonly hasUnsent: boolean;
}
