import type { Room } from "../access/admission.ts";
import { maxBatchBytesFor, TOPIC_BYTES } from "../limits.ts";
import { NOBODY, type ReceiptTaker } from "./receipts.ts";
import { type Subscription, Topic, type TopicContext } from "./topic.ts";
import type { Subscriber } from "./subscriber.ts";

/** Counts places for topics. */
export interface TopicPlaces {
  /** Says if there is a place for one more; see {@linkcode Room}. */
  room(): Room;
  /** Takes a place; there must be room. */
  take(): void;
  /** Gives a topic's place back. */
  giveBack(): void;
}

/** The topics that have subscribers. A topic without subscribers isn't kept, and costs nothing. */
export class TopicRegistry {
  readonly #topics = new Map<string, Topic>();
  readonly #context: TopicContext;
  readonly #maxTopics: number;
  readonly #places: TopicPlaces | undefined;

  /**
   * @param maxTopics The most topics; unlimited unless given.
   * @param places Counts them together with other processes' topics, if given.
   */
  constructor(
    context: Omit<TopicContext, "onVanish" | "maxBatchBytes">,
    maxTopics = Infinity,
    places: TopicPlaces | undefined = undefined,
  ) {
    this.#maxTopics = maxTopics;
    this.#places = places;
    this.#context = {
      ...context,
      maxBatchBytes: maxBatchBytesFor(context.maxPendingBytes),
      onVanish: (topic) => {
        // A new topic may have its name by now.
        if (this.#topics.get(topic.name) !== topic) return;
        this.#topics.delete(topic.name);
        context.budget.countStanding(-bytesOf(topic.name));
        this.#places?.giveBack();
      },
    };
  }

  /** The number of topics with subscribers. */
  get size(): number {
    return this.#topics.size;
  }

  /** All of them. Topics may come and go while a caller goes on with it. */
  all(): Iterable<Topic> {
    return this.#topics.values();
  }

  /** The topic of that name, if it has subscribers. */
  find(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  /** True if a client may subscribe to a topic of that name: always if it exists. */
  roomFor(name: string): Room {
    if (this.#topics.has(name)) return "free";
    if (this.#places !== undefined) return this.#places.room();
    return this.#topics.size < this.#maxTopics ? "free" : "none";
  }

  /**
   * Hands a message to the topic's subscribers. It is copied.
   *
   * @param taker Gets the message's receipt, maybe at once; absent if no receipt was asked for.
   * @returns The topic, if it has subscribers.
   */
  publish(
    name: string,
    micros: number,
    message: Uint8Array,
    taker: ReceiptTaker | undefined,
  ): Topic | undefined {
    const topic = this.#topics.get(name);
    if (taker === undefined) topic?.publish(micros, message);
    else if (topic === undefined) taker.take(NOBODY);
    else topic.publishForReceipt(micros, message, taker);
    return topic;
  }

  /** Subscribes to a topic, which is created with its first subscriber. */
  subscribe(name: string, subscriber: Subscriber): Subscription {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = new Topic(name, this.#context);
      this.#topics.set(name, topic);
      this.#context.budget.countStanding(bytesOf(name));
      this.#places?.take();
    }
    return topic.subscribe(subscriber);
  }
}

/** Bytes that a topic costs. Its name takes at most as many in memory as on the wire. */
function bytesOf(name: string): number {
  return TOPIC_BYTES + name.length;
}
