/**
 * One bot.
 *
 * @module
 */

import type { Connection, ConnectionHandler } from "../../runtime/types.ts";
import type { Dialect } from "../dialects/dialect.ts";
import type { Expectation } from "./expectation.ts";

/** What the server said to a bot whose connection it will close. */
export interface Refusal {
  /** In a word or a short text, the same for all that are refused for one reason. */
  readonly reason: string;
  /** All of it, for people. */
  readonly text: string;
  /** In how many milliseconds to come back; `null` where it didn't say. */
  readonly retryAfterMs: number | null;
}

/** What a bot tells whoever keeps count. Bots are told apart by their index. */
export interface BotKeeper {
  /** The server has accepted the connection. */
  onGreeted(index: number): void;
  /** The bot is subscribed. */
  onSubscribed(index: number): void;
  /** The server said why it will close the connection. */
  onRefused(index: number, refusal: Refusal): void;
  /** The bot, subscribed, has the message that is expected, byte for byte. */
  onExpected(index: number): void;
  /** The bot has some other message, or something where no frame of its kind belongs. */
  onOther(index: number, frame: Uint8Array, isMessage: boolean): void;
  /** The connection is gone: once, last. */
  onClosed(index: number): void;
}

/** What a bot keeps of a frame that doesn't end: far more than any message it asks for. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024;

const CONNECTED = -1;
const SUBSCRIBED = 0;

/**
 * A 2009 flash client as a connection's handler. It is made by the thousand and woken by the thousand
 * in the same moment, so it has few fields and no closure, timer or decoder, and where the expected
 * message arrives it only compares bytes, however the message was split on its way.
 */
export class Bot implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #dialect: Dialect;
  readonly #keeper: BotKeeper;
  readonly #expectation: Expectation;
  readonly #index: number;
  /** `CONNECTED`, then how many acknowledgements are to come, which is 0 when `SUBSCRIBED`. */
  #state = CONNECTED;
  /** The beginning of a frame: a view of the expected one for as long as it is the same. */
  #partial: Uint8Array | null = null;
  /** A chunk is in flight. */
  #writing = false;
  /** What is to be sent after it. */
  #waiting: Uint8Array | null = null;
  #closing = false;

  /** Sends the opening, so it's to be made where a connection is given its handler. */
  constructor(
    connection: Connection,
    dialect: Dialect,
    keeper: BotKeeper,
    expectation: Expectation,
    index: number,
  ) {
    this.#connection = connection;
    this.#dialect = dialect;
    this.#keeper = keeper;
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
        return this.#keeper.onExpected(this.#index);
      }
      if (matched > 0) {
        this.#partial = expectation.beginning(matched);
        return;
      }
    }
    if (before === null) return this.#readFrames(chunk);
    this.#partial = null;
    this.#readFrames(concat(before, chunk));
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
      this.#keeper.onOther(this.#index, bytes, false);
      this.abandon();
    } else this.#partial = bytes.slice(start);
  }

  #onFrame(frame: Uint8Array): void {
    if (this.#state === SUBSCRIBED && this.#expectation.match(null, frame) === frame.length) {
      return this.#keeper.onExpected(this.#index);
    }
    const kind = this.#dialect.kindOf(frame);
    if (kind === "heartbeat") this.#send(this.#dialect.heartbeatReply);
    else if (kind === "refusal") {
      const dialect = this.#dialect;
      this.#keeper.onRefused(this.#index, {
        reason: dialect.refusalReason(frame),
        text: dialect.refusalText(frame),
        retryAfterMs: dialect.retryAfterMs?.(frame) ?? null,
      });
    } else if (kind === "greeting" && this.#state === CONNECTED) {
      this.#state = this.#dialect.acknowledgements;
      this.#send(this.#dialect.subscribe);
      this.#keeper.onGreeted(this.#index);
    } else if (kind === "acknowledgement" && this.#state > SUBSCRIBED) {
      if (--this.#state === SUBSCRIBED) this.#keeper.onSubscribed(this.#index);
    } else this.#keeper.onOther(this.#index, frame, kind === "message");
  }

  /** Unsubscribes and closes, as a client does that has seen enough. */
  leave(): void {
    if (this.#closing) return;
    if (this.#state === SUBSCRIBED) this.#send(this.#dialect.unsubscribe);
    this.#closing = true;
    if (!this.#writing || this.#waiting === null) this.#connection.close();
  }

  /** Drops the connection. */
  abandon(): void {
    this.#closing = true;
    this.#connection.destroy();
  }

  #send(bytes: Uint8Array): void {
    if (this.#closing) return;
    if (!this.#writing) {
      this.#writing = !this.#connection.write(bytes);
    } else if (this.#waiting === null) this.#waiting = bytes;
    else this.#waiting = concat(this.#waiting, bytes);
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
    this.#keeper.onClosed(this.#index);
  }
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
