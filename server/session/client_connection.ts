import type { Connection, TransportEnd } from "../../runtime/types.ts";
import { encodeError } from "../../protocol/encoder.ts";
import type { ErrorCode } from "../../protocol/errors.ts";
import { type EndReason, isErrorCode } from "../counters.ts";
import { Gate } from "../flow/gate.ts";
import type { Holder } from "../shares/holder.ts";
import { CLOSE_LINGER_MS, STALL_MS } from "../limits.ts";
import { Outbox } from "../flow/outbox.ts";
import type { SessionContext } from "./session_context.ts";
import type { DueConnection } from "../flow/due_writes.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";
import type { Pace, Subscriber } from "../topics/subscriber.ts";

/** What is logged of a client whose unfinished handshake holds memory that others need. */
const HOARDED_HANDSHAKE = "Memory is too short for a handshake that takes so long";

/**
 * - `securing`: waits for the TLS handshake, where there is one.
 * - `open`: reads and writes.
 * - `ending`: reads no more; what is queued still goes out.
 * - `yielding`: the same, and its descriptor is wanted: the peer isn't waited for.
 * - `closing`: our side is closed; waits for the peer's.
 * - `gone`: the connection is no more.
 */
type ClientState = "securing" | "open" | "ending" | "yielding" | "closing" | "gone";

/**
 * The connection to one client: what is sent to it, how well it takes that, and how it ends. What the
 * client says is the {@linkcode Session}'s, which is this one's only heir: one object for a
 * connection, so that an idle one costs little.
 */
export abstract class ClientConnection implements Subscriber, DueConnection {
  /** Where the server keeps this; the server's own. */
  slot = -1;
  /** The address that its places count for, and its slot there; see `Occupant`. */
  holder: Holder | undefined;
  holderSlot = -1;
  protected readonly connection: Connection;
  protected readonly context: SessionContext;
  readonly #outbox: Outbox;
  #state: ClientState = "open";
  /** When the state began, or the server last paused reading in it, on the coarse clock. */
  protected stateSinceMs: number;
  /** Where publishers wait for this client, when it has fallen behind as a subscriber. */
  #lagGate: Gate | undefined;
  readonly #acceptedMs: number;

  constructor(connection: Connection, context: SessionContext) {
    this.connection = connection;
    this.context = context;
    this.#outbox = new Outbox(connection, context);
    this.stateSinceMs = this.#acceptedMs = context.clock.nowMs;
  }

  /** Whether the client is of 2009: it's told no error, which would crash it. */
  protected abstract get isLegacy(): boolean;
  /** Looks at the deadlines of a client that is listened to. */
  protected abstract sweepSilence(nowMs: number): void;
  /** Whether several topics may have something for it at the same time. */
  protected abstract get hasSeveralTopics(): boolean;
  /** Ends all subscriptions. */
  protected abstract leaveTopics(deliverRest: boolean): void;
  /** The topics it's subscribed to, the oldest subscription first. */
  protected abstract get topicNames(): readonly string[];
  /** Drops what has arrived but wasn't read, and frees the memory that it holds. */
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

  /** When the peer last took a byte of what waits for it, on the coarse clock. */
  get progressMs(): number {
    return this.#outbox.progressMs;
  }

  /** Whether the client is listened to. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** The same, if only to its handshake. */
  get isHeard(): boolean {
    return this.#state === "open" || this.#state === "securing";
  }

  /** Waits for the TLS handshake before anything is said. */
  awaitHandshake(): void {
    this.#setState("securing");
  }

  /** Sends a reply, or joins it with others; replies that nobody reads are no better than messages. */
  send(bytes: Uint8Array): void {
    const { replies } = this.context;
    if (replies.isFor(this)) replies.append(bytes);
    else this.#sendNow(bytes);
  }

  /** Joins replies until {@linkcode endReplies}; whether that isn't done already. */
  beginReplies(): boolean {
    return this.context.replies.begin(this);
  }

  /** Sends the replies that were joined; what is sent from now on isn't joined. */
  endReplies(): void {
    if (!this.context.replies.isFor(this)) return;
    this.flushReplies();
    this.context.replies.end();
  }

