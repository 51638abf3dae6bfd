/**
 * The healthy clients of a soak.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../../harness/random.ts";
import type { Kills } from "../checks/strike_history.ts";
import { LegacyPublisher } from "./legacy_publisher.ts";
import { Publisher } from "./publisher.ts";
import { type CheckedTown, Subscriber, type SubscriberPlan } from "./subscriber.ts";

/** Topics of small messages; with six, a slice of each takes turns with the others'. */
export const TOPICS: readonly string[] = Array.from({ length: 6 }, (_, at) => `soak-${at}`);

/** A topic of large messages, some 500 kB a second: who doesn't read it falls behind in seconds. */
export const BUSY_TOPIC = "soak-busy";

const SMALL_BYTES = 200;
const LARGE_BYTES = 32 * 1024;

/** A publisher of small messages for each topic at a steady pace, and one that likes bursts. */
const STEADY_PER_SECOND = 20;
const BURST_EVERY_MS = 8_000;
const MAX_BURST = 1_000;

const BUSY_PER_SECOND = 25;
const BUSY_MAX_BURST = 50;

/** From one legacy message to the next, over all topics. */
const LEGACY_EVERY_MS = 150;

/** One in so many subscribers, those of the busy topic among them. */
const BUSY_ONE_IN = 20;

/** How often the inhabitants look whether all have what they are owed. */
const LOOK_MS = 50;

/** Subscribers that come, go and change their topics; publishers that pipeline, burst, and come anew. */
export class Inhabitants {
  readonly #subscribers: Subscriber[];
  readonly #publishers: Publisher[];
  /** `null` where it takes a key to publish: the clients of 2009 had none. */
  readonly #legacy: LegacyPublisher | null;

  readonly #kills: Kills;

  constructor(town: CheckedTown, subscribers: number, random: Random) {
    this.#kills = town.kills;
    const own = () => new Random(random.next());
    this.#subscribers = Array.from(
      { length: subscribers },
      (_, at) => new Subscriber(town, subscriberPlan(at), own()),
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
    this.#publishers = plans.map((plan) => new Publisher(town, plan, own()));
    this.#legacy = town.keys === null
      ? new LegacyPublisher(town, TOPICS, LEGACY_EVERY_MS, own())
      : null;
  }

  moveIn(): void {
    for (const subscriber of this.#subscribers) subscriber.join();
    for (const publisher of this.#publishers) publisher.join();
    this.#legacy?.start();
  }

  /**
   * Ends publishing, waits until all have what they are owed or it's clear that they won't get it, and
   * counts what never came.
   *
   * @param patienceMs How long what was published may take.
   */
  async settle(patienceMs: number): Promise<void> {
    for (const subscriber of this.#subscribers) subscriber.holdStill();
    for (const publisher of this.#publishers) publisher.stop();
    this.#legacy?.stop();
    const endMs = performance.now() + patienceMs;
    // A worker that was asked to end takes a while to let go of all: then some have yet to come back.
    const isDone = () =>
      !this.#kills.isRecent &&
      this.#legacy?.isFlushed !== false &&
      this.#subscribers.every(({ isComplete }) => isComplete) &&
      this.#publishers.every(({ isComplete }) => isComplete);
    while (!isDone() && performance.now() < endMs) {
      await sleep(LOOK_MS);
    }
    // What comes when all have everything must not come: give it time to.
    await sleep(10 * LOOK_MS);
    for (const inhabitant of [...this.#subscribers, ...this.#publishers]) inhabitant.settle();
  }

  moveOut(): void {
    for (const inhabitant of [...this.#subscribers, ...this.#publishers]) inhabitant.retire();
  }
}

function subscriberPlan(at: number): SubscriberPlan {
  const topics = [TOPICS[at % TOPICS.length]!, TOPICS[(at + 1 + at % 4) % TOPICS.length]!];
  // A tenth stays for ever; of the others some change their topics every other second.
  const stays = at % 10 === 0;
  return {
    name: `subscriber ${at}`,
    topics: at % BUSY_ONE_IN === 0 || at % BUSY_ONE_IN === 1 ? [...topics, BUSY_TOPIC] : topics,
    otherTopics: TOPICS,
    stayMs: stays ? Infinity : 20_000,
    wanderMs: !stays && at % 10 < 4 ? 2_000 : Infinity,
  };
}
