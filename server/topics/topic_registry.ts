import type { Room } from "../access/admission.ts";
import { TOPIC_BYTES } from "../limits/costs.ts";
import { maxBatchBytesFor } from "../limits/messages.ts";
import { NOBODY, type ReceiptTaker } from "./receipts.ts";
import type { Origin } from "../history/origins.ts";
import type { Subscription } from "./subscription.ts";
import { Topic } from "./topic.ts";
import type { TopicContext } from "./topic_context.ts";
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

/**
 * The topics that have subscribers. A topic without subscribers is here only until its messages are stored,
 * and isn't counted; if none are to be stored, it is never here.
 */
export class TopicRegistry {
  readonly #topics = new Map<string, Topic>();
  readonly #context: TopicContext;
  readonly #maxTopics: number;
  readonly #places: TopicPlaces | undefined;
  /** The number of topics with subscribers. */
  #size = 0;

  /**
   * @param maxTopics The most topics; unlimited unless given.
   * @param places Counts them together with other processes' topics, if given.
   */
  constructor(
    context: Omit<TopicContext, "onSubscribed" | "onVanish" | "maxBatchBytes">,
    maxTopics = Infinity,
    places: TopicPlaces | undefined = undefined,
  ) {
    this.#maxTopics = maxTopics;
    this.#places = places;
    this.#context = {
      ...context,
      maxBatchBytes: maxBatchBytesFor(context.maxPendingBytes),
      onSubscribed: ({ name }) => {
        this.#size++;
        context.budget.countStanding(bytesOf(name));
        context.history.countSubscribedTopics(1);
        this.#places?.take();
      },
      onVanish: (topic) => {
        const { name, hasHadSubscribers } = topic;
        // A new topic may have its name by now.
        if (this.#topics.get(name) !== topic) return;
        this.#topics.delete(name);
        if (!hasHadSubscribers) return;
        this.#size--;
        context.budget.countStanding(-bytesOf(name));
        context.history.countSubscribedTopics(-1);
        this.#places?.giveBack();
      },
    };
  }

  /** The number of topics with subscribers. */
  get size(): number {
    return this.#size;
  }

  /** All topics with subscribers. Topics may come and go while a caller goes on with it. */
  *all(): Generator<Topic> {
    for (const topic of this.#topics.values()) if (topic.hasHadSubscribers) yield topic;
  }

  /** The topic of that name, if it has subscribers, or messages that are about to be stored. */
  find(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  /** True if a client may subscribe to a topic of that name: always if it exists. */
  roomFor(name: string): Room {
    if (this.#topics.get(name)?.hasHadSubscribers) return "free";
    if (this.#places !== undefined) return this.#places.room();
    return this.#size < this.#maxTopics ? "free" : "none";
  }

  /**
   * Hands a message to the topic's subscribers. It is copied.
   *
   * @param origin The process that accepted it.
   * @param taker Gets the message's receipt, maybe at once; absent if no receipt was asked for.
   * @returns The topic, if it has subscribers or stores the message.
   */
  publish(
    origin: Origin,
    name: string,
    micros: number,
    message: Uint8Array,
    taker: ReceiptTaker | undefined,
  ): Topic | undefined {
    const topic = this.#topics.get(name) ??
      (this.#context.history.keeps(name) ? this.open(name) : undefined);
    if (taker === undefined) topic?.publish(origin, micros, message);
    else if (topic === undefined) taker.take(NOBODY);
    else topic.publishForReceipt(origin, micros, message, taker);
    return topic;
  }

  /** Subscribes to a topic. */
  subscribe(name: string, subscriber: Subscriber): Subscription {
    return this.open(name).subscribe(subscriber);
  }

  /** Seals what topics have collected, so that it is stored. */
  sealAll(): void {
    for (const topic of this.#topics.values()) topic.seal();
  }

  /** The topic of that name, which is about to be subscribed or published to. */
  open(name: string): Topic {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = new Topic(name, this.#context);
      this.#topics.set(name, topic);
    }
    return topic;
  }
}

/** Bytes that a topic costs. Its name takes at most as many in memory as on the wire. */
function bytesOf(name: string): number {
  return TOPIC_BYTES + name.length;
}
