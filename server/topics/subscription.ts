import type { Subscriber } from "./subscriber.ts";

/** The topic of a subscription. */
export interface SubscribedTopic {
  readonly name: string;
  readonly subscriberCount: number;
  /**
   * Ends a subscription.
   *
   * @param deliverRest True to deliver the messages accepted so far: at once, or as they come from history.
   */
  unsubscribe(subscription: Subscription, deliverRest: boolean): void;
}

/**
 * In place of the next message, for a subscription whose messages come from a log for now. A small
 * integer, as all others are at first: any other number would cost each subscription a box of its own on V8.
 */
const FROM_LOG = -1;

/** The subscription of one subscriber to one topic. */
export class Subscription {
  readonly topic: SubscribedTopic;
  readonly subscriber: Subscriber;
  /** The number of the message that it gets next from a pass; negative while no pass may serve it. */
  next: number;
  /** The number of the first message accepted after it began. */
  readonly since: number;
  /** Its index among the topic's subscriptions; -1 once it has ended. */
  index: number;

  constructor(topic: SubscribedTopic, subscriber: Subscriber, next: number, index: number) {
    this.topic = topic;
    this.subscriber = subscriber;
    this.next = next;
    this.since = next;
    this.index = index;
  }

  /** True if the subscriber wants to know which process accepted each message. */
  get isTagged(): boolean {
    return false;
  }

  /** True while it gets its messages from a log, and isn't part of passes. */
  get isCatchingUp(): boolean {
    return this.next === FROM_LOG;
  }

  /** Takes it out of the passes until {@linkcode join}. */
  beginCatchingUp(): void {
    this.next = FROM_LOG;
  }

  /** Gets its messages from passes, from number `next` on. */
  join(next: number): void {
    this.next = next;
  }

  /** Number of messages that passes have brought it, about. */
  get messageCount(): number {
    return this.isCatchingUp ? 1 : Math.max(0, this.next - this.since);
  }
}

/** A subscription whose subscriber wants to know which process accepted each message. It takes no field. */
export class TaggedSubscription extends Subscription {
  override get isTagged(): boolean {
    return true;
  }
}
