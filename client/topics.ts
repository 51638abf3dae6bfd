/**
 * The topics of a client: its subscriptions, and the position of each reader.
 *
 * @module
 */

import { encodeResumingSubscribe, encodeUnsubscribe } from "../protocol/client_encoder.ts";
import type { Position, ResumeRequest } from "../protocol/resume.ts";
import { GapError } from "./api/errors.ts";
import { Fifo } from "./api/fifo.ts";
import type { GapReason, SubscribedReason, SubscribedStatus } from "./api/statuses.ts";
import type { Delivered, Subscription } from "./subscription.ts";

/** The connection, as topics use it. */
export interface TopicsLink {
  readonly isOpen: boolean;
  send(frame: Uint8Array, isAsking: boolean): void;
}

/** The server's `resume` frame. */
interface ResumeFrame {
  readonly topic: string;
  readonly recovered: boolean;
  readonly reason: SubscribedReason;
  readonly missed: number;
  readonly at: Readonly<Record<string, number>>;
  readonly crashed?: readonly string[];
}

/** A subscribe that the server hasn't acknowledged yet. */
interface Asked {
  readonly topic: Topic;
  /** The subscriptions that begin with it. Others of its topic go on. */
  readonly joining: ReadonlySet<Subscription>;
  /** True if it goes on where a connection before has ended. */
  readonly isReturn: boolean;
  answer: ResumeFrame | undefined;
}

/** A topic with subscriptions. */
interface Topic {
  readonly name: string;
  readonly subscriptions: Set<Subscription>;
  /** The process that accepted the messages that come now; unknown to a server without resume. */
  origin: string | undefined;
}

export class Topics {
  readonly #link: TopicsLink;
  readonly #onStatus: (status: SubscribedStatus) => void;
  readonly #topics = new Map<string, Topic>();
  readonly #asked = new Fifo<Asked>();

  constructor(link: TopicsLink, onStatus: (status: SubscribedStatus) => void) {
    this.#link = link;
    this.#onStatus = onStatus;
  }

  /** All subscriptions. */
  *all(): Iterable<Subscription> {
    for (const { subscriptions } of this.#topics.values()) yield* subscriptions;
  }

  /** True if the server hasn't acknowledged all yet. */
  get isAsking(): boolean {
    return this.#asked.length > 0;
  }

  add(subscription: Subscription): void {
    const { topicName: name } = subscription;
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = { name, subscriptions: new Set(), origin: undefined };
      this.#topics.set(name, topic);
    }
    const others = [...topic.subscriptions];
    topic.subscriptions.add(subscription);
    if (!this.#link.isOpen) return;
    const active = others.find(({ isLive }) => isLive);
    if (active === undefined || subscription.request.from !== "new") {
      return this.#ask(topic, subscription.request, [subscription], false);
    }
    subscription.begin(active.position);
    subscription.onReady({ ...FRESH, topic: name });
  }

  remove(subscription: Subscription): void {
    const { topicName: name } = subscription;
    const topic = this.#topics.get(name);
    if (topic === undefined || !topic.subscriptions.delete(subscription)) return;
    if (topic.subscriptions.size > 0) return;
    this.#topics.delete(name);
    if (this.#link.isOpen) this.#link.send(encodeUnsubscribe(name), false);
  }

  /** Subscribes to all topics on a new connection. */
  subscribeAll(): void {
    this.#asked.drain();
    for (const topic of this.#topics.values()) {
      topic.origin = undefined;
      const begun = [...topic.subscriptions].filter(({ hasBegun }) => hasBegun);
      if (begun.length > 0) {
        this.#ask(topic, { from: "at", position: earliest(begun) }, begun, true);
      }
      const others = [...topic.subscriptions].filter(({ hasBegun }) => !hasBegun);
      const fresh = others.filter(({ request }) => request.from === "new");
      // Those that begin with stored messages have a subscribe each, behind which the others go on.
      if (fresh.length > 0) this.#ask(topic, { from: "new" }, fresh, false);
      for (const one of others.filter(({ request }) => request.from !== "new")) {
        this.#ask(topic, one.request, [one], false);
      }
    }
  }

  #ask(
    topic: Topic,
    request: ResumeRequest,
    joining: readonly Subscription[],
    isReturn: boolean,
  ): void {
    this.#asked.push({ topic, joining: new Set(joining), isReturn, answer: undefined });
    this.#link.send(encodeResumingSubscribe(topic.name, request), true);
  }

  onResume(frame: unknown): void {
    const answer = frame as ResumeFrame;
    const asked = this.#asked.peek();
    if (asked === undefined || asked.topic.name !== answer.topic) return;
    asked.answer = answer;
    asked.topic.origin = undefined;
  }

  onAck(): void {
    const asked = this.#asked.shift();
    if (asked === undefined) return;
    const { topic, answer, isReturn } = asked;
    const crashed = answer?.crashed ?? [];
    const reason = answer?.reason ?? "unsupported";
    const status: SubscribedStatus = {
      state: "subscribed",
      topic: topic.name,
      recovered: answer?.recovered ?? false,
      reason,
      missed: answer?.missed ?? 0,
      crashed,
      isGap: isReturn && !(answer?.recovered && crashed.length === 0),
    };
    const position = new Map(Object.entries(answer?.at ?? {}));
    const joining = [...asked.joining].filter((each) => topic.subscriptions.has(each));
    for (const each of joining) {
      if (status.recovered) each.goOn(position);
      else each.begin(position);
      each.onReady(status);
      if (status.isGap && each.throwsOnGap) {
        each.fail(new GapError(topic.name, reason as GapReason, crashed));
        this.remove(each);
      }
    }
    if (joining.length > 0) this.#onStatus(status);
  }

  onFrom(frame: unknown): void {
    const { topic, origin } = frame as { readonly topic: string; readonly origin: string };
    const known = this.#topics.get(topic);
    if (known !== undefined) known.origin = origin;
  }

  /** A message. Those that wait for their subscribe to be acknowledged aren't due it. */
  onMessage(delivered: Delivered): void {
    const topic = this.#topics.get(delivered.message.topic);
    if (topic === undefined) return;
    for (const each of topic.subscriptions) each.deliver(delivered, topic.origin);
  }

  /**
   * The connection has ended: nothing is acknowledged any more.
   *
   * @param refusal The server's reason, if it's about a subscribe: the oldest that isn't acknowledged.
   */
  onBroken(refusal: Error | undefined): void {
    const [oldest] = this.#asked.drain();
    for (const each of this.all()) each.pauseUntilAcknowledged();
    if (refusal === undefined) return;
    // It would be refused on every connection, and end that for the others.
    for (const each of oldest?.joining ?? []) {
      this.remove(each);
      each.fail(refusal);
    }
  }
}

const FRESH = {
  state: "subscribed",
  recovered: false,
  reason: "new",
  missed: 0,
  crashed: [],
  isGap: false,
} as const;

/** The position behind which all of these have something to get. */
function earliest(subscriptions: readonly Subscription[]): Position {
  const [first, ...others] = subscriptions.map(({ position }) => position);
  const result = new Map(first);
  for (const other of others) {
    for (const [origin, micros] of other) {
      result.set(origin, Math.min(micros, result.get(origin) ?? micros));
    }
  }
  return result;
}
