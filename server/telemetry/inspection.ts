/**
 * The lists of `/status.json`: slow subscribers, publishers that wait, and large topics.
 *
 * @module
 */

import type { PauseCause } from "../counters.ts";
import type { Session } from "../session/session.ts";
import type { SessionEnd } from "../session/session_end.ts";
import type { SessionTable } from "../session/session_table.ts";
import type { FairScheduler, SlicedTask } from "../timing/fair_scheduler.ts";
import type { Topic } from "../topics/topic.ts";
import type { TopicRegistry } from "../topics/topic_registry.ts";
import { LISTED, LISTED_TOPICS_OF_ONE, LOOKS_PER_WRITE, MUCH_PENDING_BYTES } from "./limits.ts";
import type { PassRecord } from "./pass_recorder.ts";
import { TopList } from "./top_list.ts";

/** A topic in a list. */
export interface ListedTopic {
  readonly topic: string;
  readonly subscribers: number;
  /** Messages handed to its subscribers since it has some: one for each message and subscriber. */
  readonly deliveries: number;
}

/** A subscriber that has bytes waiting. */
export interface SlowSubscriber {
  readonly address: string;
  readonly port: number;
  /** Some of its topics. */
  readonly topics: readonly string[];
  readonly topicCount: number;
  readonly pendingBytes: number;
  /** Milliseconds since it took a byte. */
  readonly stalledMs: number;
  readonly ageMs: number;
}

/** A session that ended for being slow. */
export interface SlowEnd extends SessionEnd {
  /** The time, in milliseconds since the Unix epoch. */
  readonly endedMs: number;
}

/** A publisher that waits. */
export interface PausedPublisher {
  readonly address: string;
  readonly port: number;
  /** The gate at which it waits. */
  readonly gate: PauseCause;
  /** Bytes that it sent and that wait to be read. */
  readonly waitingBytes: number;
}

/** The lists of one process. Each has a bounded length. */
export interface Inspection {
  readonly topicsBySubscribers: readonly ListedTopic[];
  readonly topicsByDeliveries: readonly ListedTopic[];
  readonly slowSubscribers: readonly SlowSubscriber[];
  readonly slowEnds: readonly SlowEnd[];
  readonly pausedPublishers: readonly PausedPublisher[];
  /** All publishers that wait, by gate; those that aren't listed too. */
  readonly pausedByGate: Readonly<Partial<Record<PauseCause, number>>>;
  readonly recentPasses: readonly PassRecord[];
}

/** The parts of the server that an inspection looks at. */
export interface InspectedServer {
  readonly sessions: SessionTable<Session>;
  readonly topics: TopicRegistry;
  readonly scheduler: FairScheduler;
}

/** The part of an inspection that takes a look at each session and topic. */
export type Survey = Omit<Inspection, "slowEnds" | "recentPasses">;

/**
 * Looks at each session and each topic, in slices between turns of the loop: with 20,000 sessions and 50,000
 * topics some 5 ms in all. Those that come or go meanwhile may be missing.
 */
export function survey({ sessions, topics, scheduler }: InspectedServer): Promise<Survey> {
  return new Promise((resolve) => {
    scheduler.schedule(new Surveyor(sessions, topics, resolve));
  });
}

class Surveyor implements SlicedTask {
  readonly #sessions: SessionTable<Session>;
  readonly #topics: Iterator<Topic>;
  readonly #onDone: (survey: Survey) => void;
  readonly #bySubscribers = new TopList<Topic>(LISTED);
  readonly #byDeliveries = new TopList<Topic>(LISTED);
  readonly #slow = new TopList<Session>(LISTED);
  readonly #paused: Session[] = [];
  readonly #pausedByGate: Partial<Record<PauseCause, number>> = {};
  #slot: number;
  #isDone = false;

  constructor(
    sessions: SessionTable<Session>,
    topics: TopicRegistry,
    onDone: (survey: Survey) => void,
  ) {
    this.#sessions = sessions;
    this.#slot = sessions.size - 1;
    this.#topics = topics.all()[Symbol.iterator]();
    this.#onDone = onDone;
  }

  get hasMore(): boolean {
    return !this.#isDone;
  }

  runSlice(budget: number): number {
    const most = Math.ceil(budget * LOOKS_PER_WRITE);
    let looks = 0;
    for (; looks < most && this.#slot >= 0; looks++) this.#lookAt(this.#sessions.at(this.#slot--));
    for (; looks < most; looks++) {
      const { value, done } = this.#topics.next();
      if (done === true) {
        this.#finish();
        break;
      }
      this.#bySubscribers.offer(value, value.subscriberCount);
      if (value.deliveries > 0) this.#byDeliveries.offer(value, value.deliveries);
    }
    return Math.max(1, looks / LOOKS_PER_WRITE);
  }

  #lookAt(session: Session | undefined): void {
    if (session === undefined) return;
    const { pendingBytes, pauseCause } = session;
    // Any subscriber may have bytes waiting for a moment.
    const isSlow = pendingBytes >= MUCH_PENDING_BYTES || pendingBytes > 0 && session.stalledMs > 0;
    if (isSlow && session.topicCount > 0) this.#slow.offer(session, pendingBytes);
    if (pauseCause === undefined) return;
    this.#pausedByGate[pauseCause] = (this.#pausedByGate[pauseCause] ?? 0) + 1;
    if (this.#paused.length < LISTED) this.#paused.push(session);
  }

  #finish(): void {
    this.#isDone = true;
    this.#onDone({
      topicsBySubscribers: this.#bySubscribers.items().map(listedTopic),
      topicsByDeliveries: this.#byDeliveries.items().map(listedTopic),
      slowSubscribers: this.#slow.items().map(slowSubscriber),
      pausedPublishers: this.#paused.flatMap(pausedPublisher),
      pausedByGate: this.#pausedByGate,
    });
  }
}

function listedTopic({ name, subscriberCount, deliveries }: Topic): ListedTopic {
  return { topic: name, subscribers: subscriberCount, deliveries };
}

function slowSubscriber(session: Session): SlowSubscriber {
  return {
    address: session.remoteAddress,
    port: session.remotePort,
    topics: session.topicNames.slice(0, LISTED_TOPICS_OF_ONE),
    topicCount: session.topicCount,
    pendingBytes: session.pendingBytes,
    stalledMs: session.stalledMs,
    ageMs: session.ageMs,
  };
}

function pausedPublisher(session: Session): PausedPublisher[] {
  const { remoteAddress, remotePort, pauseCause, inputBytes } = session;
  if (pauseCause === undefined) return [];
  return [{
    address: remoteAddress,
    port: remotePort,
    gate: pauseCause,
    waitingBytes: inputBytes,
  }];
}
