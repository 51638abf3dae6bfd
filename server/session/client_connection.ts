import type { Connection, TransportEnd } from "../../runtime/types.ts";
import { encodeError } from "../../protocol/encoder.ts";
import type { ErrorCode } from "../../protocol/errors.ts";
import { type EndReason, isErrorCode } from "../counters.ts";
import { Gate } from "../flow/gate.ts";
import type { Holder } from "../shares/holder.ts";
import { CLOSE_LINGER_MS, STALL_MS } from "../limits/clients.ts";
import { Outbox } from "../flow/outbox.ts";
import type { SessionContext } from "./session_context.ts";
import type { DueConnection } from "../flow/due_writes.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";
import type { Lag, Subscriber } from "../topics/subscriber.ts";

/** Logged when a client's unfinished handshake holds memory that others need. */
const HOARDED_HANDSHAKE = "Memory is too short for a handshake that takes so long";

/**
 * - `securing`: waits for the connection's handshake: that of TLS, that of a WebSocket, or both.
 * - `open`: reads and writes.
 * - `ending`: reads no more; queued bytes still go out.
 * - `yielding`: as `ending`, but doesn't wait for the peer, since another client needs the descriptor.
 * - `closing`: our side is closed; waits for the peer to close.
 * - `gone`: the connection is closed.
 */
type ClientState = "securing" | "open" | "ending" | "yielding" | "closing" | "gone";

/**
 * The outgoing side of one client's connection: it sends, watches how fast the client takes what is
 * sent, and ends the connection. {@linkcode Session} inherits from it and handles what the client
 * says: one object for both keeps the memory of an idle connection small.
 */
export abstract class ClientConnection implements Subscriber, DueConnection {
  /** Index in the server's table; only the table writes it. */
  slot = -1;
  /** The address that its connection and topics count for, and its slot there; see `Occupant`. */
  holder: Holder | undefined;
  holderSlot = -1;
  protected readonly connection: Connection;
  protected readonly context: SessionContext;
  readonly #outbox: Outbox;
  #state: ClientState = "open";
  /** Time on the coarse clock at which the state began, or a wait that the server imposed ended. */
  protected stateSinceMs: number;
  /** Publishers wait here while this client lags as a subscriber. */
  #lagGate: Gate | undefined;
  readonly #acceptedMs: number;

  constructor(connection: Connection, context: SessionContext) {
    this.connection = connection;
    this.context = context;
    this.#outbox = new Outbox(connection, context);
    this.stateSinceMs = this.#acceptedMs = context.clock.nowMs;
  }

  /** True if the client is of 2009: it gets no error frame, which would crash it. */
  protected abstract get isLegacy(): boolean;
  /** Checks the deadlines for silence of an open client. */
  protected abstract sweepSilence(nowMs: number): void;
  /** True if several topics may have messages for the client at the same time. */
  protected abstract get hasSeveralTopics(): boolean;
  /** Ends all subscriptions; `deliverRest` delivers what was accepted so far first. */
  protected abstract leaveTopics(deliverRest: boolean): void;
  /** Names of the client's topics, the oldest subscription first. */
  abstract get topicNames(): readonly string[];
  /** Drops the bytes that arrived but weren't read, and frees their memory. */
  protected abstract stopListening(): void;

  /** The peer's IP address; empty on a Unix socket. */
  get remoteAddress(): string {
    return this.connection.remoteAddress;
  }

  /** The peer's port; 0 on a Unix socket. */
  get remotePort(): number {
    return this.connection.remotePort;
  }

  /** Bytes that wait for the peer. */
  get pendingBytes(): number {
    return this.#outbox.pendingBytes;
  }

  /** Time on the coarse clock at which the peer last took a byte of what waits for it. */
  get progressMs(): number {
    return this.#outbox.progressMs;
  }

  /** True if the client is subscribed to a topic. Takes as long as it has topics. */
  isSubscribedTo(topic: string): boolean {
    return this.topicNames.includes(topic);
  }

  /** Milliseconds since the connection was accepted, on the coarse clock. */
  get ageMs(): number {
    return this.context.clock.nowMs - this.#acceptedMs;
  }

  /** True while the server reads the client's frames. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** True while the server reads the client's frames or its handshake. */
  get isHeard(): boolean {
    return this.#state === "open" || this.#state === "securing";
  }

