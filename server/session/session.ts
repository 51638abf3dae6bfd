import type { TransportEnd } from "../../runtime/types.ts";
import type { ClientFrames } from "../../protocol/client_frames.ts";
import { ACK, encodeGreeting, PING } from "../../protocol/encoder.ts";
import type { WaitingPlace } from "../flow/gate.ts";
import { BACK_GRACE_MS, PUBLISHER_LINGER_MS, SWEEP_INTERVAL_MS } from "../limits/clients.ts";
import { SUBSCRIPTION_BYTES, TOPIC_BYTES } from "../limits/costs.ts";
import type { ResumeRequest } from "../../protocol/resume.ts";
import type { Subscription } from "../topics/subscription.ts";
import { checkPublish, checkSubscribe, KeyCheck } from "./client_checks.ts";
import { IS_BACK } from "./accounted_connection.ts";
import { InboundConnection } from "./inbound_connection.ts";
import { Publisher, type PublishingSession } from "./publisher.ts";
import { Resuming } from "./resuming.ts";
import type { PendingDecision } from "./session_context.ts";
import { subscribe, unsubscribe, unsubscribeAll } from "./subscribing.ts";

/** A request costs as much time as a message of so many bytes. */
const REQUEST_COST_BYTES = 1024;

/** Degrees of a client's activity, the least first. */
export type Activity = 0 | 1 | 2 | 3;
const SAYS_NOTHING: Activity = 0;
const WANTS_NOTHING: Activity = 1;
const GETS_NOTHING: Activity = 2;
const DOES_SOMETHING: Activity = 3;

/** Milliseconds that a client has for its first frame before it counts as saying nothing. */
const FIRST_FRAME_GRACE_MS = 1_000;

const NO_SUBSCRIPTIONS: Subscription[] = [];

/** One client's session: it does what the client's frames ask for, and keeps its subscriptions. */
export class Session extends InboundConnection implements ClientFrames, PublishingSession {
  #subscriptions: Subscription[] = NO_SUBSCRIPTIONS;
  /** Messages that a client of 2009 had been sent when it was last heard, or last swept. */
  #seenMessages = 0;

  protected get frames(): ClientFrames {
    return this;
  }

  protected get isSubscribed(): boolean {
    return this.#subscriptions.length > 0;
  }

  /** Bytes that its subscriptions hold, and the topics that only this client is subscribed to. */
  get standingBytes(): number {
    let bytes = 0;
    for (const { topic } of this.#subscriptions) {
      bytes += SUBSCRIPTION_BYTES + (topic.subscriberCount === 1 ? TOPIC_BYTES : 0);
    }
    return bytes;
  }

