import type { Connection, ConnectionHandler, TransportEnd } from "../runtime/types.ts";
import type { ClientDecoder, ClientFrames } from "../protocol/client_decoder.ts";
import { ACK, encodeError, encodeGreeting, encodeReceipt, PING } from "../protocol/encoder.ts";
import { type ErrorCode, ProtocolError } from "../protocol/errors.ts";
import { MAX_TOPIC_BYTES } from "../protocol/topic.ts";
import { type Permissions, PUBLISH, SUBSCRIBE } from "./access.ts";
import { type EndReason, isErrorCode } from "./counters.ts";
import { Gate, type Waiter } from "./gate.ts";
import { CLOSE_LINGER_MS, PUBLISHER_LINGER_MS, SWEEP_INTERVAL_MS } from "./limits.ts";
import { Outbox } from "./outbox.ts";
import type { Receipt } from "./receipts.ts";
import type { SessionContext } from "./session_context.ts";
import { SharedChunk } from "./shared_chunk.ts";
import type { Pace, Subscriber, Subscription, Topic } from "./topic.ts";
import type { TokenBucket } from "./token_bucket.ts";

/**
 * - `securing`: waits for the TLS handshake, where there is one.
 * - `open`: reads and writes.
 * - `ending`: reads no more; what is queued still goes out.
 * - `closing`: our side is closed; waits for the peer's.
 * - `gone`: the connection is no more.
 */
type SessionState = "securing" | "open" | "ending" | "closing" | "gone";

/** A receipt that a client waits for. */
interface OwedReceipt {
  /** The message's timestamp. */
  micros: number;
  receipt: Receipt | undefined;
}

const NOBODY: Receipt = { matched: 0, written: 0, queued: 0, evicted: 0 };

const NO_SUBSCRIPTIONS: Subscription[] = [];

const utf8 = new TextEncoder();

/** One client: the protocol's rules, its subscriptions, and what waits for it. */
export class Session implements ConnectionHandler, ClientFrames, Subscriber, Waiter {
  /** Where the server keeps this session; the server's own. */
  slot = -1;
  readonly #connection: Connection;
  readonly #context: SessionContext;
  readonly #decoder: ClientDecoder;
  readonly #outbox: Outbox;
  /** What the client may do. */
  #permissions: Permissions;
  #subscriptions: Subscription[] = NO_SUBSCRIPTIONS;
  #state: SessionState = "open";
  /** When the state began, the peer was last heard, and so on, on the coarse clock. */
  #stateSinceMs: number;
  #heardMs: number;
  #pingedMs = 0;
  #publishedMs = 0;
  #heldInputBytes = 0;
  #heldInputSinceMs = 0;
  #isPublisher = false;
  /** What it may still publish just now; from its first message on. */
  #publishes: TokenBucket | undefined;
  #hasBeenThrottled = false;
  /** Receipts that it waits for, in the order of its messages. */
  #owed: Set<OwedReceipt> | undefined;
  /** The topic it published to last that has subscribers, which may make it wait. */
  #publishesTo: Topic | undefined;
  /** The gate at which it waits, with reading paused. */
  #waitsAt: Gate | undefined;
  /** Bytes that arrived although it waits; handled when it goes on. */
  #deferred: Uint8Array[] | undefined;
  /** Where publishers wait for this session, when it has fallen behind as a subscriber. */
  #lagGate: Gate | undefined;

  constructor(connection: Connection, context: SessionContext) {
    this.#connection = connection;
    this.#context = context;
    this.#decoder = context.newDecoder();
    this.#outbox = new Outbox(connection, context);
    this.#permissions = context.access.withoutKey(connection.remoteAddress);
    this.#stateSinceMs = this.#heardMs = context.clock.nowMs;
  }

  /** The peer's IP address; empty on a Unix socket. */
  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  /** Bytes that wait for the peer. */
  get pendingBytes(): number {
    return this.#outbox.pendingBytes;
  }

  /** When the peer last took a byte of what waits for it, on the coarse clock. */
  get progressMs(): number {
    return this.#outbox.progressMs;
  }

  /** True for a publisher that isn't read from just now. */
  get isWaiting(): boolean {
    return this.#waitsAt !== undefined;
  }

  /** Waits for the TLS handshake before it greets. To be called instead of {@linkcode greet}. */
  awaitHandshake(): void {
    this.#setState("securing");
  }

