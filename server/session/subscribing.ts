import { ProtocolError } from "../../protocol/errors.ts";
import type { SessionContext } from "./session_context.ts";
import type { WaitingPlace } from "../flow/gate.ts";
import type { Subscription } from "../topics/subscription.ts";
import type { Topic } from "../topics/topic.ts";
import type { Subscriber } from "../topics/subscriber.ts";

/**
 * Up to so many subscriptions are kept in an array of exact length, since spare room would cost more
 * than a subscription. A longer array grows in place, since a new array for each subscription would
 * leave more garbage than all of them take.
 */
const MAX_EXACT = 8;

/**
 * Subscribes a client to one more topic. Does nothing if the client is subscribed to it already.
 *
 * @param subscriptions The client's current subscriptions; added to in place if they are many.
 * @returns The client's new subscriptions, the same array or another; or the place to wait at, if it isn't
 * known yet whether there is room for the topic, or older messages of it still come to the client.
 * @throws {ProtocolError} `too_many_topics`.
 */
export function subscribe(
  subscriptions: Subscription[],
  name: string,
  subscriber: Subscriber & { readonly remoteAddress: string },
  context: SessionContext,
): Subscription[] | WaitingPlace {
  const { topics, counters, catchUps } = context;
  if (isSubscribed(subscriptions, topics.find(name), subscriber)) return subscriptions;
  const place = catchUps.placeOf(subscriber, name) ??
    mustHaveRoom(subscriptions, name, subscriber.remoteAddress, context);
  if (place !== undefined) return place;
  counters.subscriptions++;
  return addSubscription(subscriptions, topics.subscribe(name, subscriber));
}

/** Adds to an array of few subscriptions in a new array, to one of many in place. */
export function addSubscription(
  subscriptions: Subscription[],
  subscription: Subscription,
): Subscription[] {
  if (subscriptions.length < MAX_EXACT) return subscriptions.concat([subscription]);
  subscriptions.push(subscription);
  return subscriptions;
}

/**
 * Makes room for a topic that a client isn't subscribed to.
 *
 * @returns The place to wait at, if it isn't known yet whether there is room.
 * @throws {ProtocolError} `too_many_topics`.
 */
export function mustHaveRoom(
  subscriptions: readonly Subscription[],
  name: string,
  remoteAddress: string,
  { topics, limits, displacement, borrower }: SessionContext,
): WaitingPlace | undefined {
  const { maxTopics, maxTopicsTotal } = limits;
  if (subscriptions.length >= maxTopics) {
    throw new ProtocolError("too_many_topics", `At most ${maxTopics} topics on one connection`);
  }
  const room = displacement.makeRoomForTopic(
    remoteAddress,
    maxTopicsTotal,
    () => topics.roomFor(name),
  );
  if (room === "unsettled") return borrower;
  if (room === "none") {
    throw new ProtocolError(
      "too_many_topics",
      `All ${maxTopicsTotal} topics of the server are taken`,
    );
  }
  return undefined;
}

/** Searches the client's topics or the topic's subscribers, whichever are fewer. */
function isSubscribed(
  subscriptions: readonly Subscription[],
  wanted: Topic | undefined,
  subscriber: Subscriber,
): boolean {
  if (wanted === undefined) return false;
  if (wanted.subscriberCount < subscriptions.length) return wanted.has(subscriber);
  return subscriptions.some(({ topic }) => topic === wanted);
}

/**
 * Unsubscribes a client from a topic, if it is subscribed. Messages accepted before are still
 * delivered, which may end the client's session.
 *
 * @param subscriptions The client's subscriptions; removed from in place.
 */
export function unsubscribe(
  subscriptions: Subscription[],
  name: string,
  { counters, topics }: SessionContext,
): void {
  const wanted = topics.find(name);
  if (wanted === undefined) return;
  const index = subscriptions.findIndex(({ topic }) => topic === wanted);
  const subscription = subscriptions[index];
  if (subscription === undefined) return;
  subscriptions.splice(index, 1);
  counters.subscriptions--;
  subscription.topic.unsubscribe(subscription, true);
}

/**
 * Ends all of a client's subscriptions.
 *
 * @param subscriptions The client's subscriptions; the client must not use the array afterwards.
 * @param deliverRest True delivers messages accepted so far, at once; false drops them.
 */
export function unsubscribeAll(
  subscriptions: readonly Subscription[],
  deliverRest: boolean,
  { counters }: SessionContext,
): void {
  counters.subscriptions -= subscriptions.length;
  for (const subscription of subscriptions) {
    subscription.topic.unsubscribe(subscription, deliverRest);
  }
}
