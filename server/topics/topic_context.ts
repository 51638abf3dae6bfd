import type { Counters } from "../counters.ts";
import type { Batch } from "../history/batch.ts";
import type { History } from "../history/history.ts";
import type { Origins } from "../history/origins.ts";
import type { Tagging } from "../history/tagging.ts";
import type { FairScheduler } from "../timing/fair_scheduler.ts";
import type { CatchUps } from "./catch_ups.ts";
import type { UnreadLogContext } from "./unread_log.ts";

/** A topic, as the registry knows it. */
export interface KnownTopic {
  readonly name: string;
  /** False if it exists only to store what is published to it. */
  readonly hasHadSubscribers: boolean;
}

/** Measures passes; see `PassRecorder`. */
export interface PassObserver {
  /** A monotonic clock, in milliseconds. */
  readonly readMs: () => number;
  /** Called once for each pass that reached a subscriber, when the batch was handed to all subscribers. */
  observe(batch: Batch): void;
  /** Called for each slice of a pass over a topic's subscribers. */
  countDeliveries(topic: string, messages: number): void;
}

/** The parts of the server that topics use; all topics share one object. */
export interface TopicContext extends UnreadLogContext {
  readonly counters: Pick<Counters, "deliveries">;
  /** Absent unless passes are measured. */
  readonly passes: PassObserver | undefined;
  readonly scheduler: FairScheduler;
  /** Bytes of a batch; see `maxBatchBytesFor`. */
  readonly maxBatchBytes: number;
  readonly origins: Origins;
  readonly history: History;
  readonly tagging: Tagging;
  readonly catchUps: CatchUps;
  /** True if other processes serve the same topics, so that passes bring messages of several origins. */
  readonly hasOtherOrigins: boolean;
  /** Called when the topic has its first subscriber. */
  onSubscribed(topic: KnownTopic): void;
  /** Called when the topic has no subscribers any more, and nothing to pass on. */
  onVanish(topic: KnownTopic): void;
}