  /** The client's activity. If there is no room for two clients, the less active one is ended. */
  get activity(): Activity {
    const { nowMs } = this.context.clock;
    if (!this.isOpen || !this.decoder.completedFrame) {
      return nowMs - this.stateSinceMs >= FIRST_FRAME_GRACE_MS ? SAYS_NOTHING : DOES_SOMETHING;
    }
    if (this.inbound?.publisher !== undefined) return DOES_SOMETHING;
    if (this.#subscriptions.length === 0) return WANTS_NOTHING;
    return this.#subscriptions.some(({ messageCount }) => messageCount > 0)
      ? DOES_SOMETHING
      : GETS_NOTHING;
  }

  /** True if the client has published, or is subscribed, so that ending it would be a loss. */
  get isActive(): boolean {
    return this.activity > WANTS_NOTHING;
  }

  /** Number of topics that the client is subscribed to. */
  get topicCount(): number {
    return this.#subscriptions.length;
  }

  /** True if a topic has this client as its only subscriber. */
  get hasTopicOfItsOwn(): boolean {
    return this.#subscriptions.some(({ topic }) => topic.subscriberCount === 1);
  }

  /** Sends the greeting, the first frame. With TLS, the session calls this itself. */
  greet(): void {
    const { timestamps } = this.context;
    this.send(encodeGreeting(timestamps.next(), this.context.newToken()));
  }

  /**
   * Ends the client because memory is short.
   *
   * @param detail The error frame's text, a sentence.
   * @returns False if the session has ended already and no bytes wait for the client.
   */
  giveWay(detail: string): boolean {
    if (!this.isOpen) {
      if (this.pendingBytes === 0) return false;
      this.evict(detail);
    } else if (this.standingBytes > this.heldBytes) this.end("too_many_topics", detail);
    else if (this.holdsMostlyInput) this.end("frame_too_large", detail);
    else this.evict(detail);
    return true;
  }

  /**
   * Ends a client that goes on where it was, since messages are lost that it may have missed. Others go on.
   *
   * @returns False if it is none.
   */
  discontinue(retryAfterMs: number): boolean {
    if (!this.isOpen || !this.#subscriptions.some(({ isTagged }) => isTagged)) return false;
    this.end("discontinuity", "Messages between the server's machines were lost", retryAfterMs);
    return true;
  }

  // Called by the connection.

  onSecure(): void {
    if (!this.secured()) return;
    this.noteHeard();
    this.greet();
  }

  override onClose(why: TransportEnd, cause?: Error): void {
    super.onClose(why, cause);
    this.context.onGone(this);
  }

  // Called by the decoder. An unsubscribe may end the session; the frames behind it are ignored then.

  get hasEnough(): boolean {
    return this.context.reading.unitsLeft <= 0;
  }

  onSubscribe(name: string, resume: ResumeRequest | undefined): void {
    this.context.tracer?.asked(this, "subscribe", name);
    this.#countRequest();
    if (!this.isOpen) return;
    checkSubscribe(name, this.flags, this.context.limits);
    if (resume === undefined) {
      return this.settle(() => this.#placeOfSay(name) ?? this.#subscribe(name));
    }
    const resuming = new Resuming(name, resume, this.context.clock.nowMs);
    this.settle(() => this.#placeOfSay(name) ?? this.#resume(resuming));
  }

  onUnsubscribe(name: string): void {
    this.context.tracer?.asked(this, "unsubscribe", name);
    this.#countRequest();
    // Unsubscribing may deliver messages: earlier replies must come before them.
    this.flushReplies();
    unsubscribe(this.#subscriptions, name, this.context);
  }

  onAuthenticate(key: string): void {
    this.context.tracer?.authenticated(this);
    this.#countRequest();
    if (!this.isOpen) return;
    const check = new KeyCheck(key, this.remoteAddress, this.context);
    this.settle(() => this.#authenticate(check, key));
  }

  onPublish(name: string, message: Uint8Array): void {
    this.context.tracer?.published(this, name, message, false);
    this.#countMessage(message);
    if (!this.isOpen) return;
    const publisher = this.#publisherTo(name);
    const pending = this.context.topicSay?.look(this, "publish", name);
    if (pending === undefined) return publisher.publish(name, message);
    this.#publishLater(name, message, pending, (copy) => publisher.publish(name, copy));
  }

  onPublishForReceipt(name: string, message: Uint8Array): void {
    this.context.tracer?.published(this, name, message, true);
    this.#countMessage(message);
    if (!this.isOpen) return;
    const publisher = this.#publisherTo(name);
    const pending = this.context.topicSay?.look(this, "publish", name);
    if (pending === undefined) return this.#publishForReceipt(publisher, name, message);
    this.#publishLater(name, message, pending, (copy) => {
      if (this.isOpen) this.#publishForReceipt(publisher, name, copy);
      else publisher.publish(name, copy);
    });
  }

  #publishForReceipt(publisher: Publisher, name: string, message: Uint8Array): void {
    const inbound = this.inboundSide;
    // A client that is gone can't get a receipt any more, and won't wait.
    const isLost = inbound.isReadingRest && publisher.isOwedEnough;
    if (isLost) return publisher.publish(name, message);
    publisher.publishForReceipt(name, message);
    if (publisher.isOwedEnough) inbound.endPiece();
  }

  /**
   * Publishes once the host program allows it, also if the client is gone by then: what it sent before
   * counts. Until then nothing behind the message is read.
   */
  #publishLater(
    name: string,
    message: Uint8Array,
    pending: PendingDecision,
    publish: (copy: Uint8Array) => void,
  ): void {
    const { budget, topicSay } = this.context;
    const copy = message.slice();
    budget.countDeferred(copy.byteLength);
    pending.whenDecided((isAllowed) => {
      budget.countDeferred(-copy.byteLength);
      if (isAllowed) publish(copy);
    });
    this.inboundSide.waitFor(() => topicSay?.look(this, "publish", name), pending);
  }

  /** @returns The place to wait at, if the host program hasn't decided yet about a subscription. */
  #placeOfSay(name: string): WaitingPlace | undefined {
    return this.context.topicSay?.look(this, "subscribe", name);
  }

  onIdleFrame(): void {
    this.context.tracer?.idled(this);
    this.context.reading.countFrame(0);
  }

  /** @returns The place to wait at, if the client can't be subscribed yet. */
  #subscribe(name: string): WaitingPlace | undefined {
    const subscriptions = subscribe(this.#subscriptions, name, this, this.context);
    if (!Array.isArray(subscriptions)) return subscriptions;
    this.#subscriptions = subscriptions;
    this.send(ACK);
    return undefined;
  }

  /** @returns The place to wait at, if the client can't be subscribed yet. */
  #resume(resuming: Resuming): WaitingPlace | undefined {
    const resumed = resuming.attempt(this.#subscriptions, this, this.context);
    if (!("replies" in resumed)) return resumed;
    const { subscriptions, replaced, owesRest, replies } = resumed;
    this.#subscriptions = subscriptions;
    if (replaced !== undefined) {
      // The rest may be delivered: earlier replies must come before it.
      this.flushReplies();
      replaced.topic.unsubscribe(replaced, owesRest);
    }
    for (const reply of replies) this.send(reply);
    return undefined;
  }

  /** @returns The place to wait at, if the key can't be checked yet. */
  #authenticate(check: KeyCheck, key: string): WaitingPlace | undefined {
    const answer = check.look();
    if (typeof answer === "object") return answer;
    this.context.topicSay?.noteKey(this, key);
    this.flags |= answer;
    this.send(ACK);
    return undefined;
  }

