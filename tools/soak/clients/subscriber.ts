import {
  encodeResumingSubscribe,
  encodeSubscribe,
  encodeUnsubscribe,
} from "../../../protocol/client_encoder.ts";
import type { Random } from "../../harness/random.ts";
import { type Ledger, parseDelivery } from "../checks/ledger.ts";
import { type ClientContext, HealthyClient } from "./healthy_client.ts";
import { parsePositionFrame, Position, type ResumeAnswer } from "../checks/position.ts";
import type { RecoveryCheck } from "../checks/recovery_check.ts";
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
  /** True if it says where it was when it comes back. */
  readonly resumes: boolean;
}

/** The state that a population shares, with what its subscribers check. */
export interface PopulationContext extends ClientContext {
  readonly ledger: Ledger;
  readonly recovery: RecoveryCheck;
  /** Answers to subscribers that came back with a position, by reason. */
  readonly resumes: Record<string, number>;
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
  /** The position to which it comes back; absent if it begins. */
  readonly standing: Standing | undefined;
  answer: ResumeAnswer | undefined;
}

/** A subscription whose connection was lost, or left. */
interface Standing {
  readonly check: SubscriptionCheck;
  readonly position: Position;
  readonly sinceMs: number;
  readonly goneMs: number;
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
  /** The positions on this connection, by topic, with the moment at which each subscription began. */
  #positions = new Map<string, { readonly position: Position; readonly sinceMs: number }>();
  /** The topics to come back to. */
  #standings = new Map<string, Standing | undefined>();
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
      onGone: () => this.#leave(),
      mayBeOvertaken: () => this.#mayBeOvertaken(),
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
    for (const [topic, { position: { due } }] of this.#positions) {
      if (due === 0) continue;
      this.#fault("resume", `${due} messages of ${topic} were announced and didn't come`);
    }
  }

  retire(): void {
    this.#leave();
    this.#client.retire();
  }

  get #isSubscribed(): boolean {
    return this.#client.isReady && this.#asked.length === 0;
  }

  #onReady(): void {
    this.#context.streams++;
    const standings = this.#standings;
    this.#standings = new Map();
    const topics = standings.size > 0 ? standings.keys() : this.#plan.topics;
    for (const topic of topics) this.#ask(topic, undefined, standings.get(topic));
    if (this.#isSteady) return;
    const { stayMs, wanderMs } = this.#plan;
    if (stayMs < Infinity) {
      this.#stayTimer = setTimeout(() => {
        this.#leave();
        this.#client.returnAnew();
      }, this.#around(stayMs));
    }
    this.#wanderLater(wanderMs);
  }

  #ask(topic: string, insteadOf: string | undefined, standing?: Standing): void {
    this.#asked.push({ topic, insteadOf, standing, answer: undefined });
    if (!this.#plan.resumes) return void this.#client.write(encodeSubscribe(topic));
    const request = standing === undefined
      ? { from: "new" as const }
      : { from: "at" as const, position: standing.position.at };
    this.#client.write(encodeResumingSubscribe(topic, request));
  }

  #onFrame(frame: string): void {
    if (frame === "ACK") return this.#onAck();
    const said = this.#plan.resumes ? parsePositionFrame(frame) : undefined;
    if (said !== undefined) {
      if ("resume" in said) return this.#onResume(said.resume);
      const known = this.#positions.get(said.from.topic);
      if (known !== undefined) return known.position.from(said.from.origin);
      return this.#fault("resume", `a from of ${said.from.topic}, to which it isn't subscribed`);
    }
    const delivery = parseDelivery(frame);
    const { faults } = this.#context;
    const { name } = this.#plan;
    if (delivery === undefined) return faults.add("damaged", `${name}: ${frame.slice(0, 200)}`);
    this.#context.delivered++;
    const check = this.#checks.get(delivery.topic) ?? this.#closed.get(delivery.topic);
    const position = this.#positions.get(delivery.topic)?.position;
    const origin = position?.advance(delivery.micros);
    if (this.#plan.resumes && origin === undefined) {
      this.#fault("resume", `a message of ${delivery.topic} before its from`);
    }
    if (check !== undefined) check.receive(delivery, origin);
    else faults.add("foreign", `${name}: not subscribed to ${delivery.topic}`);
  }

  #onAck(): void {
    const asked = this.#asked.shift();
    if (asked === undefined) {
      return this.#context.faults.add("foreign", `${this.#plan.name}: an ACK too many`);
    }
    const { ledger, faults } = this.#context;
    const { topic, insteadOf, standing, answer } = asked;
    const left = insteadOf === undefined ? undefined : this.#checks.get(insteadOf);
    if (left !== undefined) {
      left.close();
      this.#checks.delete(left.topic);
      this.#closed.set(left.topic, left);
    }
    this.#closed.delete(topic);
    const fresh = new SubscriptionCheck(topic, this.#plan.name, ledger, faults);
    if (!this.#plan.resumes) return void this.#checks.set(topic, fresh);
    if (answer === undefined) return this.#fault("resume", `no resume before the ACK of ${topic}`);
    const position = new Position(answer.at, answer.missed);
    this.#positions.set(topic, { position, sinceMs: performance.now() });
    const goesOn = standing !== undefined && this.#isRecovered(standing, answer);
    this.#checks.set(topic, goesOn ? standing.check : fresh);
  }

  #onResume(answer: ResumeAnswer): void {
    const [asked] = this.#asked;
    if (asked?.topic === answer.topic && asked.answer === undefined) asked.answer = answer;
    else this.#fault("resume", `a resume of ${answer.topic} that it hasn't asked for`);
  }

  /** True if the server says that nothing is lost for it. */
  #isRecovered({ check, sinceMs, goneMs }: Standing, answer: ResumeAnswer): boolean {
    const { resumes, recovery, ledger } = this.#context;
    const { reason, recovered, crashed = [], topic } = answer;
    resumes[reason] = (resumes[reason] ?? 0) + 1;
    if (recovered !== (reason === "ok") || !recovered && answer.missed > 0) {
      this.#fault("resume", `what it's told of ${topic} doesn't add up: ${JSON.stringify(answer)}`);
    }
    if (recovered) {
      for (const origin of crashed) ledger.crashed.add(origin);
      check.goOn(crashed);
    } else {
      const who = `${this.#plan.name}, ${topic}`;
      recovery.judge({ who, reason, goneMs, sinceMs, missed: check.missedAtMost });
    }
    return recovered;
  }

  /** True if announced messages haven't come. The server may drop them only where it had to. */
  #mayBeOvertaken(): boolean {
    let isCatchingUp = false;
    for (const [topic, { position: { due }, sinceMs }] of this.#positions) {
      if (due === 0) continue;
      isCatchingUp = true;
      const { missedAtMost } = this.#checks.get(topic)!;
      const who = `${this.#plan.name}, ${topic}, overtaken`;
      this.#context.recovery.judge({
        ...{ who, reason: "too_old", goneMs: sinceMs, sinceMs },
        missed: missedAtMost,
      });
    }
    return isCatchingUp;
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
    this.#client.write(encodeUnsubscribe(from));
    this.#ask(to, from);
  }

  #around(ms: number): number {
    return ms / 2 + this.#random.below(ms);
  }

  /** The connection is gone, or about to be: keeps what it can come back to. */
  #leave(): void {
    clearTimeout(this.#stayTimer);
    clearTimeout(this.#wanderTimer);
    if (this.#plan.resumes) {
      const goneMs = performance.now();
      for (const [topic, check] of this.#checks) {
        const { position, sinceMs } = this.#positions.get(topic)!;
        this.#standings.set(topic, { check, position, sinceMs, goneMs });
      }
      for (const { topic, standing } of this.#asked) {
        if (!this.#standings.has(topic)) this.#standings.set(topic, standing);
      }
    }
    this.#checks = new Map();
    this.#closed = new Map();
    this.#positions = new Map();
    this.#asked = [];
  }

  #fault(kind: "resume", detail: string): void {
    this.#context.faults.add(kind, `${this.#plan.name}: ${detail}`);
  }
}
