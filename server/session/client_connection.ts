import type { TransportEnd } from "../../runtime/types.ts";
import { encodeError } from "../../protocol/encoder.ts";
import type { ErrorCode } from "../../protocol/errors.ts";
import { type EndReason, isErrorCode } from "../counters.ts";
import { CLOSE_LINGER_MS, STALL_MS } from "../limits/clients.ts";
import { OutboundConnection } from "./outbound_connection.ts";

/** Logged when a client's unfinished handshake holds memory that others need. */
const HOARDED_HANDSHAKE = "Memory is too short for a handshake that takes so long";

/**
 * The life of one client's connection: its handshake, its deadlines, and the ways in which it ends.
 * {@linkcode Session} inherits from it and handles what the client says: one object for all of these keeps
 * the memory of an idle connection small.
 */
export abstract class ClientConnection extends OutboundConnection {
  /** True if the client is of 2009: it gets no error frame, which would crash it. */
  protected abstract get isLegacy(): boolean;
  /** Checks the deadlines for silence of an open client. */
  protected abstract sweepSilence(nowMs: number): void;
  /** Ends all subscriptions; `deliverRest` delivers what was accepted so far first. */
  protected abstract leaveTopics(deliverRest: boolean): void;
  /** Drops the bytes that arrived but weren't read, and frees their memory. */
  protected abstract stopListening(): void;

  /** True while the server reads the client's frames or its handshake. */
  get isHeard(): boolean {
    return this.state === "open" || this.state === "securing";
  }

  /** Begins with the connection's handshake: no frame is sent or read before it has succeeded. */
  awaitHandshake(): void {
    this.setState("securing");
  }

  // Called by the connection.

  onEnd(): void {
    if (this.state === "open") this.beginEnding("client_closed", "");
  }

  onClose(why: TransportEnd, cause?: Error): void {
    const detail = cause?.message ?? "";
    if (this.state === "open") {
      const { pendingBytes, topicNames: topics } = this;
      this.leaveTopics(false);
      const reason = why === "finished" ? "client_closed" : "connection_lost";
      this.#reportEnd(reason, pendingBytes, topics, detail);
    } else if (this.state === "securing") {
      this.#reportEnd("handshake_failed", 0, [], detail);
    }
    this.setState("gone");
    this.stopListening();
    this.outbox.discard();
  }

  // Called by the server.

  /** Checks the deadlines; called in each of the sweeper's rounds. */
  sweep(nowMs: number): void {
    switch (this.state) {
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
        const health = this.outbox.health(nowMs, this.outbox.pendingBytes);
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

  /** Ends a slow consumer to free its memory: everything that waits for it is dropped at once. */
  evict(detail: string): void {
    if (this.state === "open") this.#drop("slow_consumer", detail);
    else this.#giveUp();
  }

  /** Ends the session because the server stops; tells the client to come back after `retryAfterMs`. */
  shutDown(retryAfterMs: number): void {
    this.end("server_shutdown", "The server is stopping", retryAfterMs);
  }

  /** Sends what is queued, then an error frame (not to a client of 2009), and closes. */
  end(code: ErrorCode, message: string, retryAfterMs?: number): void {
    if (this.state === "open") return this.beginEnding(code, message, retryAfterMs);
    this.#endHandshake(code, message);
  }

  /**
   * Ends the client because its incomplete input holds memory that others need.
   *
   * @param message The error frame's text; a client in its handshake gets none.
   */
  giveUpInput(message: string): void {
    if (this.state === "open") this.beginEnding("frame_too_large", message);
    else this.#endHandshake("handshake_failed", HOARDED_HANDSHAKE);
  }

  #endHandshake(reason: EndReason, detail: string): void {
    if (this.state !== "securing") return;
    // Before the handshake has succeeded no error frame can be sent.
    this.setState("ending");
    this.#reportEnd(reason, 0, [], detail);
    this.#giveUp();
  }

  /**
   * Ends the session to make room for another one. The client gets an error frame if nothing waits
   * for it; its descriptor is freed without waiting for the peer.
   */
  yieldPlace(code: ErrorCode, message: string): void {
    if (this.state !== "open") return this.end(code, message);
    if (!this.outbox.flush()) return this.#drop(code, message);
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
    if (this.state !== "securing") return false;
    this.setState("open");
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
    if (this.state !== "open") return;
    this.leaveTopics(true);
    // Delivering may have passed a limit and ended it harder.
    if (this.state !== "open") return;
    this.setState(how);
    this.#reportEnd(reason, this.outbox.pendingBytes, topics, detail);
    this.#sendLastWords(reason, detail, retryAfterMs);
  }

  protected dropSlow(detail: string): void {
    this.#forsake("slow_consumer", detail);
    this.outbox.dropQueue();
    this.#sendLastWords("slow_consumer", detail);
  }

  /** Ends the session at once, and drops everything that waits for the peer. */
  #drop(reason: EndReason, detail: string): void {
    this.#forsake(reason, detail);
    this.#giveUp();
  }

  /** Begins to end the session without delivering anything more. */
  #forsake(reason: EndReason, detail: string): void {
    const { pendingBytes, topicNames: topics } = this;
    this.setState("ending");
    this.leaveTopics(false);
    this.#reportEnd(reason, pendingBytes, topics, detail);
  }

  /** Frees the memory at once; else the server, short of memory, would end other clients too. */
  #giveUp(): void {
    this.connection.destroy();
    this.stopListening();
    this.outbox.discard();
  }

  #sendLastWords(reason: EndReason, detail: string, retryAfterMs?: number): void {
    const isTold = isErrorCode(reason) && !this.isLegacy;
    this.stopListening();
    if (isTold) {
      this.sendNow(encodeError(this.context.timestamps.next(), reason, detail, retryAfterMs));
    }
    this.connection.resumeReading();
    if (this.outbox.flush()) this.closeIfDue();
  }

  #sweepOutbox(nowMs: number): void {
    if (!this.outbox.isJudged) return;
    const { pendingBytes } = this;
    const health = this.outbox.health(nowMs, pendingBytes);
    if (health === "fine") return;
    const { catchUps, limits } = this.context;
    if (health === "past_write_deadline") {
      this.#drop("slow_consumer", `No byte taken for ${limits.writeDeadlineMs / 1000} s`);
    } else if (health === "past_soft_limit") {
      this.dropSlow(`${pendingBytes} bytes wait, for ${limits.softPendingMs / 1000} s too many`);
    } else if (pendingBytes > limits.maxPendingBytes) {
      this.fallBehind("too_far");
    } else {
      catchUps.onStall(this);
    }
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

  /** Closes our side once everything is sent, if the session is ending. */
  protected closeIfDue(): void {
    const state = this.state;
    if (state !== "ending" && state !== "yielding") return;
    this.setState("closing");
    if (state === "yielding") this.connection.release();
    else this.connection.close();
  }
}
