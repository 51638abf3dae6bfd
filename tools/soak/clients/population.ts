/**
 * The healthy clients of a soak.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../../harness/random.ts";
import { LegacyPublisher } from "./legacy_publisher.ts";
import { SoakPublisher } from "./publisher.ts";
import { type PopulationContext, Subscriber, type SubscriberPlan } from "./subscriber.ts";

/** Topics of small messages. Six are enough for slices of topics to take turns. */
export const TOPICS: readonly string[] = Array.from({ length: 6 }, (_, at) => `soak-${at}`);

/** The pattern of all topics whose messages the server stores: what attackers publish isn't stored. */
export const STORED_TOPICS = "soak-*";

/**
 * A topic of large messages, some 500 kB a second: a subscriber that doesn't read falls behind within
 * seconds.
 */
export const BUSY_TOPIC = "soak-busy";

const SMALL_BYTES = 200;
const LARGE_BYTES = 32 * 1024;

/** For each topic, one publisher of small messages at a steady pace, and one that sends bursts. */
const STEADY_PER_SECOND = 20;
const BURST_EVERY_MS = 8_000;
const MAX_BURST = 1_000;

const BUSY_PER_SECOND = 25;
const BUSY_MAX_BURST = 50;

/** Milliseconds from one legacy message to the next, over all topics. */
const LEGACY_EVERY_MS = 150;

/** One in so many subscribers also has the busy topic. */
const BUSY_ONE_IN = 20;

/** Milliseconds between two checks whether all clients have everything. */
const LOOK_MS = 50;

/**
 * Subscribers that come, go and change their topics, and publishers that pipeline, send bursts, and
 * connect anew.
 */
export class Population {
  readonly #subscribers: Subscriber[];
  readonly #publishers: SoakPublisher[];
  /** `null` if publishing needs a key: the clients of 2009 had none. */
  readonly #legacy: LegacyPublisher | null;

  readonly #context: PopulationContext;

  constructor(context: PopulationContext, subscribers: number, random: Random) {
    this.#context = context;
    const own = () => new Random(random.next());
    this.#subscribers = Array.from(
      { length: subscribers },
      (_, at) => new Subscriber(context, subscriberPlan(at), own()),
    );
    const steady = { maxDataBytes: SMALL_BYTES, perSecond: STEADY_PER_SECOND, maxBurst: 0 };
    const bursts = { burstEveryMs: BURST_EVERY_MS, maxBurst: MAX_BURST };
    const plans = [
      ...TOPICS.flatMap((topic) => [
        { ...steady, name: `publisher of ${topic}`, topic, burstEveryMs: Infinity },
        { ...steady, ...bursts, name: `bursting publisher of ${topic}`, topic, perSecond: 1 },
      ]),
      ...[1, 2].map((number) => ({
        name: `publisher ${number} of ${BUSY_TOPIC}`,
        topic: BUSY_TOPIC,
        maxDataBytes: LARGE_BYTES,
        perSecond: BUSY_PER_SECOND,
        burstEveryMs: BURST_EVERY_MS,
        maxBurst: BUSY_MAX_BURST,
      })),
    ];
    this.#publishers = plans.map((plan) => new SoakPublisher(context, plan, own()));
    this.#legacy = context.keys === null
      ? new LegacyPublisher(context, TOPICS, LEGACY_EVERY_MS, own())
      : null;
  }

  join(): void {
    for (const subscriber of this.#subscribers) subscriber.join();
    for (const publisher of this.#publishers) publisher.join();
    this.#legacy?.start();
  }

  /**
   * Stops publishing, waits until all clients have everything or the time is over, and reports what never
   * arrived.
   *
   * @param patienceMs Milliseconds for the last messages to arrive.
   */
  async settle(patienceMs: number): Promise<void> {
    for (const subscriber of this.#subscribers) subscriber.holdStill();
    for (const publisher of this.#publishers) publisher.stop();
    this.#legacy?.stop();
    const endMs = performance.now() + patienceMs;
    // A worker that was asked to end takes a while to release its clients, so some may have yet to come
    // back.
    const isDone = () =>
      !this.#context.strikes.isRecent &&
      this.#legacy?.isFlushed !== false &&
      this.#subscribers.every(({ isComplete }) => isComplete) &&
      this.#publishers.every(({ isComplete }) => isComplete);
    while (!isDone() && performance.now() < endMs) {
      await sleep(LOOK_MS);
    }
    // Nothing more may arrive when all have everything. Give it time to arrive if it does.
    await sleep(10 * LOOK_MS);
    for (const inhabitant of [...this.#subscribers, ...this.#publishers]) inhabitant.settle();
    const { ledger, faults } = this.#context;
    for (const { topic, origin } of ledger.wronglyCrashed) {
      faults.add("resume", `${origin} has crashed, it's said, and serves a publisher of ${topic}`);
    }
  }

  leave(): void {
    for (const inhabitant of [...this.#subscribers, ...this.#publishers]) inhabitant.retire();
  }
}

function subscriberPlan(at: number): SubscriberPlan {
  const topics = [TOPICS[at % TOPICS.length]!, TOPICS[(at + 1 + at % 4) % TOPICS.length]!];
  // A tenth stays for ever. Of the others, some change their topics every other second.
  const stays = at % 10 === 0;
  return {
    name: `subscriber ${at}`,
    topics: at % BUSY_ONE_IN === 0 || at % BUSY_ONE_IN === 1 ? [...topics, BUSY_TOPIC] : topics,
    otherTopics: TOPICS,
    stayMs: stays ? Infinity : 20_000,
    wanderMs: !stays && at % 10 < 4 ? 2_000 : Infinity,
    // The others come back as in 2009.
    resumes: at % 3 !== 2,
  };
}
