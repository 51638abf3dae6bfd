import { encodeSubscribe, encodeUnsubscribe } from "../../../protocol/client_encoder.ts";
import type { Random } from "../../harness/random.ts";
import { type Ledger, parseDelivery } from "../checks/ledger.ts";
import { type ClientContext, HealthyClient } from "./healthy_client.ts";
import { SubscriptionCheck } from "../checks/subscription_check.ts";

/** The behaviour of a subscriber. */
export interface SubscriberPlan {
  readonly name: string;
  /** The topics that it subscribes to when it connects. */
  readonly topics: readonly string[];
  /** The topics that it may change to. */
  readonly otherTopics: readonly string[];
  /** Milliseconds, on average, until it leaves and connects anew; `Infinity` for never. */
  readonly stayMs: number;
  /** Milliseconds, on average, until it changes one topic for another; `Infinity` for never. */
  readonly wanderMs: number;
}

/** The state that a population shares, with what its subscribers check. */
export interface PopulationContext extends ClientContext {
  readonly ledger: Ledger;
  /** The number of received messages. */
  delivered: number;
  /** The number of right receipts that publishers received. */
  receipts: number;
  /** The number of connections on which subscriptions were checked. */
  streams: number;
}

/** A subscribe that isn't acknowledged yet. */
interface Asked {
  readonly topic: string;
  /** The topic that was unsubscribed just before. */
  readonly insteadOf: string | undefined;
}

/** A subscriber that keeps up, checks everything it receives, and comes and goes. */
export class Subscriber {
  readonly #context: PopulationContext;
  readonly #plan: SubscriberPlan;
  readonly #random: Random;
  readonly #client: HealthyClient;
  #checks = new Map<string, SubscriptionCheck>();
  /** The checks of topics that it unsubscribed. */
  #closed = new Map<string, SubscriptionCheck>();
  #asked: Asked[] = [];
  #isSteady = false;
  #stayTimer: ReturnType<typeof setTimeout> | undefined;
  #wanderTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(context: PopulationContext, plan: SubscriberPlan, random: Random) {
    this.#context = context;
    this.#plan = plan;
    this.#random = random;
    this.#client = new HealthyClient(context, plan.name, context.keys?.subscribe ?? null, random, {
      onReady: () => this.#onReady(),
      onFrame: (frame) => this.#onFrame(frame),
      onGone: () => this.#forget(),
    });
  }

  join(): void {
    this.#client.join();
  }

  /**
   * Keeps its topics and its connection from now on, so that it's clear which messages it must receive.
   */
  holdStill(): void {
    this.#isSteady = true;
    clearTimeout(this.#stayTimer);
    clearTimeout(this.#wanderTimer);
  }

  /** True if it is subscribed and has received everything that it must. */
  get isComplete(): boolean {
    return this.#isSubscribed && [...this.#checks.values()].every(({ isComplete }) => isComplete);
  }

  /** Reports the messages that never arrived. */
  settle(): void {
    if (!this.#isSubscribed) {
      this.#context.faults.add("not_connected", `${this.#plan.name}: not subscribed in the end`);
    }
    for (const check of this.#checks.values()) check.settle();
  }

  retire(): void {
    this.#forget();
    this.#client.retire();
  }

  get #isSubscribed(): boolean {
    return this.#client.isReady && this.#asked.length === 0;
  }

  #onReady(): void {
    this.#context.streams++;
    for (const topic of this.#plan.topics) {
      this.#asked.push({ topic, insteadOf: undefined });
      this.#client.write(encodeSubscribe(topic));
    }
    if (this.#isSteady) return;
    const { stayMs, wanderMs } = this.#plan;
    if (stayMs < Infinity) {
      this.#stayTimer = setTimeout(() => {
        this.#forget();
        this.#client.returnAnew();
      }, this.#around(stayMs));
    }
    this.#wanderLater(wanderMs);
  }

  #onFrame(frame: string): void {
    if (frame === "ACK") return this.#onAck();
    const delivery = parseDelivery(frame);
    const { faults } = this.#context;
    const { name } = this.#plan;
    if (delivery === undefined) return faults.add("damaged", `${name}: ${frame.slice(0, 200)}`);
    this.#context.delivered++;
    const check = this.#checks.get(delivery.topic) ?? this.#closed.get(delivery.topic);
    if (check !== undefined) check.receive(delivery);
    else faults.add("foreign", `${name}: not subscribed to ${delivery.topic}`);
  }

  #onAck(): void {
    const asked = this.#asked.shift();
    if (asked === undefined) {
      return this.#context.faults.add("foreign", `${this.#plan.name}: an ACK too many`);
    }
    const { ledger, faults } = this.#context;
    const { topic, insteadOf } = asked;
    const left = insteadOf === undefined ? undefined : this.#checks.get(insteadOf);
    if (left !== undefined) {
      left.close();
      this.#checks.delete(left.topic);
      this.#closed.set(left.topic, left);
    }
    this.#closed.delete(topic);
    this.#checks.set(topic, new SubscriptionCheck(topic, this.#plan.name, ledger, faults));
  }

  #wanderLater(wanderMs: number): void {
    if (wanderMs === Infinity) return;
    this.#wanderTimer = setTimeout(() => {
      this.#wander();
      this.#wanderLater(wanderMs);
    }, this.#around(wanderMs));
  }

  #wander(): void {
    if (!this.#isSubscribed) return;
    const [from] = this.#random.shuffled([...this.#checks.keys()]);
    const [to] = this.#random.shuffled(
      this.#plan.otherTopics.filter((topic) => !this.#checks.has(topic)),
    );
    if (from === undefined || to === undefined) return;
    this.#asked.push({ topic: to, insteadOf: from });
    this.#client.write(encodeUnsubscribe(from));
    this.#client.write(encodeSubscribe(to));
  }

  #around(ms: number): number {
    return ms / 2 + this.#random.below(ms);
  }

  #forget(): void {
    clearTimeout(this.#stayTimer);
    clearTimeout(this.#wanderTimer);
    this.#checks = new Map();
    this.#closed = new Map();
    this.#asked = [];
  }
}
