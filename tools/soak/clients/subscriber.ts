import { encodeSubscribe, encodeUnsubscribe } from "../../../protocol/client_encoder.ts";
import type { Random } from "../../harness/random.ts";
import { type Ledger, parseDelivery } from "../checks/ledger.ts";
import { Member, type Town } from "./member.ts";
import { SubscriptionCheck } from "../checks/subscription_check.ts";

/** How a subscriber behaves. */
export interface SubscriberPlan {
  readonly name: string;
  /** What it subscribes to when it comes. */
  readonly topics: readonly string[];
  /** What else it may subscribe to. */
  readonly otherTopics: readonly string[];
  /** Milliseconds, on average, for which it stays before it leaves and comes anew; or for ever. */
  readonly stayMs: number;
  /** Milliseconds, on average, after which it gives up one topic for another; or never. */
  readonly wanderMs: number;
}

/** What a town's subscribers check against. */
export interface CheckedTown extends Town {
  readonly ledger: Ledger;
  /** Messages that arrived. */
  delivered: number;
  /** Receipts that publishers got, as they should be. */
  receipts: number;
  /** Connections on which a subscription was checked. */
  streams: number;
}

/** A subscribe that isn't acknowledged yet. */
interface Asked {
  readonly topic: string;
  /** The topic that was given up just before. */
  readonly insteadOf: string | undefined;
}

/** A subscriber that keeps up, checks everything it receives, and comes and goes. */
export class Subscriber {
  readonly #town: CheckedTown;
  readonly #plan: SubscriberPlan;
  readonly #random: Random;
  readonly #member: Member;
  #checks = new Map<string, SubscriptionCheck>();
  /** Of topics that it has given up. */
  #closed = new Map<string, SubscriptionCheck>();
  #asked: Asked[] = [];
  #isSteady = false;
  #stayTimer: ReturnType<typeof setTimeout> | undefined;
  #wanderTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(town: CheckedTown, plan: SubscriberPlan, random: Random) {
    this.#town = town;
    this.#plan = plan;
    this.#random = random;
    this.#member = new Member(town, plan.name, town.keys?.subscribe ?? null, random, {
      onReady: () => this.#onReady(),
      onFrame: (frame) => this.#onFrame(frame),
      onGone: () => this.#forget(),
    });
  }

  join(): void {
    this.#member.join();
  }

  /** Stays where it is from now on, so that what it is owed can be told. */
  holdStill(): void {
    this.#isSteady = true;
    clearTimeout(this.#stayTimer);
    clearTimeout(this.#wanderTimer);
  }

  /** Whether it is subscribed, and everything it is owed has come. */
  get isComplete(): boolean {
    return this.#isSubscribed && [...this.#checks.values()].every(({ isComplete }) => isComplete);
  }

  /** Counts what never came. */
  settle(): void {
    if (!this.#isSubscribed) {
      this.#town.faults.add("not_connected", `${this.#plan.name}: not subscribed in the end`);
    }
    for (const check of this.#checks.values()) check.settle();
  }

  retire(): void {
    this.#forget();
    this.#member.retire();
  }

  get #isSubscribed(): boolean {
    return this.#member.isReady && this.#asked.length === 0;
  }

  #onReady(): void {
    this.#town.streams++;
    for (const topic of this.#plan.topics) {
      this.#asked.push({ topic, insteadOf: undefined });
      this.#member.write(encodeSubscribe(topic));
    }
    if (this.#isSteady) return;
    const { stayMs, wanderMs } = this.#plan;
    if (stayMs < Infinity) {
      this.#stayTimer = setTimeout(() => {
        this.#forget();
        this.#member.returnAnew();
      }, this.#around(stayMs));
    }
    this.#wanderLater(wanderMs);
  }

  #onFrame(frame: string): void {
    if (frame === "ACK") return this.#onAck();
    const delivery = parseDelivery(frame);
    const { faults } = this.#town;
    const { name } = this.#plan;
    if (delivery === undefined) return faults.add("damaged", `${name}: ${frame.slice(0, 200)}`);
    this.#town.delivered++;
    const check = this.#checks.get(delivery.topic) ?? this.#closed.get(delivery.topic);
    if (check !== undefined) check.receive(delivery);
    else faults.add("foreign", `${name}: not subscribed to ${delivery.topic}`);
  }

  #onAck(): void {
    const asked = this.#asked.shift();
    if (asked === undefined) {
      return this.#town.faults.add("foreign", `${this.#plan.name}: an ACK too many`);
    }
    const { ledger, faults } = this.#town;
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
    this.#member.write(encodeUnsubscribe(from));
    this.#member.write(encodeSubscribe(to));
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
