import type { Connection, ConnectionHandler, TransportEnd } from "../runtime/types.ts";
import type { ClientDecoder } from "../protocol/client_decoder.ts";
import type { ClientFrames } from "../protocol/client_frames.ts";
import { ACK, encodeGreeting, PING } from "../protocol/encoder.ts";
import { ProtocolError } from "../protocol/errors.ts";
import type { Permissions } from "./access.ts";
import { checkKey, checkPublish, checkSubscribe } from "./client_checks.ts";
import { ClientConnection } from "./client_connection.ts";
import { PUBLISHER_LINGER_MS, SWEEP_INTERVAL_MS } from "./limits.ts";
import { Publisher, type PublishingSession } from "./publisher.ts";
import type { SessionContext } from "./session_context.ts";
import { subscribe, unsubscribe, unsubscribeAll } from "./subscribing.ts";
import type { Subscription } from "./topic.ts";

/** Requests of one connection that aren't held against a rate: all topics that it may have, twice. */
const FREE_REQUESTS = 256;

/** Frames that ask for nothing cost the server as much as one request, their reading included. */
const IDLE_FRAMES_PER_REQUEST = 16;

/** What is read at once of a client that may turn out to be a publisher, or to ask for much. */
const PIECE_BYTES = 4_096;

const NO_SUBSCRIPTIONS: Subscription[] = [];

