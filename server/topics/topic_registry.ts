import type { Room } from "../access/admission.ts";
import { TOPIC_BYTES } from "../limits.ts";
import { NOBODY, type ReceiptTaker } from "./receipts.ts";
import { type Subscription, Topic, type TopicContext } from "./topic.ts";
import type { Subscriber } from "./subscriber.ts";

/** Places for topics. */
export interface TopicPlaces {
  /** Whether there is a place for one more; see {@linkcode Room}. */
  room(): Room;
  /** Takes a place for which there is room. */
  take(): void;
  /** A topic has gone. */
  giveBack(): void;
}

/** The topics that have subscribers. One without any costs nothing and isn't here. */
export class TopicRegistry {
  readonly #topics = new Map<string, Topic>();
  readonly #context: TopicContext;
  readonly #maxTopics: number;
  readonly #places: TopicPlaces | undefined;

  /**
   * @param maxTopics How many there may be; any number unless given.
   * @param places Where they are counted together with other processes' topics, if they are.
   */
  constructor(
    context: Omit<TopicContext, "onVanish">,
    maxTopics = Infinity,
    places: TopicPlaces | undefined = undefined,
  ) {
    this.#maxTopics = maxTopics;
    this.#places = places;
    this.#context = {
      ...context,
      onVanish: (topic) => {
        // A topic may have been made anew under its name since.
        if (this.#topics.get(topic.name) !== topic) return;
        this.#topics.delete(topic.name);
        context.budget.countStanding(-bytesOf(topic.name));
        this.#places?.giveBack();
      },
    };
  }

  /** How many topics have subscribers. */
  get size(): number {
    return this.#topics.size;
  }

  /** The topic of that name, if it has subscribers. */
  find(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  /** Whether somebody may subscribe to a topic of that name: where it's there, always. */
  roomFor(name: string): Room {
    if (this.#topics.has(name)) return "free";
    if (this.#places !== undefined) return this.#places.room();
    return this.#topics.size < this.#maxTopics ? "free" : "none";
  }

  /**
   * Hands a message to the topic's subscribers. It is copied.
   *
   * @param taker Told once it's known what became of the message, which may be at once; absent where
   * nobody wants to know.
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

  /** Subscribes to a topic, which comes into being with its first subscriber. */
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

/** Bytes that a topic costs: a name's are as many in memory as on the wire, or fewer. */
function bytesOf(name: string): number {
  return TOPIC_BYTES + name.length;
}