  /** Greets the client: the first frame. */
  greet(): void {
    const { timestamps } = this.#context;
    this.#send(encodeGreeting(timestamps.next(), this.#context.newToken()));
  }

  // What the connection tells.

  onSecure(): void {
    if (this.#state !== "securing") return;
    this.#setState("open");
    this.#heardMs = this.#context.clock.nowMs;
    this.greet();
  }

  onData(chunk: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#context.counters.bytesIn += chunk.byteLength;
    this.#heardMs = this.#context.clock.nowMs;
    this.#pingedMs = 0;
    if (this.#waitsAt !== undefined || this.#waitIfHeld()) {
      this.#defer(chunk.slice());
      return;
    }
    this.#readWithinRate(chunk);
    this.#waitIfHeld();
  }

  onDrain(): void {
    const isEmpty = this.#outbox.drained();
    if (this.#lagGate !== undefined && this.#outbox.hasCaughtUp) this.#openLagGate();
    if (isEmpty && this.#state === "ending") this.#close();
  }

  onEnd(): void {
    if (this.#state === "open") this.#beginEnding("client_closed", "");
  }

  onClose(why: TransportEnd, cause?: Error): void {
    if (this.#state === "open") {
      // Read before the connection broke: what a publisher sent counts, though it's gone.
      this.#readDeferred();
    }
    if (this.#state === "open") {
      this.#leaveTopics(false);
      const reason = why === "finished" ? "client_closed" : "connection_lost";
      this.#context.onEnding(this, reason, this.#outbox.pendingBytes, cause?.message ?? "");
    }
    if (this.#state === "securing") {
      this.#context.onEnding(this, "handshake_failed", 0, cause?.message ?? "");
    }
    this.#setState("gone");
    this.#stopWaiting();
    this.#openLagGate();
    this.#outbox.discard();
    this.#deferred = undefined;
    this.#holdInput(0);
    this.#context.onGone(this);
  }

  // What the client says. An unsubscribe may end the session; what follows it isn't heard then.

  onSubscribe(name: string): void {
    if (this.#state !== "open") return;
    const { topics, limits, counters } = this.#context;
    this.#checkPermission(SUBSCRIBE, "subscribe");
    this.#checkTopic(name, "bad_frame");
    if (!this.#subscriptions.some(({ topic }) => topic.name === name)) {
      if (this.#subscriptions.length >= limits.maxTopics) {
        throw new ProtocolError(
          "too_many_topics",
          `At most ${limits.maxTopics} topics on one connection`,
        );
      }
      if (topics.size >= limits.maxTopicsTotal && topics.find(name) === undefined) {
        throw new ProtocolError(
          "too_many_topics",
          `All ${limits.maxTopicsTotal} topics of the server are taken`,
        );
      }
      if (this.#subscriptions === NO_SUBSCRIPTIONS) this.#subscriptions = [];
      this.#subscriptions.push(topics.subscribe(name, this));
      counters.subscriptions++;
    }
    this.#send(ACK);
  }

  onUnsubscribe(name: string): void {
    const index = this.#subscriptions.findIndex(({ topic }) => topic.name === name);
    const subscription = this.#subscriptions[index];
    if (subscription === undefined) return;
    this.#subscriptions.splice(index, 1);
    this.#context.counters.subscriptions--;
    subscription.topic.unsubscribe(subscription, true);
  }

  onAuthenticate(key: string): void {
    if (this.#state !== "open") return;
    const { access, addresses, counters } = this.#context;
    if (!addresses.mayShowKey(this.remoteAddress)) {
      throw new ProtocolError("forbidden", "Too many wrong keys came from this address");
    }
    const permissions = access.withKey(this.remoteAddress, key);
    if (permissions === undefined) {
      counters.wrongKeys++;
      addresses.noteWrongKey(this.remoteAddress);
      throw new ProtocolError("forbidden", "The key is wrong");
    }
    this.#permissions |= permissions;
    this.#send(ACK);
  }

  onPublish(name: string, message: Uint8Array): void {
    if (this.#state === "open") this.#publish(name, message, undefined);
  }

  onPublishForReceipt(name: string, message: Uint8Array): void {
    if (this.#state !== "open") return;
    const owed: OwedReceipt = { micros: 0, receipt: undefined };
    this.#publish(name, message, owed);
  }

  // What its topics tell.

  deliver(chunk: SharedChunk): Pace {
    if (this.#state !== "open") return "keeps_up";
    this.#context.counters.writes++;
    if (this.#outbox.send(chunk)) return "keeps_up";
    this.#enforceLimit();
    if (this.#state !== "open" || !this.#outbox.holdsPublishers()) return "keeps_up";
    return this.#outbox.hasTakenSome ? "behind" : "behind_unproven";
  }

  get gate(): Gate | undefined {
    if (this.#state !== "open" || !this.#outbox.holdsPublishers()) return undefined;
    return this.#lagGate ??= new Gate(this.#context.runtime);
  }

  get hasUnsent(): boolean {
    return !this.#outbox.isEmpty;
  }

  /** The gate has opened. */
  resume(): void {
    if (this.#waitsAt === undefined) return;
    const { clock, throttle } = this.#context;
    if (this.#waitsAt === throttle.gate && throttle.isOver(this.#publishes)) {
      throttle.gate.wait(this);
      return;
    }
    this.#waitsAt = undefined;
    // The time in which the server read nothing doesn't count as the client's silence.
    this.#heardMs = this.#publishedMs = clock.nowMs;
    if (!this.#decoder.completedFrame) this.#stateSinceMs = clock.nowMs;
    this.#readDeferredWithinRate();
    if (this.#waitsAt !== undefined || this.#waitIfHeld()) return;
    this.#connection.resumeReading();
  }

  // What the server tells.

  /** Looks at the deadlines. To be called about once a sweep. */
  sweep(nowMs: number): void {
    switch (this.#state) {
      case "securing": {
        const { idleMs } = this.#context.limits;
        if (nowMs - this.#stateSinceMs >= idleMs) {
          this.end("idle_timeout", `No TLS handshake within ${idleMs / 1000} s`);
        }
        return;
      }
      case "open":
        this.#sweepOutbox(nowMs);
        if (this.#state === "open" && this.#waitsAt === undefined) this.#sweepSilence(nowMs);
        return;
      case "ending": {
        const health = this.#outbox.health(nowMs);
        if (health === "past_write_deadline" || health === "past_soft_limit") {
          this.#connection.destroy();
        }
        return;
      }
      case "closing":
        if (nowMs - this.#stateSinceMs >= CLOSE_LINGER_MS) this.#connection.destroy();
        return;
      case "gone":
        return;
    }
  }

  /** True for a reader that has taken no byte for the time given although some wait for it. */
  isStalledFor(ms: number): boolean {
    return !this.#outbox.isEmpty && this.#context.clock.nowMs - this.#outbox.progressMs >= ms;
  }

  /** True for a client whose unfinished frame has held memory for the time given. */
  hoardsFor(ms: number): boolean {
    if (this.#state !== "open" || this.#heldInputBytes === 0 || this.isWaiting) return false;
    const sinceMs = Math.max(this.#heldInputSinceMs, this.#publishedMs);
    return this.#context.clock.nowMs - sinceMs >= ms;
  }

  /** Ends a slow consumer whose memory is needed: all that waits for it is dropped at once. */
  evict(detail: string): void {
    if (this.#state === "open") this.#evict(detail, true);
    else this.#giveUp();
  }

  /** Sends what is queued, then an error frame, and closes. */
  end(code: ErrorCode, message: string): void {
    if (this.#state === "open") return this.#beginEnding(code, message);
    if (this.#state !== "securing") return;
    // There is nobody yet to tell it to.
    this.#setState("ending");
    this.#context.onEnding(this, code, 0, message);
    this.#connection.destroy();
  }

  /** Gives up on the connection. */
  destroy(): void {
    this.#connection.destroy();
  }

  #read(chunk: Uint8Array): void {
    try {
      this.#decoder.push(chunk, this);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.end(error.code, error.message);
    }
    this.#holdInput(this.#state === "open" ? this.#decoder.heldBytes : 0);
  }

  /** Reads as much of a chunk as may be published now, and defers the rest. */
  #readWithinRate(chunk: Uint8Array): void {
    const { throttle } = this.#context;
    let rest = chunk;
    for (;;) {
      const bytes = throttle.bytesWithin(this.#publishes);
      if (rest.byteLength <= bytes) return this.#read(rest);
      this.#read(rest.subarray(0, bytes));
      if (this.#state !== "open") return;
      rest = rest.subarray(bytes);
      if (!throttle.isOver(this.#publishes)) continue;
      this.#waitAt(throttle.gate);
      return this.#defer(rest.slice());
    }
  }

  #publish(name: string, message: Uint8Array, owed: OwedReceipt | undefined): void {
    const { topics, timestamps, counters, backplane, throttle, clock } = this.#context;
    this.#checkPermission(PUBLISH, "publish");
    this.#checkTopic(name, "bad_message");
    (this.#publishes ??= throttle.newBucket()).take(clock.nowMs);
    const micros = timestamps.next();
    if (owed !== undefined) {
      owed.micros = micros;
      (this.#owed ??= new Set()).add(owed);
    }
    counters.messagesIn++;
    this.#isPublisher = true;
    this.#publishedMs = clock.nowMs;
    if (backplane !== undefined) backplane.forward(name, micros, message);
    const topic = topics.find(name);
    if (topic === undefined) {
      if (owed !== undefined) this.#giveReceipt(owed, NOBODY);
      return;
    }
    if (owed === undefined) topic.publish(micros, message);
    else {
      topic.publishForReceipt(micros, message, (receipt) => this.#giveReceipt(owed, receipt));
    }
    if (this.#publishesTo?.gate === undefined) this.#publishesTo = topic;
  }

  /** Receipts go out in the order of their messages, whichever topic is the first. */
  #giveReceipt(owed: OwedReceipt, receipt: Receipt): void {
    owed.receipt = receipt;
    for (const next of this.#owed ?? []) {
      if (next.receipt === undefined) return;
      this.#owed?.delete(next);
      if (this.#state !== "open") continue;
      this.#context.counters.receipts++;
      this.#send(encodeReceipt(next.micros, next.receipt));
    }
  }

  #defer(chunk: Uint8Array): void {
    this.#deferred ??= [];
    this.#deferred.push(chunk);
    this.#holdInput(this.#heldInputBytes + chunk.byteLength);
  }

  #readDeferred(): void {
    const deferred = this.#deferred;
    if (deferred === undefined) return;
    this.#deferred = undefined;
    for (const chunk of deferred) if (this.#state === "open") this.#read(chunk);
  }

  #readDeferredWithinRate(): void {
    const deferred = this.#deferred;
    if (deferred === undefined) return;
    this.#deferred = undefined;
    for (const chunk of deferred) {
      if (this.#state !== "open") return;
      if (this.#waitsAt === undefined) this.#readWithinRate(chunk);
      else this.#defer(chunk);
    }
  }

  #checkPermission(permission: Permissions, action: string): void {
    if ((this.#permissions & permission) !== 0) return;
    throw new ProtocolError("forbidden", `This client may not ${action} here`);
  }

  /** Holds a topic to this server's limit, where that is lower than the protocol's. */
  #checkTopic(name: string, code: ErrorCode): void {
    const { maxTopicBytes } = this.#context.limits;
    if (maxTopicBytes >= MAX_TOPIC_BYTES || utf8.encode(name).length <= maxTopicBytes) return;
    throw new ProtocolError(code, `A topic is at most ${maxTopicBytes} bytes here`);
  }

  /** Accounts for the memory that this client's input holds. */
  #holdInput(bytes: number): void {
    if (bytes === this.#heldInputBytes) return;
    const { budget, clock } = this.#context;
    if (this.#heldInputBytes === 0) this.#heldInputSinceMs = clock.nowMs;
    budget.release(this.#heldInputBytes);
    budget.hold(bytes);
    this.#heldInputBytes = bytes;
  }

  /** Stops reading a publisher whose topic, or the server as a whole, can't take more just now. */
  #waitIfHeld(): boolean {
    if (!this.#isPublisher || this.#state !== "open") return false;
    const { budget, budgetGate, backplane, throttle } = this.#context;
    const gate = budget.isTight ? budgetGate : this.#publishesTo?.gate ?? backplane?.gate ??
      (throttle.isOver(this.#publishes) ? throttle.gate : undefined);
    if (gate === undefined) return false;
    this.#waitAt(gate);
    return true;
  }

  #waitAt(gate: Gate): void {
    const { counters, throttle } = this.#context;
    this.#connection.pauseReading();
    this.#waitsAt = gate;
    counters.publisherPauses++;
    gate.wait(this);
    if (gate !== throttle.gate) return;
    counters.ratePauses++;
    if (this.#hasBeenThrottled) return;
    this.#hasBeenThrottled = true;
    this.#context.onThrottled(this);
  }

  #stopWaiting(): void {
    this.#waitsAt?.leave(this);
    this.#waitsAt = undefined;
  }

  #openLagGate(): void {
    this.#lagGate?.open();
    this.#lagGate = undefined;
  }

  #sweepOutbox(nowMs: number): void {
    const health = this.#outbox.health(nowMs);
    if (health === "fine") {
      if (this.#outbox.hasHeldTooLong) this.#openLagGate();
      return;
    }
    const { limits } = this.#context;
    if (health === "past_write_deadline") {
      this.#evict(`No byte taken for ${limits.writeDeadlineMs / 1000} s`, true);
    } else if (health === "past_soft_limit") {
      const bytes = this.#outbox.pendingBytes;
      this.#evict(`${bytes} bytes wait, for ${limits.softPendingMs / 1000} s too many`, false);
    } else {
      this.#openLagGate();
    }
  }

  #sweepSilence(nowMs: number): void {
    const { limits } = this.#context;
    if (!this.#decoder.completedFrame) {
      if (nowMs - this.#stateSinceMs >= limits.idleMs) {
        this.end("idle_timeout", `No complete frame within ${limits.idleMs / 1000} s`);
      }
    } else if (this.#decoder.awaitsTerminator) {
      // Whitespace behind MESSAGE is no sign that more is to come. The coarse clock may be a sweep
      // behind, which would be a quarter of so short a time.
      const lingeredMs = nowMs - this.#publishedMs - SWEEP_INTERVAL_MS;
      if (lingeredMs >= PUBLISHER_LINGER_MS) this.#beginEnding("published", "");
    } else if (this.#pingedMs !== 0) {
      if (nowMs - this.#pingedMs >= limits.idleMs) {
        this.end("idle_timeout", `Nothing came for ${limits.idleMs / 1000} s after a PING`);
      }
    } else if (nowMs - this.#heardMs >= limits.pingAfterMs) {
      this.#pingedMs = nowMs;
      this.#context.counters.writes++;
      this.#send(PING);
    }
  }

  /** Sends a reply; replies that nobody reads are no better than messages. */
  #send(bytes: Uint8Array): void {
    if (this.#outbox.send(new SharedChunk(bytes, this.#context.budget))) return;
    if (this.#state === "open") this.#enforceLimit();
  }

  /** Evicts a client for which more waits than may. */
  #enforceLimit(): void {
    const { pendingBytes } = this.#outbox;
    const { maxPendingBytes } = this.#context.limits;
    if (pendingBytes <= maxPendingBytes) return;
    this.#evict(`${pendingBytes} bytes wait, ${maxPendingBytes} may`, false);
  }

  /** What has been accepted so far is still delivered, then `reason`, then FIN. */
  #beginEnding(reason: EndReason, detail: string): void {
    this.#leaveTopics(true);
    // Delivering may have passed a limit and ended it harder.
    if (this.#state !== "open") return;
    this.#stopWaiting();
    this.#setState("ending");
    this.#context.onEnding(this, reason, this.#outbox.pendingBytes, detail);
    this.#sendLastWords(reason, detail);
  }

  /** A slow consumer: it loses its queue, and the error frame too where it takes nothing. */
  #evict(detail: string, takesNothing: boolean): void {
    const { pendingBytes } = this.#outbox;
    this.#stopWaiting();
    this.#setState("ending");
    this.#leaveTopics(false);
    this.#context.onEnding(this, "slow_consumer", pendingBytes, detail);
    this.#outbox.dropQueue();
    if (takesNothing) this.#giveUp();
    else this.#sendLastWords("slow_consumer", detail);
  }

  /** Frees the memory at once, so that whoever needs it need not take it from others too. */
  #giveUp(): void {
    this.#connection.destroy();
    this.#outbox.discard();
  }

  #sendLastWords(reason: EndReason, detail: string): void {
    this.#openLagGate();
    this.#deferred = undefined;
    this.#holdInput(0);
    if (isErrorCode(reason)) {
      this.#send(encodeError(this.#context.timestamps.next(), reason, detail));
    }
    this.#connection.resumeReading();
    if (this.#outbox.isEmpty) this.#close();
  }

  #leaveTopics(deliverRest: boolean): void {
    const subscriptions = this.#subscriptions;
    this.#subscriptions = NO_SUBSCRIPTIONS;
    this.#context.counters.subscriptions -= subscriptions.length;
    for (const subscription of subscriptions) {
      subscription.topic.unsubscribe(subscription, deliverRest);
    }
  }

  #close(): void {
    this.#setState("closing");
    this.#connection.close();
  }

  #setState(state: SessionState): void {
    this.#state = state;
    this.#stateSinceMs = this.#context.clock.nowMs;
  }
}