  /** Checks that the client may publish to a topic, and returns its publisher. */
  #publisherTo(name: string): Publisher {
    checkPublish(name, this.flags, this.context.limits);
    const inbound = this.inboundSide;
    return inbound.publisher ??= new Publisher(this, this.context);
  }

  #countMessage(message: Uint8Array): void {
    this.context.reading.countFrame(message.byteLength);
    this.inboundSide.countMessage();
  }

  #countRequest(): void {
    this.context.reading.countFrame(REQUEST_COST_BYTES);
  }

  // Called by `ClientConnection` and `InboundConnection`.

  protected sweepSilence(nowMs: number): void {
    if (this.isWaiting) return;
    this.onNothingWaits();
    const { limits } = this.context;
    // What it sent while it wasn't read may not have come yet.
    const untilMs = (this.flags & IS_BACK) === 0 ? nowMs : nowMs - BACK_GRACE_MS;
    this.flags &= ~IS_BACK;
    if (!this.decoder.completedFrame) {
      if (untilMs - this.stateSinceMs >= limits.idleMs) {
        this.end("idle_timeout", `No complete frame within ${limits.idleMs / 1000} s`);
      }
    } else if (this.decoder.awaitsTerminator) {
      // Whitespace behind MESSAGE is no sign that more is to come. The coarse clock may be a sweep
      // behind, which would be a quarter of so short a time.
      const publishedMs = this.inbound?.publisher?.publishedMs ?? 0;
      const lingeredMs = untilMs - publishedMs - SWEEP_INTERVAL_MS;
      if (lingeredMs >= PUBLISHER_LINGER_MS) this.beginEnding("published", "");
    } else if (this.decoder.isLegacy) {
      this.#sweepLegacySilence(nowMs, untilMs);
    } else if (this.unansweredMs !== 0) {
      if (untilMs - this.unansweredMs >= limits.idleMs) {
        this.end("idle_timeout", `Nothing came for ${limits.idleMs / 1000} s after a PING`);
      }
    } else if (untilMs - this.heardMs >= limits.pingAfterMs) {
      this.unansweredMs = nowMs;
      this.#ping();
    }
  }

  /** Sends one `PING` some time after the last message, as Janus did; it need not be answered. */
  #sweepLegacySilence(nowMs: number, untilMs: number): void {
    const { idleMs, legacyIdleMs, pingAfterMs } = this.context.limits;
    const limitMs = this.#subscriptions.length === 0 ? idleMs : legacyIdleMs;
    if (limitMs !== undefined && untilMs - this.heardMs >= limitMs) {
      return this.end("idle_timeout", `Nothing came for ${limitMs / 1000} s`);
    }
    const sentMessages = this.#sentMessages;
    if (sentMessages !== this.#seenMessages) {
      this.#seenMessages = sentMessages;
      this.unansweredMs = nowMs;
    } else if (this.unansweredMs !== 0 && untilMs - this.unansweredMs >= pingAfterMs) {
      this.unansweredMs = 0;
      this.#ping();
    }
  }

  #ping(): void {
    this.context.counters.writes++;
    this.send(PING);
  }

  /** Number of messages that its current subscriptions have brought it. */
  get #sentMessages(): number {
    let count = 0;
    for (const { messageCount } of this.#subscriptions) count += messageCount;
    return count;
  }

  protected onRead(): void {
    if (this.decoder.isLegacy) this.#seenMessages = this.#sentMessages;
  }

  protected get isLegacy(): boolean {
    return this.decoder.isLegacy;
  }

  protected get hasSeveralTopics(): boolean {
    return this.#subscriptions.length > 1;
  }

  get topicNames(): readonly string[] {
    return this.#subscriptions.map(({ topic }) => topic.name);
  }

  protected leaveTopics(deliverRest: boolean): void {
    // Settled receipts come before the error frame; sending them may end the session harder.
    const { catchUps } = this.context;
    if (deliverRest) {
      this.inbound?.publisher?.giveReceipts();
      catchUps.finish(this);
    } else catchUps.drop(this);
    const subscriptions = this.#subscriptions;
    this.#subscriptions = NO_SUBSCRIPTIONS;
    unsubscribeAll(subscriptions, deliverRest, this.context);
  }
}
