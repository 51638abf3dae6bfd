import type { Connection, ConnectionHandler, TransportEnd } from "../../runtime/types.ts";
import type { ClientDecoder } from "../../protocol/client_decoder.ts";
import type { ClientFrames } from "../../protocol/client_frames.ts";
import { ACK, encodeGreeting, PING } from "../../protocol/encoder.ts";
import { ProtocolError } from "../../protocol/errors.ts";

import { checkPublish, checkSubscribe, KeyCheck } from "./client_checks.ts";
import { ClientConnection } from "./client_connection.ts";
import { UNITS_PER_PIECE } from "../flow/fair_reader.ts";
import type { Gate, WaitingPlace } from "../flow/gate.ts";
import { type Attempt, Inbound, type InboundSession } from "./inbound.ts";
import { siteOf } from "../access/ip_address.ts";
import {
  PUBLISHER_LINGER_MS,
  READ_AHEAD_BYTES,
  SMALL_FRAME_BYTES,
  SUBSCRIPTION_BYTES,
  SWEEP_INTERVAL_MS,
  TOPIC_BYTES,
} from "../limits.ts";
import { Publisher, type PublishingSession } from "./publisher.ts";
import type { SessionContext } from "./session_context.ts";
import { subscribe, unsubscribe, unsubscribeAll } from "./subscribing.ts";
import type { Subscription } from "../topics/topic.ts";

/** What is read at once of a client that hasn't published. */
const FIRST_PIECE_BYTES = 4_096;

/** So little of one that hasn't had to wait is read before others: to let it wait costs more. */
const LITTLE_BYTES = 256;

/**
 * What a client of small messages may have sent in a millisecond since it was last heard: when the
 * server is late, it all comes at once.
 */
const SMALL_BYTES_PER_MS = 32;

/** A client that sends no more than that for so long isn't one any more that sends much. */
const MUCH_FOR_MS = 5_000;

/** What a request costs as bytes of a message do: it takes a write. */
const REQUEST_COST_BYTES = 3 * 1024;

// A session's flags, one number beside its permissions: on Bun a field more costs 64 bytes.
/** Its connection isn't read because of its inbound side. */
const FOR_INBOUND = 1 << 2;
/** Its connection isn't read for want of memory. */
const FOR_MEMORY = 1 << 3;
const PAUSED = FOR_INBOUND | FOR_MEMORY;
/** The server has made it wait, so that what comes next may be much without its doing. */
const HAS_WAITED = 1 << 4;

/** What a client does, from the least on. */
export type Activity = 0 | 1 | 2 | 3;
const SAYS_NOTHING: Activity = 0;
const WANTS_NOTHING: Activity = 1;
const GETS_NOTHING: Activity = 2;
const DOES_SOMETHING: Activity = 3;

/** Milliseconds in which a client need not have said anything yet. */
const FIRST_FRAME_GRACE_MS = 1_000;

const NO_SUBSCRIPTIONS: Subscription[] = [];