/** One client: what it says, by the protocol's rules, and what is kept for it because of that. */
export class Session extends ClientConnection
  implements ConnectionHandler, ClientFrames, PublishingSession {
  readonly #decoder: ClientDecoder;
  /** What the client may do. */
  #permissions: Permissions;
  #subscriptions: Subscription[] = NO_SUBSCRIPTIONS;
  /** From the client's first message on. */
  #publisher: Publisher | undefined;
  /** Subscribes, unsubscribes and keys so far. */
  #requestCount = 0;
  #idleFrameCount = 0;
  /** When it was last heard, on the coarse clock. */
  #heardMs: number;
  /**
   * When it was sent what it hasn't said anything to since, on the coarse clock: a `PING`, or, where
   * it's a client of 2009, a message. 0 if nothing was.
   */
  #unansweredMs = 0;
  /** How many messages a client of 2009 had been sent when it was last heard, or looked at. */
  #seenMessages = 0;
  /** What the client's input holds of the memory budget. */
  #heldInputBytes = 0;
  #heldInputSinceMs = 0;

  constructor(connection: Connection, context: SessionContext) {
    super(connection, context);
    this.#decoder = context.newDecoder();
    this.#permissions = context.access.withoutKey(connection.remoteAddress);
    this.#heardMs = context.clock.nowMs;
  }

  /** True for a publisher that isn't read from just now. */
  get isWaiting(): boolean {
    return this.#publisher?.isWaiting ?? false;
  }

  /** Bytes that are kept because of this client: what waits for it, and what it sent. */
  get heldBytes(): number {
    return this.pendingBytes + this.#heldInputBytes;
  }

  /** Whether most of that is what it sent. */
  get holdsMostlyInput(): boolean {
    return this.#heldInputBytes > this.pendingBytes;
  }

  /** Since when it has done nothing about the most of that, on the coarse clock. */
  get holdsSinceMs(): number {
    if (!this.holdsMostlyInput) return this.progressMs;
    // Who is made to wait can't do anything.
    return this.isWaiting ? this.context.clock.nowMs : this.#inputSinceMs;
  }

  /** Greets the client: the first frame. Behind TLS it's done by itself. */
  greet(): void {
    const { timestamps } = this.context;
    this.send(encodeGreeting(timestamps.next(), this.context.newToken()));
  }

  /** True for a client whose unfinished frame has held memory for the time given. */
  hoardsFor(ms: number): boolean {
    if (!this.isOpen || this.#heldInputBytes === 0 || this.isWaiting) return false;
    return this.context.clock.nowMs - this.#inputSinceMs >= ms;
  }

  // What the connection tells.

  onSecure(): void {
    if (!this.secured()) return;
    this.#heardMs = this.context.clock.nowMs;
    this.greet();
  }

  onData(chunk: Uint8Array): void {
    if (!this.isOpen) return;
    this.context.counters.bytesIn += chunk.byteLength;
    this.#heardMs = this.context.clock.nowMs;
    this.#unansweredMs = 0;
    this.#take(chunk);
  }

  override onClose(why: TransportEnd, cause?: Error): void {
    // Read before the connection broke: what a publisher sent counts, though it's gone.
    if (this.isOpen) this.#publisher?.readDeferred();
    super.onClose(why, cause);
    this.context.onGone(this);
  }

  // What the client says. An unsubscribe may end the session; what follows it isn't heard then.

  onSubscribe(name: string): void {
    if (!this.isOpen) return;
    this.#countRequest();
    checkSubscribe(name, this.#permissions, this.context.limits);
    if (!this.#subscribe(name)) this.#waitFor(() => this.#subscribe(name));
  }

  onUnsubscribe(name: string): void {
    if (this.isOpen) this.#countRequest();
    unsubscribe(this.#subscriptions, name, this.context);
  }

  onAuthenticate(key: string): void {
    if (!this.isOpen) return;
    this.#countRequest();
    if (!this.#authenticate(key)) this.#waitFor(() => this.#authenticate(key));
  }

  onPublish(name: string, message: Uint8Array): void {
    if (this.isOpen) this.#publisherTo(name).publish(name, message);
  }

  onPublishForReceipt(name: string, message: Uint8Array): void {
    if (this.isOpen) this.#publisherTo(name).publishForReceipt(name, message);
  }

  onIdleFrame(): void {
    if (this.isOpen && ++this.#idleFrameCount % IDLE_FRAMES_PER_REQUEST === 0) this.#countRequest();
  }

  // What its publisher tells.

  read(chunk: Uint8Array): void {
    if (!this.isOpen) return;
    try {
      const bytes = this.#decoder.push(chunk, this);
      if (bytes < chunk.byteLength) this.#publisher?.defer(chunk.slice(bytes));
    } catch (error) {
      this.#endFor(error);
    }
    if (this.#decoder.isLegacy) this.#seenMessages = this.#sentMessages;
    this.#accountInput();
  }

  retry(attempt: () => boolean): boolean {
    try {
      return attempt();
    } catch (error) {
      this.#endFor(error);
      return true;
    }
  }

  onDeferred(): void {
    this.#accountInput();
  }

  onWaited(): void {
    // The time in which the server read nothing doesn't count as the client's silence.
    this.#heardMs = this.stateSinceMs = this.context.clock.nowMs;
  }

  /** @returns Whether it's settled if there is room for the topic. */
  #subscribe(name: string): boolean {
    const subscriptions = subscribe(this.#subscriptions, name, this, this.context);
    if (subscriptions === undefined) return false;
    this.#subscriptions = subscriptions;
    this.send(ACK);
    return true;
  }

  /** @returns Whether it's settled if the key may be looked at. */
  #authenticate(key: string): boolean {
    const permissions = checkKey(key, this.remoteAddress, this.context);
    if (permissions === undefined) return false;
    this.#permissions |= permissions;
    this.send(ACK);
    return true;
  }

  /** Reads no further until the attempt is settled, which other processes are asked about. */
  #waitFor(attempt: () => boolean): void {
    const { borrower } = this.context;
    if (borrower === undefined) return;
    this.#publisher ??= new Publisher(this, this.connection, this.context);
    if (this.#publisher.waitFor(attempt, borrower)) this.#decoder.pause();
  }

  #endFor(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error;
    this.end(error.code, error.message);
  }

  /** The publisher behind this session, which is about to publish to a topic. */
  #publisherTo(name: string): Publisher {
    checkPublish(name, this.#permissions, this.context.limits);
    return this.#publisher ??= new Publisher(this, this.connection, this.context);
  }

  #countRequest(): void {
    if (++this.#requestCount <= FREE_REQUESTS) return;
    (this.#publisher ??= new Publisher(this, this.connection, this.context)).countRequest();
  }

  #take(chunk: Uint8Array): void {
    if (this.#publisher === undefined) this.#takeUnpublished(chunk);
    else this.#publisher.take(chunk);
  }

  /** Reads the chunk of a client that hasn't published or asked for much, and so needn't wait. */
  #takeUnpublished(chunk: Uint8Array): void {
    if (chunk.byteLength > PIECE_BYTES) {
      this.read(chunk.subarray(0, PIECE_BYTES));
      return this.#take(chunk.subarray(PIECE_BYTES));
    }
    this.read(chunk);
    this.#publisher?.waitIfHeld();
  }

  /** Since when its input has held memory without a message that came of it. */
  get #inputSinceMs(): number {
    return Math.max(this.#heldInputSinceMs, this.#publisher?.publishedMs ?? 0);
  }

  /** Accounts for the memory that this client's input holds. */
  #accountInput(): void {
    const bytes = this.isOpen ? this.#decoder.heldBytes + (this.#publisher?.deferredBytes ?? 0) : 0;
    if (bytes === this.#heldInputBytes) return;
    const { budget, clock } = this.context;
    if (this.#heldInputBytes === 0) this.#heldInputSinceMs = clock.nowMs;
    budget.release(this.#heldInputBytes);
    budget.hold(bytes);
    this.#heldInputBytes = bytes;
  }

  // What its connection asks of it.

  protected sweepSilence(nowMs: number): void {
    if (this.isWaiting) return;
    const { limits } = this.context;
    if (!this.#decoder.completedFrame) {
      if (nowMs - this.stateSinceMs >= limits.idleMs) {
        this.end("idle_timeout", `No complete frame within ${limits.idleMs / 1000} s`);
      }
    } else if (this.#decoder.awaitsTerminator) {
      // Whitespace behind MESSAGE is no sign that more is to come. The coarse clock may be a sweep
      // behind, which would be a quarter of so short a time.
      const publishedMs = this.#publisher?.publishedMs ?? 0;
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
    const subscriptions = this.#subscriptions;
    this.#subscriptions = NO_SUBSCRIPTIONS;
    unsubscribeAll(subscriptions, deliverRest, this.context);
  }

  protected stopListening(): void {
    this.#publisher?.leave();
    this.#accountInput();
  }
}
