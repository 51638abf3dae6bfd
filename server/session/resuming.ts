import { ACK, encodeResume } from "../../protocol/encoder.ts";
import type { ResumeRequest } from "../../protocol/resume.ts";
import type { WaitingPlace } from "../flow/gate.ts";
import { RESUME_PATIENCE_MS } from "../limits/clients.ts";
import type { Subscriber } from "../topics/subscriber.ts";
import type { Subscription } from "../topics/subscription.ts";
import type { SessionContext } from "./session_context.ts";
import { addSubscription, mustHaveRoom } from "./subscribing.ts";

/** The outcome of a subscribe with `resume`. */
export interface Resumed {
  /** The client's subscriptions with the new one, in a new array unless they are many. */
  readonly subscriptions: Subscription[];
  /** The client's earlier subscription to the topic, which must end. */
  readonly replaced: Subscription | undefined;
  /** True if what was accepted for the earlier one and isn't delivered yet doesn't come with the new one. */
  readonly owesRest: boolean;
  /** The frames to send to the client, in this order. */
  readonly replies: readonly Uint8Array[];
}

/** A subscribe with `resume`, which may have to be tried more than once. */
export class Resuming {
  readonly #topic: string;
  readonly #request: ResumeRequest;
  readonly #sinceMs: number;

  /** @param nowMs The time on the coarse clock. */
  constructor(topic: string, request: ResumeRequest, nowMs: number) {
    this.#topic = topic;
    this.#request = request;
    this.#sinceMs = nowMs;
  }

  /**
   * Subscribes, if it can be done now.
   *
   * @param subscriptions The client's current subscriptions; changed in place if they are many.
   * @returns The place to wait at before the next attempt, if it can't be done now.
   * @throws {ProtocolError} `too_many_topics`.
   */
  attempt(
    subscriptions: Subscription[],
    subscriber: Subscriber & { readonly remoteAddress: string },
    context: SessionContext,
  ): Resumed | WaitingPlace {
    const { topics, counters, timestamps, catchUps, replays } = context;
    const name = this.#topic;
    const place = catchUps.placeOf(subscriber, name) ?? replays.placeOf(subscriber.remoteAddress) ??
      this.#placeOfOthers(context);
    if (place !== undefined) return place;
    const replaced = subscriptions.find(({ topic }) => topic.name === name);
    if (replaced === undefined) {
      const place = mustHaveRoom(subscriptions, name, subscriber.remoteAddress, context);
      if (place !== undefined) return place;
    }
    const topic = topics.open(name);
    const found = topic.search(this.#request);
    const { reason, missed, missedBytes, at, crashed } = found;
    counters.resumes[reason]++;
    replays.take(subscriber.remoteAddress, missedBytes);
    const subscription = topic.resume(subscriber, found);
    const answer = { topic: name, reason, missed, at, crashed };
    const replies = [encodeResume(timestamps.next(), answer), ACK];
    const origin = subscription.isCatchingUp ? found.origin : topic.untaggedOrigin;
    if (origin !== undefined) replies.push(topic.tag(origin).bytes);
    if (replaced === undefined) counters.subscriptions++;
    return {
      subscriptions: addSubscription(
        subscriptions.filter((one) => one !== replaced),
        subscription,
      ),
      replaced,
      owesRest: reason !== "ok",
      replies,
    };
  }

  /** The place to wait for other processes. The wait is short, since they may hang. */
  #placeOfOthers({ backplane, clock }: SessionContext): WaitingPlace | undefined {
    if (this.#request.from !== "at") return undefined;
    if (clock.nowMs - this.#sinceMs >= RESUME_PATIENCE_MS) return undefined;
    return backplane?.placeBehind(this.#request.position);
  }
}
