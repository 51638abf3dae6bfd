/**
 * The handler of one bot's connection.
 *
 * @module
 */

import { joinBytes } from "../../protocol/framing/join_bytes.ts";
import type { Connection, ConnectionHandler } from "../../runtime/types.ts";
import type { Dialect } from "../dialects/dialect.ts";
import type { Expectation } from "./expectation.ts";

/** The server's words to a bot whose connection it is about to close. */
export interface Refusal {
  /** A word or a short text, the same for all bots that are refused for one reason. */
  readonly reason: string;
  /** The full text, for people. */
  readonly text: string;
  /** Milliseconds to wait before coming back; `null` if the server didn't say. */
  readonly retryAfterMs: number | null;
}

/** The events of all bots of a group. `index` says which bot it was. */
export interface BotEvents {
  /** The bytes with which the bot subscribes; `null` for those of the dialect. */
  subscribeOf(index: number): Uint8Array | null;
  /** Takes a frame for itself, lent until this returns. Returns false if the bot is to judge it. */
  takes(index: number, frame: Uint8Array): boolean;
  /** The server has accepted the connection. */
  onGreeted(index: number): void;
  /** The bot is subscribed. */
  onSubscribed(index: number): void;
  /** The server said why it is about to close the connection. */
  onRefused(index: number, refusal: Refusal): void;
  /** The bot is subscribed and received the expected message, byte for byte. */
  onExpected(index: number): void;
  /**
   * The bot received another message, or a frame that doesn't belong there. `frame` is lent until this
   * returns.
   */
  onOther(index: number, frame: Uint8Array, isMessage: boolean): void;
  /** The connection is gone. Comes once, as the last event. */
  onClosed(index: number): void;
}

/** The most bytes kept of an unfinished frame: far more than any message that a bot asks for. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024;

const CONNECTED = -1;
const SUBSCRIBED = 0;

/**
 * A Flash client of 2009 as a connection's handler. Thousands of bots are made, and thousands are woken
 * at the same moment. So a bot has few fields and no closure, timer or decoder, and it only compares
 * bytes when the expected message arrives, however the message was split on its way.
 */
export class Bot implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #dialect: Dialect;
  readonly #events: BotEvents;
  readonly #expectation: Expectation;
  readonly #index: number;
  /** `CONNECTED`, then the number of acknowledgements that are still missing: 0 is `SUBSCRIBED`. */
  #state = CONNECTED;
  /** The beginning of a frame. It is a view of the expected frame while both are the same. */
  #partial: Uint8Array | null = null;
  /** The connection hasn't taken the last chunk completely yet. */
  #writing = false;
  /** The bytes to send after that chunk. */
  #waiting: Uint8Array | null = null;
  #closing = false;

  /**
   * Sends the dialect's opening at once. So make a bot in the function that gives a connection its
   * handler.
   */
  constructor(
    connection: Connection,
    dialect: Dialect,
    events: BotEvents,
    expectation: Expectation,
    index: number,
  ) {
    this.#connection = connection;
    this.#dialect = dialect;
    this.#events = events;
    this.#expectation = expectation;
    this.#index = index;
    this.#send(dialect.opening);
  }

  onData(chunk: Uint8Array): void {
    const before = this.#partial;
    if (this.#state === SUBSCRIBED) {
      const expectation = this.#expectation;
      const matched = expectation.match(before, chunk);
      if (matched === expectation.frame?.length) {
        this.#partial = null;
        return this.#events.onExpected(this.#index);
      }
      if (matched > 0) {
        this.#partial = expectation.beginning(matched);
        return;
      }
    }
    if (before === null) return this.#readFrames(chunk);
    this.#partial = null;
    this.#readFrames(joinBytes(before, chunk));
  }

  #readFrames(bytes: Uint8Array): void {
    let start = 0;
    while (start < bytes.length && !this.#closing) {
      const end = this.#dialect.frameEnd(bytes, start);
      if (end === 0) return this.#keep(bytes, start);
      this.#onFrame(bytes.subarray(start, end));
      start = end;
    }
  }

  #keep(bytes: Uint8Array, start: number): void {
    if (bytes.length - start > MAX_FRAME_BYTES) {
      this.#events.onOther(this.#index, bytes, false);
      this.abandon();
    } else this.#partial = bytes.slice(start);
  }

  #onFrame(frame: Uint8Array): void {
    if (this.#state === SUBSCRIBED && this.#expectation.match(null, frame) === frame.length) {
      return this.#events.onExpected(this.#index);
    }
    if (this.#events.takes(this.#index, frame)) return;
    const kind = this.#dialect.kindOf(frame);
    if (kind === "heartbeat") this.#send(this.#dialect.heartbeatReply);
    else if (kind === "refusal") {
      const dialect = this.#dialect;
      this.#events.onRefused(this.#index, {
        reason: dialect.refusalReason(frame),
        text: dialect.refusalText(frame),
        retryAfterMs: dialect.retryAfterMs?.(frame) ?? null,
      });
    } else if (kind === "greeting" && this.#state === CONNECTED) {
      this.#state = this.#dialect.acknowledgements;
      this.#send(this.#events.subscribeOf(this.#index) ?? this.#dialect.subscribe);
      this.#events.onGreeted(this.#index);
    } else if (kind === "acknowledgement" && this.#state > SUBSCRIBED) {
      if (--this.#state === SUBSCRIBED) this.#events.onSubscribed(this.#index);
    } else this.#events.onOther(this.#index, frame, kind === "message");
  }

  /** Unsubscribes and closes the connection in order. */
  leave(): void {
    if (this.#closing) return;
    if (this.#state === SUBSCRIBED) this.#send(this.#dialect.unsubscribe);
    this.#closing = true;
    if (!this.#writing || this.#waiting === null) this.#connection.close();
  }

  /** Drops the connection without a goodbye. */
  abandon(): void {
    this.#closing = true;
    this.#connection.destroy();
  }

  #send(bytes: Uint8Array): void {
    if (this.#closing) return;
    if (!this.#writing) {
      this.#writing = !this.#connection.write(bytes);
    } else if (this.#waiting === null) this.#waiting = bytes;
    else this.#waiting = joinBytes(this.#waiting, bytes);
  }

  onDrain(): void {
    this.#writing = false;
    const waiting = this.#waiting;
    if (waiting === null) return;
    this.#waiting = null;
    this.#writing = !this.#connection.write(waiting);
    if (this.#closing) this.#connection.close();
  }

  onEnd(): void {
    this.#closing = true;
    this.#connection.close();
  }

  onClose(): void {
    this.#closing = true;
    this.#events.onClosed(this.#index);
  }
}
