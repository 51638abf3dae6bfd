import type { DueWrites } from "../flow/due_writes.ts";
import type { Batch } from "../history/batch.ts";
import type { PassObserver } from "../topics/topic_context.ts";
import { Fifo } from "../timing/fifo.ts";
import { Histogram } from "./histogram.ts";
import {
  FANOUT_SECONDS,
  FANOUT_SUBSCRIBERS,
  LARGE_PASS_SUBSCRIBERS,
  MAX_TRANSIT_MS,
  RECENT_PASSES,
  RECENT_PASSES_MS,
} from "./limits.ts";
import type { WatchedTopics } from "./watched_topics.ts";

/** One pass over a topic's subscribers. */
export interface PassRecord {
  /** When it ended, in milliseconds since the Unix epoch. */
  readonly endedMs: number;
  /** Milliseconds from the acceptance of its oldest message to the last write handed over. */
  readonly tookMs: number;
  /** The number of subscribers that it reached. */
  readonly subscribers: number;
}

/** The parts of the server that {@linkcode PassRecorder} uses. */
export interface PassRecorderHost {
  readonly dueWrites: DueWrites;
  /** Microseconds since the Unix epoch, on the clock of the timestamps. */
  readonly epochMicros: () => number;
  readonly watched: WatchedTopics;
}

/**
 * Measures each pass over a topic's subscribers: the time from the acceptance of its oldest message, by
 * whichever process accepted that, to the last write handed over. One observation a pass, and none a
 * subscriber.
 */
export class PassRecorder implements PassObserver {
  readonly seconds = new Histogram(FANOUT_SECONDS);
  /** The same for passes that reached more than {@linkcode LARGE_PASS_SUBSCRIBERS}. */
  readonly largeSeconds = new Histogram(FANOUT_SECONDS);
  readonly subscribers = new Histogram(FANOUT_SUBSCRIBERS);
  readonly #host: PassRecorderHost;
  readonly #recent = new Fifo<PassRecord>();

  /** The topics that are counted by name. */
  get watched(): WatchedTopics {
    return this.#host.watched;
  }

  constructor(host: PassRecorderHost) {
    this.#host = host;
  }

  readonly readMs = (): number => performance.now();

  observe(batch: Batch): void {
    // Chunks that connections keep for a later write aren't handed over yet.
    if (batch.hasLeftPieces) this.#host.dueWrites.follow(() => this.#record(batch));
    else this.#record(batch);
  }

  countDeliveries(topic: string, messages: number): void {
    this.#host.watched.countDeliveries(topic, messages);
  }

  /** The passes of the last minute, the oldest first, as far as they are remembered. */
  recent(): PassRecord[] {
    this.#forgetOld(Date.now());
    return [...this.#recent];
  }

  #record({ accepted, reached }: Batch): void {
    const hereMs = performance.now() - accepted.sinceMs;
    // Another process may have accepted the message before. A clock that was set must not count.
    const transitMs = this.#host.epochMicros() / 1000 - accepted.micros / 1000 - hereMs;
    const tookMs = hereMs + (transitMs > 0 && transitMs < MAX_TRANSIT_MS ? transitMs : 0);
    this.seconds.observe(tookMs / 1000);
    this.subscribers.observe(reached);
    if (reached > LARGE_PASS_SUBSCRIBERS) this.largeSeconds.observe(tookMs / 1000);
    const endedMs = Date.now();
    if (this.#recent.size >= RECENT_PASSES) this.#recent.shift();
    this.#recent.push({ endedMs, tookMs, subscribers: reached });
  }

  #forgetOld(nowMs: number): void {
    for (;;) {
      const oldest = this.#recent.peek();
      if (oldest === undefined || oldest.endedMs > nowMs - RECENT_PASSES_MS) return;
      this.#recent.shift();
    }
  }
}