  /** Begins with the connection's handshake: no frame is sent or read before it has succeeded. */
  awaitHandshake(): void {
    this.#setState("securing");
  }

  /** Sends a reply, or joins it with others. Replies count towards the pending limit as messages do. */
  send(bytes: Uint8Array): void {
    const { replies } = this.context;
    if (replies.isFor(this)) replies.append(bytes);
    else this.#sendNow(bytes);
  }

  /**
   * Joins replies until {@linkcode endReplies}.
   *
   * @returns False if replies are being joined already, for this client or another.
   */
  beginReplies(): boolean {
    return this.context.replies.begin(this);
  }

  /**
   * Sends the joined replies, and joins no more.
   *
   * @param mayWait True if more that the client has asked for is about to be read, so that replies to that
   * can share a write with these.
   */
  endReplies(mayWait = false): void {
    const { replies } = this.context;
    if (!replies.isFor(this)) return;
    const bytes = replies.take();
    if (bytes !== undefined && this.#state === "open") this.#sendReplies(bytes, mayWait);
    replies.end();
  }

  /** Sends the replies joined so far, so that they come before what is sent next. */
  protected flushReplies(): void {
    const { replies } = this.context;
    const bytes = replies.isFor(this) ? replies.take() : undefined;
    // An eviction in between drops them with everything else.
    if (bytes !== undefined && this.#state === "open") this.#sendNow(bytes);
  }

  /** The frames in a chunk that is delivered. */
  protected framesOf(chunk: SharedChunk): Uint8Array {
    return chunk.bytes;
  }

  /** The form in which frames go to the connection. */
  protected wireForm(frames: Uint8Array): Uint8Array {
    return frames;
  }

  #sendNow(bytes: Uint8Array): void {
    this.#sendReplies(bytes, false);
  }

  #sendReplies(bytes: Uint8Array, mayWait: boolean): void {
    this.context.tracer?.sent(this, bytes);
    const chunk = new SharedChunk(this.wireForm(bytes), this.context.budget);
    if (mayWait && this.#gather(chunk)) return;
    if (this.#outbox.send(chunk)) return;
    if (this.#state === "open") this.#enforceLimit();
  }

  /** Leaves a small chunk for a write with others. @returns False if it must be sent now. */
  #gather(chunk: SharedChunk): boolean {
    const isFirst = this.#outbox.isEmpty;
    if (!this.#outbox.gather(chunk)) return false;
    if (isFirst) this.context.dueWrites.add(this);
    return true;
  }

  // Called by its topics.

  deliver(chunk: SharedChunk, mayWait: boolean): Lag {
    if (this.#state !== "open") return "keeps_up";
    if (this.context.tracer !== undefined) this.context.tracer.sent(this, this.framesOf(chunk));
    if (mayWait && this.hasSeveralTopics && this.#gather(chunk)) return "is_due";
    this.context.counters.writes++;
    // A write may count as waiting although the kernel takes it at once. What follows is for clients
    // that are behind.
    if (this.#outbox.send(chunk) || this.#outbox.holdsLittle) return "keeps_up";
    this.#enforceLimit();
    if (this.#state !== "open" || !this.#outbox.holdsPublishers()) return "keeps_up";
    return this.#outbox.hasTakenSome ? "behind" : "behind_unproven";
  }

  fallBehind(): void {
    if (this.#state !== "open") return;
    this.#evict("Older messages that were still to come are no longer stored", false);
  }

  get gate(): Gate | undefined {
    if (this.#state !== "open" || !this.#outbox.holdsPublishers()) return undefined;
    return this.#lagGate ??= new Gate(this.context.runtime, "slow_subscribers");
  }

  get hasUnsent(): boolean {
    return this.#outbox.isInFlight;
  }

  writeDue(): void {
    if (this.#outbox.isEmpty) return;
    this.context.counters.writes++;
    if (this.#outbox.flush()) this.#closeIfDue();
  }

  // Called by the connection.

  onDrain(): void {
    const isEmpty = this.#outbox.drained();
    const { catchUps } = this.context;
    if (!catchUps.isEmpty && !this.hasUnsent) catchUps.onDrain(this);
    if (this.#lagGate !== undefined && this.#outbox.hasCaughtUp) this.#openLagGate();
    if (isEmpty) this.#closeIfDue();
  }

  onEnd(): void {
    if (this.#state === "open") this.beginEnding("client_closed", "");
  }

  onClose(why: TransportEnd, cause?: Error): void {
    const detail = cause?.message ?? "";
    if (this.#state === "open") {
      const topics = this.topicNames;
      this.leaveTopics(false);
      const reason = why === "finished" ? "client_closed" : "connection_lost";
      this.#reportEnd(reason, this.#outbox.pendingBytes, topics, detail);
    } else if (this.#state === "securing") {
      this.#reportEnd("handshake_failed", 0, [], detail);
    }
    this.#setState("gone");
    this.stopListening();
    this.#openLagGate();
    this.#outbox.discard();
  }

  // Called by the server.

  /** Checks the deadlines; called in each of the sweeper's rounds. */
  sweep(nowMs: number): void {
    switch (this.#state) {
      case "securing": {
        const { idleMs } = this.context.limits;
        if (nowMs - this.stateSinceMs >= idleMs) {
          this.end("idle_timeout", `No handshake within ${idleMs / 1000} s`);
        }
        return;
      }
      case "open":
        this.#sweepOutbox(nowMs);
        if (this.isOpen) this.sweepSilence(nowMs);
        return;
      case "yielding":
        if (nowMs - this.stateSinceMs >= STALL_MS) this.connection.destroy();
        return;
      case "ending": {
        const health = this.#outbox.health(nowMs);
        if (health === "past_write_deadline" || health === "past_soft_limit") {
          this.connection.destroy();
        }
        return;
      }
      case "closing":
        if (nowMs - this.stateSinceMs >= CLOSE_LINGER_MS) this.connection.destroy();
        return;
      case "gone":
        return;
    }
  }

  /** Milliseconds since the client took a byte of what waits for it; 0 if nothing does. */
  get stalledMs(): number {
    return this.#outbox.isEmpty ? 0 : this.context.clock.nowMs - this.#outbox.progressMs;
  }

  /** True if bytes wait for the client and it has taken none for `ms` milliseconds. */
  isStalledFor(ms: number): boolean {
    return !this.#outbox.isEmpty && this.context.clock.nowMs - this.#outbox.progressMs >= ms;
  }

  /** Ends a slow consumer to free its memory: everything that waits for it is dropped at once. */
  evict(detail: string): void {
    if (this.#state === "open") this.#evict(detail, true);
    else this.#giveUp();
  }

  /** Ends the session because the server stops; tells the client to come back after `retryAfterMs`. */
  shutDown(retryAfterMs: number): void {
    this.end("server_shutdown", "The server is stopping", retryAfterMs);
  }

  /** Sends what is queued, then an error frame (not to a client of 2009), and closes. */
  end(code: ErrorCode, message: string, retryAfterMs?: number): void {
    if (this.#state === "open") return this.beginEnding(code, message, retryAfterMs);
    this.#endHandshake(code, message);
  }

  /**
   * Ends the client because its incomplete input holds memory that others need.
   *
   * @param message The error frame's text; a client in its handshake gets none.
   */
  giveUpInput(message: string): void {
    if (this.#state === "open") this.beginEnding("frame_too_large", message);
    else this.#endHandshake("handshake_failed", HOARDED_HANDSHAKE);
  }

  #endHandshake(reason: EndReason, detail: string): void {
    if (this.#state !== "securing") return;
    // Before the handshake has succeeded no error frame can be sent.
    this.#setState("ending");
    this.#reportEnd(reason, 0, [], detail);
    this.#giveUp();
  }

  /**
   * Ends the session to make room for another one. The client gets an error frame if nothing waits
   * for it; its descriptor is freed without waiting for the peer.
   */
  yieldPlace(code: ErrorCode, message: string): void {
    if (this.#state !== "open") return this.end(code, message);
    if (!this.#outbox.flush()) return this.#drop(code, message);
    this.beginEnding(code, message, undefined, "yielding");
  }

  /** Closes the connection at once; unsent bytes are lost. */
  destroy(): void {
    this.connection.destroy();
  }

  /**
   * Opens the session once the handshake has succeeded.
   *
   * @returns False if the session has ended meanwhile.
   */
  protected secured(): boolean {
    if (this.#state !== "securing") return false;
    this.#setState("open");
    return true;
  }

  /** Delivers what has been accepted so far, then sends `reason`, then FIN. */
  protected beginEnding(
    reason: EndReason,
    detail: string,
    retryAfterMs?: number,
    how: "ending" | "yielding" = "ending",
  ): void {
    const topics = this.topicNames;
    this.endReplies();
    if (this.#state !== "open") return;
    this.leaveTopics(true);
    // Delivering may have passed a limit and ended it harder.
    if (this.#state !== "open") return;
    this.#setState(how);
    this.#reportEnd(reason, this.#outbox.pendingBytes, topics, detail);
    this.#sendLastWords(reason, detail, retryAfterMs);
  }

  /** Ends a slow consumer and drops its queue. It gets an error frame unless `takesNothing`. */
  #evict(detail: string, takesNothing: boolean): void {
    this.#forsake("slow_consumer", detail);
    this.#outbox.dropQueue();
    if (takesNothing) this.#giveUp();
    else this.#sendLastWords("slow_consumer", detail);
  }

  /** Ends the session at once, and drops everything that waits for the peer. */
  #drop(reason: EndReason, detail: string): void {
    this.#forsake(reason, detail);
    this.#giveUp();
  }

  /** Begins to end the session without delivering anything more. */
  #forsake(reason: EndReason, detail: string): void {
    const { pendingBytes } = this.#outbox;
    const topics = this.topicNames;
    this.#setState("ending");
    this.leaveTopics(false);
    this.#reportEnd(reason, pendingBytes, topics, detail);
  }

  /** Frees the memory at once; else the server, short of memory, would end other clients too. */
  #giveUp(): void {
    this.connection.destroy();
    this.stopListening();
    this.#outbox.discard();
  }

  #sendLastWords(reason: EndReason, detail: string, retryAfterMs?: number): void {
    const isTold = isErrorCode(reason) && !this.isLegacy;
    this.stopListening();
    this.#openLagGate();
    if (isTold) {
      this.#sendNow(encodeError(this.context.timestamps.next(), reason, detail, retryAfterMs));
    }
    this.connection.resumeReading();
    if (this.#outbox.flush()) this.#closeIfDue();
  }

  #sweepOutbox(nowMs: number): void {
    const health = this.#outbox.health(nowMs);
    if (health === "fine") {
      if (this.#outbox.hasHeldTooLong) this.#openLagGate();
      return;
    }
    const { limits } = this.context;
    if (health === "past_write_deadline") {
      this.#evict(`No byte taken for ${limits.writeDeadlineMs / 1000} s`, true);
    } else if (health === "past_soft_limit") {
      const bytes = this.#outbox.pendingBytes;
      this.#evict(`${bytes} bytes wait, for ${limits.softPendingMs / 1000} s too many`, false);
    } else {
      this.#openLagGate();
    }
  }

  /** Evicts the client if more bytes wait for it than the limit allows. */
  #enforceLimit(): void {
    const { pendingBytes } = this.#outbox;
    const { maxPendingBytes } = this.context.limits;
    if (pendingBytes <= maxPendingBytes) return;
    this.#evict(`${pendingBytes} bytes wait, ${maxPendingBytes} may`, false);
  }

  /** Called once, when the session begins to end. */
  protected onEnding(_reason: EndReason): void {}

  #reportEnd(
    reason: EndReason,
    pendingBytes: number,
    topics: readonly string[],
    detail: string,
  ): void {
    this.onEnding(reason);
    this.context.onEnding({
      remoteAddress: this.remoteAddress,
      remotePort: this.remotePort,
      reason,
      pendingBytes,
      topic: topics[0],
      topicCount: topics.length,
      ageMs: this.ageMs,
      detail,
    });
  }

  #openLagGate(): void {
    this.#lagGate?.open();
    this.#lagGate = undefined;
  }

  /** Closes our side once everything is sent, if the session is ending. */
  #closeIfDue(): void {
    const state = this.#state;
    if (state !== "ending" && state !== "yielding") return;
    this.#setState("closing");
    if (state === "yielding") this.connection.release();
    else this.connection.close();
  }

  #setState(state: ClientState): void {
    this.#state = state;
    this.stateSinceMs = this.context.clock.nowMs;
  }
}