/** One client: what it says, by the protocol's rules, and what is kept for it because of that. */
export class Session extends ClientConnection
  implements ConnectionHandler, ClientFrames, PublishingSession, InboundSession {
  readonly #decoder: ClientDecoder;
  /** What the client may do, as permissions of `access.ts`, and flags. */
  #flags: number;
  #subscriptions: Subscription[] = NO_SUBSCRIPTIONS;
  /** From the first bytes on that have to wait, or the first message. */
  #inbound: Inbound | undefined;
  /** When it was last heard, on the coarse clock. */
  #heardMs: number;
  /**
   * When it was sent what it hasn't said anything to since, on the coarse clock: a `PING`, or, where
   * it's a client of 2009, a message. 0 if nothing was.
   */
  #unansweredMs = 0;
  /** How many messages a client of 2009 had been sent when it was last heard, or looked at. */
  #seenMessages = 0;

  constructor(connection: Connection, context: SessionContext) {
    super(connection, context);
    this.#decoder = context.newDecoder();
    this.#flags = context.access.withoutKey(connection.remoteAddress);
    this.#heardMs = context.clock.nowMs;
  }

  site(): string {
    return this.#inbound?.site ?? siteOf(this.remoteAddress);
  }

  /** Whether it's a publisher for whom little waits, so that it may be read before others. */
  isLight(): boolean {
    return this.#inbound?.isSmall ?? false;
  }

  /** True for a client that isn't read just now, or whose bytes wait. */
  get isWaiting(): boolean {
    return (this.#flags & PAUSED) !== 0 || (this.#inbound?.isWaiting ?? false);
  }

  /** Bytes that are kept because of this client: what waits for it, and what it sent. */
  get heldBytes(): number {
    return this.pendingBytes + this.inputBytes + this.#owedBytes;
  }

  /** Bytes that its subscriptions hold, and topics that only it is subscribed to. */
  get standingBytes(): number {
    let bytes = 0;
    for (const { topic } of this.#subscriptions) {
      bytes += SUBSCRIPTION_BYTES + (topic.subscriberCount === 1 ? TOPIC_BYTES : 0);
    }
    return bytes;
  }

  /** Bytes that are kept of what it sent. */
  get inputBytes(): number {
    const { deferredBytes = 0, undeliveredBytes = 0 } = this.#inbound ?? {};
    return this.unfinishedInputBytes + deferredBytes + undeliveredBytes;
  }

  /** The same, without a little that is read next, and so gives its memory back by itself. */
  get bulkInputBytes(): number {
    const bytes = this.inputBytes;
    const waitingBytes = bytes - this.unfinishedInputBytes;
    return waitingBytes <= READ_AHEAD_BYTES ? bytes - waitingBytes : bytes;
  }

  /** Whether most of that is what it sent. */
  get holdsMostlyInput(): boolean {
    return this.inputBytes > this.pendingBytes + this.#owedBytes;
  }

  /** Since when it has done nothing about the most of that, on the coarse clock. */
  get heldMemorySinceMs(): number {
    // Receipts come by themselves.
    if (this.#owedBytes > this.pendingBytes + this.inputBytes) return this.context.clock.nowMs;
    if (!this.holdsMostlyInput) return this.progressMs;
    // Who is made to wait can't do anything, but for a frame that isn't complete.
    const isHeldUp = this.isWaiting && !this.holdsLargeFrame;
    return isHeldUp ? this.context.clock.nowMs : this.unfinishedSinceMs;
  }

  /** Bytes of memory that a frame which isn't complete holds. */
  get unfinishedBytes(): number {
    return this.#decoder.heldBytes;
  }

  /** The same with what its connection holds of what arrived: of a handshake or a record, with TLS. */
  get unfinishedInputBytes(): number {
    return this.#inbound?.unfinishedBytes ?? 0;
  }

  /** Whether that is more than is held for any client without a second thought. */
  get holdsLargeFrame(): boolean {
    // What its connection holds waits with it.
    const bytes = this.isWaiting ? this.#decoder.heldBytes : this.unfinishedInputBytes;
    return bytes > SMALL_FRAME_BYTES;
  }

  /** Since when it holds anything without a message that came of it, on the coarse clock. */
  get unfinishedSinceMs(): number {
    const { unfinishedSinceMs = 0, publisher } = this.#inbound ?? {};
    return Math.max(unfinishedSinceMs, publisher?.publishedMs ?? 0);
  }

  get #owedBytes(): number {
    return this.#inbound?.publisher?.owedBytes ?? 0;
  }

  /** How little the client does, the least first; which of two gives way where there's no room for both. */
  get activity(): Activity {
    const { nowMs } = this.context.clock;
    if (!this.isOpen || !this.#decoder.completedFrame) {
      return nowMs - this.stateSinceMs >= FIRST_FRAME_GRACE_MS ? SAYS_NOTHING : DOES_SOMETHING;
    }
    if (this.#inbound?.publisher !== undefined) return DOES_SOMETHING;
    if (this.#subscriptions.length === 0) return WANTS_NOTHING;
    return this.#subscriptions.some(({ next, since }) => next > since)
      ? DOES_SOMETHING
      : GETS_NOTHING;
  }

  /** Whether the client does anything that others could miss: it has published, or is subscribed. */
  get isActive(): boolean {
    return this.activity > WANTS_NOTHING;
  }

  /** When it was last heard, on the coarse clock. */
  get heardMs(): number {
    return this.#heardMs;
  }

  /** How many topics it's subscribed to. */
  get topicCount(): number {
    return this.#subscriptions.length;
  }

  /** Whether a topic is there because of this client alone. */
  get hasTopicOfItsOwn(): boolean {
    return this.#subscriptions.some(({ topic }) => topic.subscriberCount === 1);
  }

  /** Greets the client: the first frame. Behind TLS it's done by itself. */
  greet(): void {
    const { timestamps } = this.context;
    this.send(encodeGreeting(timestamps.next(), this.context.newToken()));
  }

  /** True for a client whose unfinished frame has held memory for the time given. */
  hasHeldPartialFrameFor(ms: number): boolean {
    if (!this.isHeard || this.unfinishedInputBytes === 0) return false;
    // In the middle of a small frame it may be made to wait, of a large one never.
    if (this.isWaiting && !this.holdsLargeFrame) return false;
    return this.context.clock.nowMs - this.unfinishedSinceMs >= ms;
  }

  /**
   * Stops reading a client because what clients have sent holds too much memory; not one in the
   * middle of a large frame, which must be able to complete it, nor one that publishes or is
   * subscribed and never sent much at once.
   *
   * @returns Whether it's to be {@linkcode letGo} again.
   */
  holdBack(): boolean {
    const isKnown = this.#inbound?.publisher !== undefined || this.#subscriptions.length > 0;
    const isHarmless = isKnown && !this.hasSentMuch;
    if (!this.isOpen || this.holdsLargeFrame || isHarmless) return false;
    // Only by being read those bytes are given back.
    if (this.connection.hasUndelivered) return false;
    if ((this.#flags & FOR_MEMORY) !== 0) return false;
    this.#pause(FOR_MEMORY);
    return true;
  }

  /** Undoes {@linkcode holdBack}. */
  letGo(): void {
    if (!this.isOpen || (this.#flags & FOR_MEMORY) === 0) return;
    this.onWaited(true);
    this.#resume(FOR_MEMORY);
  }

  /**
   * Ends the client because memory is short.
   *
   * @param detail What it's told, in a sentence.
   * @returns False where it's gone already, or nothing is held for it.
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

  // What the connection tells.

  onSecure(): void {
    if (!this.secured()) return;
    this.#heardMs = this.context.clock.nowMs;
    this.greet();
  }

  onData(chunk: Uint8Array): void {
    if (!this.isOpen) return;
    const { counters, ceiling, inputDefence } = this.context;
    counters.bytesIn += chunk.byteLength;
    if (counters.bytesIn >= ceiling.lookAtBytes) ceiling.look();
    this.#noteSize(chunk.byteLength);
    this.#heardMs = this.context.clock.nowMs;
    this.#unansweredMs = 0;
    this.#take(chunk);
    if (inputDefence.isHolding) inputDefence.holdBack(this);
  }

  onHeld(): void {
    this.#accountUnfinished();
    const isHeldBack = (this.#flags & FOR_MEMORY) !== 0;
    if (isHeldBack && this.connection.hasUndelivered) this.context.inputDefence.readOn(this);
  }

  override onDrain(): void {
    super.onDrain();
    this.#inbound?.publisher?.onTaken();
  }

  override onEnd(): void {
    // What came before the end counts, though it waits; a pause would have held the end up too.
    this.#inbound?.readDeferred();
    super.onEnd();
  }

  override onClose(why: TransportEnd, cause?: Error): void {
    // Read before the connection broke: what a publisher sent counts, though it's gone.
    if (this.isOpen) this.#inbound?.readDeferred();
    super.onClose(why, cause);
    this.context.onGone(this);
  }

  // What the client says. An unsubscribe may end the session; what follows it isn't heard then.

  get hasEnough(): boolean {
    return this.context.reading.unitsLeft <= 0;
  }

  onSubscribe(name: string): void {
    this.#countRequest();
    if (!this.isOpen) return;
    checkSubscribe(name, this.#flags, this.context.limits);
    this.#settle(() => this.#subscribe(name));
  }

  onUnsubscribe(name: string): void {
    this.#countRequest();
    // What is delivered now comes behind what was answered before.
    this.flushReplies();
    unsubscribe(this.#subscriptions, name, this.context);
  }

  onAuthenticate(key: string): void {
    this.#countRequest();
    if (!this.isOpen) return;
    const check = new KeyCheck(key, this.remoteAddress, this.context);
    this.#settle(() => this.#authenticate(check));
  }

  onPublish(name: string, message: Uint8Array): void {
    this.#countMessage(message);
    if (this.isOpen) this.#publisherTo(name).publish(name, message);
  }

  onPublishForReceipt(name: string, message: Uint8Array): void {
    this.#countMessage(message);
    if (!this.isOpen) return;
    const publisher = this.#publisherTo(name);
    const inbound = this.#inboundSide;
    // A client that is gone can't get a receipt any more, and won't wait.
    const isLost = inbound.isReadingRest && publisher.isOwedEnough;
    if (isLost) return publisher.publish(name, message);
    publisher.publishForReceipt(name, message);
    if (publisher.isOwedEnough) inbound.endPiece();
  }

  onIdleFrame(): void {
    this.context.reading.countFrame(0);
  }

  // What its inbound side asks.

  /** Where the client should wait for others before it publishes more, if it should. */
  get publishGate(): Gate | undefined {
    return this.#inbound?.publisher?.gate;
  }

  read(chunk: Uint8Array): number {
    if (!this.isOpen) return chunk.byteLength;
    let taken = chunk.byteLength;
    const isFirst = this.beginReplies();
    try {
      taken = this.#decoder.push(chunk, this);
    } catch (error) {
      this.#endFor(error);
    } finally {
      if (isFirst) this.endReplies();
    }
    if (this.#decoder.isLegacy) this.#seenMessages = this.#sentMessages;
    this.#accountUnfinished();
    return taken;
  }

  retry(attempt: Attempt): WaitingPlace | undefined {
    try {
      return attempt();
    } catch (error) {
      this.#endFor(error);
      return undefined;
    }
  }

  get hasPublished(): boolean {
    return this.#inbound?.publisher !== undefined;
  }

  get hasSentMuch(): boolean {
    const sentMuchMs = this.#inbound?.sentMuchMs ?? 0;
    return sentMuchMs !== 0 && this.context.clock.nowMs - sentMuchMs < MUCH_FOR_MS;
  }

  onWaited(isLate: boolean): void {
    // The time in which the server read nothing doesn't count as the client's silence.
    const { nowMs } = this.context.clock;
    this.stateSinceMs = nowMs;
    if (this.#inbound !== undefined) this.#inbound.unfinishedSinceMs = nowMs;
    if (isLate) {
      this.#heardMs = nowMs;
      this.#flags |= HAS_WAITED;
    }
    if (this.#unansweredMs !== 0) this.#unansweredMs = nowMs;
    this.#inbound?.publisher?.onWaited();
  }

  onNothingWaits(): void {
    // In a crowd that connects many have to wait once, and then only listen.
    if (!this.#inbound?.isNeeded) this.#inbound = undefined;
  }

  get isReading(): boolean {
    return (this.#flags & FOR_INBOUND) === 0;
  }

  setReading(isWanted: boolean): void {
    if (!this.isOpen) return;
    if (isWanted) this.#resume(FOR_INBOUND);
    else this.#pause(FOR_INBOUND);
  }

  #noteSize(bytes: number): void {
    if (bytes <= FIRST_PIECE_BYTES) return;
    const { nowMs } = this.context.clock;
    const inbound = this.#inboundSide;
    const isKnown = inbound.publisher !== undefined || this.#subscriptions.length > 0;
    const isLate = isKnown && (this.#flags & HAS_WAITED) !== 0;
    this.#flags &= ~HAS_WAITED;
    const expected = FIRST_PIECE_BYTES + (nowMs - this.#heardMs) * SMALL_BYTES_PER_MS;
    if (!isLate && bytes > expected) inbound.sentMuchMs = nowMs;
  }

  #pause(why: number): void {
    if ((this.#flags & PAUSED) === 0) this.connection.pauseReading();
    this.#flags |= why;
  }

  #resume(why: number): void {
    if ((this.#flags & PAUSED) === 0) return;
    this.#flags &= ~why;
    if ((this.#flags & PAUSED) === 0) this.connection.resumeReading();
  }

  get #inboundSide(): Inbound {
    return this.#inbound ??= new Inbound(this, this.context);
  }

  /** @returns Where to wait until there may be room for the topic, if it's not known. */
  #subscribe(name: string): WaitingPlace | undefined {
    const subscriptions = subscribe(this.#subscriptions, name, this, this.context);
    if (subscriptions === undefined) return this.context.borrower;
    this.#subscriptions = subscriptions;
    this.send(ACK);
    return undefined;
  }

  /** @returns Where to wait until the key may be looked at, if it may not. */
  #authenticate(check: KeyCheck): WaitingPlace | undefined {
    const answer = check.look();
    if (typeof answer === "object") return answer;
    this.#flags |= answer;
    this.send(ACK);
    return undefined;
  }

  /** Does what the client asks for, and reads no further until that is done. */
  #settle(attempt: Attempt): void {
    const place = attempt();
    if (place !== undefined) this.#inboundSide.waitFor(attempt, place);
  }

  #endFor(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error;
    this.end(error.code, error.message);
  }

  /** The publisher behind this session, which is about to publish to a topic. */
  #publisherTo(name: string): Publisher {
    checkPublish(name, this.#flags, this.context.limits);
    const inbound = this.#inboundSide;
    return inbound.publisher ??= new Publisher(this, this.context);
  }

  #countMessage(message: Uint8Array): void {
    this.context.reading.countFrame(message.byteLength);
    this.#inboundSide.countMessage();
  }

  #countRequest(): void {
    this.context.reading.countFrame(REQUEST_COST_BYTES);
  }

  #take(chunk: Uint8Array): void {
    const { reading } = this.context;
    const mostBytes = reading.isFree ? FIRST_PIECE_BYTES : LITTLE_BYTES;
    if (this.#inbound !== undefined || chunk.byteLength > mostBytes) {
      return this.#inboundSide.take(chunk);
    }
    reading.beginPiece(UNITS_PER_PIECE);
    const taken = this.read(chunk);
    reading.endPiece(UNITS_PER_PIECE, taken);
    if (!this.isOpen || taken === chunk.byteLength && this.#inbound === undefined) return;
    this.#inboundSide.take(chunk.subarray(taken));
  }

  /** Accounts for the memory that a frame of this client's holds which isn't complete, or its connection. */
  #accountUnfinished(): void {
    const { heldBytes = 0, hasUndelivered = false } = this.connection;
    this.#countUnfinished(this.#decoder.heldBytes + (hasUndelivered ? 0 : heldBytes));
    // That waits to be read as what is deferred does, and frees its memory so.
    this.#countUndelivered(hasUndelivered ? heldBytes : 0);
  }

  #countUnfinished(bytes: number): void {
    const before = this.unfinishedInputBytes;
    if (bytes === before) return;
    const { budget, clock } = this.context;
    const inbound = this.#inboundSide;
    if (before === 0) inbound.unfinishedSinceMs = clock.nowMs;
    inbound.unfinishedBytes = bytes;
    budget.countUnfinished(bytes - before);
  }

  #countUndelivered(bytes: number): void {
    const before = this.#inbound?.undeliveredBytes ?? 0;
    if (bytes === before) return;
    this.#inboundSide.undeliveredBytes = bytes;
    this.context.budget.countDeferred(bytes - before);
  }

  // What its connection asks of it.

  protected sweepSilence(nowMs: number): void {
    if (this.isWaiting) return;
    this.onNothingWaits();
    const { limits } = this.context;
    if (!this.#decoder.completedFrame) {
      if (nowMs - this.stateSinceMs >= limits.idleMs) {
        this.end("idle_timeout", `No complete frame within ${limits.idleMs / 1000} s`);
      }
    } else if (this.#decoder.awaitsTerminator) {
      // Whitespace behind MESSAGE is no sign that more is to come. The coarse clock may be a sweep
      // behind, which would be a quarter of so short a time.
      const publishedMs = this.#inbound?.publisher?.publishedMs ?? 0;
      const lingeredMs = nowMs - publishedMs - SWEEP_INTERVAL_MS;
      if (lingeredMs >= PUBLISHER_LINGER_MS) this.beginEnding("published", "");
    } else if (this.#decoder.isLegacy) {
      this.#sweepLegacySilence(nowMs);
    } else if (this.#unansweredMs !== 0) {
      if (nowMs - this.#unansweredMs >= limits.idleMs) {
        this.end("idle_timeout", `Nothing came for ${limits.idleMs / 1000} s after a PING`);
      }
    } else if (nowMs - this.#heardMs >= limits.pingAfterMs) {
      this.#unansweredMs = nowMs;
      this.#ping();
    }
  }

  /** Does as Janus did: one `PING` some time after the last message, which need not be answered. */
  #sweepLegacySilence(nowMs: number): void {
    const { idleMs, legacyIdleMs, pingAfterMs } = this.context.limits;
    const limitMs = this.#subscriptions.length === 0 ? idleMs : legacyIdleMs;
    if (limitMs !== undefined && nowMs - this.#heardMs >= limitMs) {
      return this.end("idle_timeout", `Nothing came for ${limitMs / 1000} s`);
    }
    const sentMessages = this.#sentMessages;
    if (sentMessages !== this.#seenMessages) {
      this.#seenMessages = sentMessages;
      this.#unansweredMs = nowMs;
    } else if (this.#unansweredMs !== 0 && nowMs - this.#unansweredMs >= pingAfterMs) {
      this.#unansweredMs = 0;
      this.#ping();
    }
  }

  #ping(): void {
    this.context.counters.writes++;
    this.send(PING);
  }

  /** Messages that its subscriptions have brought it. */
  get #sentMessages(): number {
    let count = 0;
    for (const { next, since } of this.#subscriptions) count += next - since;
    return count;
  }

  protected get isLegacy(): boolean {
    return this.#decoder.isLegacy;
  }

  protected get topicNames(): readonly string[] {
    return this.#subscriptions.map(({ topic }) => topic.name);
  }

  protected leaveTopics(deliverRest: boolean): void {
    // What it's owed and is settled comes before its end; giving it may end it harder.
    if (deliverRest) this.#inbound?.publisher?.giveReceipts();
    const subscriptions = this.#subscriptions;
    this.#subscriptions = NO_SUBSCRIPTIONS;
    unsubscribeAll(subscriptions, deliverRest, this.context);
  }

  protected stopListening(): void {
    this.#inbound?.leave();
    this.#decoder.discard();
    this.#accountUnfinished();
  }
}