  /** Sends the replies that were joined so far, before something else is. */
  protected flushReplies(): void {
    const { replies } = this.context;
    const bytes = replies.isFor(this) ? replies.take() : undefined;
    // What is left where an eviction came first goes with the rest.
    if (bytes !== undefined && this.#state === "open") this.#sendNow(bytes);
  }

  #sendNow(bytes: Uint8Array): void {
    if (this.#outbox.send(new SharedChunk(bytes, this.context.budget))) return;
    if (this.#state === "open") this.#enforceLimit();
  }

  // What its topics tell.

  deliver(chunk: SharedChunk, mayWait: boolean): Pace {
    if (this.#state !== "open") return "keeps_up";
    if (mayWait && this.hasSeveralTopics) {
      const isFirst = this.#outbox.isEmpty;
      if (this.#outbox.gather(chunk)) {
        if (isFirst) this.context.dueWrites.add(this);
        return "is_due";
      }
    }
    this.context.counters.writes++;
    // Deno's adapter takes each write as one that waits: what follows is for those that are behind.
    if (this.#outbox.send(chunk) || this.#outbox.holdsLittle) return "keeps_up";
    this.#enforceLimit();
    if (this.#state !== "open" || !this.#outbox.holdsPublishers()) return "keeps_up";
    return this.#outbox.hasTakenSome ? "behind" : "behind_unproven";
  }

  get gate(): Gate | undefined {
    if (this.#state !== "open" || !this.#outbox.holdsPublishers()) return undefined;
    return this.#lagGate ??= new Gate(this.context.runtime);
  }

  get hasUnsent(): boolean {
    return this.#outbox.isInFlight;
  }

  writeDue(): void {
    if (this.#outbox.isEmpty) return;
    this.context.counters.writes++;
    if (this.#outbox.flush()) this.#closeIfDue();
  }

  // What the connection tells.

  onDrain(): void {
    const isEmpty = this.#outbox.drained();
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

  // What the server tells.

  /** Looks at the deadlines. To be called about once a sweep. */
  sweep(nowMs: number): void {
    switch (this.#state) {
      case "securing": {
        const { idleMs } = this.context.limits;
        if (nowMs - this.stateSinceMs >= idleMs) {
          this.end("idle_timeout", `No TLS handshake within ${idleMs / 1000} s`);
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

  /** True for a reader that has taken no byte for the time given although some wait for it. */
  isStalledFor(ms: number): boolean {
    return !this.#outbox.isEmpty && this.context.clock.nowMs - this.#outbox.progressMs >= ms;
  }

  /** Ends a slow consumer whose memory is needed: all that waits for it is dropped at once. */
  evict(detail: string): void {
    if (this.#state === "open") this.#evict(detail, true);
    else this.#giveUp();
  }

  /** Ends the session because the server stops: the client may come back after that time. */
  shutDown(retryAfterMs: number): void {
    this.end("server_shutdown", "The server is stopping", retryAfterMs);
  }

  /** Sends what is queued, then an error frame unless the client is of 2009, and closes. */
  end(code: ErrorCode, message: string, retryAfterMs?: number): void {
    if (this.#state === "open") return this.beginEnding(code, message, retryAfterMs);
    this.#endHandshake(code, message);
  }

  /**
   * Ends a client because what it has sent, and hasn't completed, holds memory that others need.
   *
   * @param message What it's told, unless it's in its handshake.
   */
  giveUpInput(message: string): void {
    if (this.#state === "open") this.beginEnding("frame_too_large", message);
    else this.#endHandshake("handshake_failed", HOARDED_HANDSHAKE);
  }

  #endHandshake(reason: EndReason, detail: string): void {
    if (this.#state !== "securing") return;
    // There is nobody yet to tell it to.
    this.#setState("ending");
    this.#reportEnd(reason, 0, [], detail);
    this.#giveUp();
  }

  /**
   * Ends the session to make room for another one: it's told so where nothing waits for it, and its
   * descriptor is freed without waiting for the peer.
   */
  yieldPlace(code: ErrorCode, message: string): void {
    if (this.#state !== "open") return this.end(code, message);
    if (!this.#outbox.flush()) return this.#drop(code, message);
    this.beginEnding(code, message, undefined, "yielding");
  }

  /** Gives up on the connection. */
  destroy(): void {
    this.connection.destroy();
  }

  /** The handshake has succeeded. False: nobody waits for it any more. */
  protected secured(): boolean {
    if (this.#state !== "securing") return false;
    this.#setState("open");
    return true;
  }

  /** What has been accepted so far is still delivered, then `reason`, then FIN. */
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

  /** A slow consumer: it loses its queue, and the error frame too where it takes nothing. */
  #evict(detail: string, takesNothing: boolean): void {
    this.#forsake("slow_consumer", detail);
    this.#outbox.dropQueue();
    if (takesNothing) this.#giveUp();
    else this.#sendLastWords("slow_consumer", detail);
  }

  /** Ends the session at once, with all that waits for the peer. */
  #drop(reason: EndReason, detail: string): void {
    this.#forsake(reason, detail);
    this.#giveUp();
  }

  /** Begins to end the session; nothing more is delivered. */
  #forsake(reason: EndReason, detail: string): void {
    const { pendingBytes } = this.#outbox;
    const topics = this.topicNames;
    this.#setState("ending");
    this.leaveTopics(false);
    this.#reportEnd(reason, pendingBytes, topics, detail);
  }

  /** Frees the memory at once, so that whoever needs it need not take it from others too. */
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

  /** Evicts a client for which more waits than may. */
  #enforceLimit(): void {
    const { pendingBytes } = this.#outbox;
    const { maxPendingBytes } = this.context.limits;
    if (pendingBytes <= maxPendingBytes) return;
    this.#evict(`${pendingBytes} bytes wait, ${maxPendingBytes} may`, false);
  }

  #reportEnd(
    reason: EndReason,
    pendingBytes: number,
    topics: readonly string[],
    detail: string,
  ): void {
    this.context.onEnding({
      remoteAddress: this.remoteAddress,
      remotePort: this.remotePort,
      reason,
      pendingBytes,
      topic: topics[0],
      topicCount: topics.length,
      ageMs: this.context.clock.nowMs - this.#acceptedMs,
      detail,
    });
  }

  #openLagGate(): void {
    this.#lagGate?.open();
    this.#lagGate = undefined;
  }

  /** Closes our side behind what was sent, where that is what the session waits for. */
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
