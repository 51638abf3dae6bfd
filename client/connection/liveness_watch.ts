import { PING } from "../../protocol/client_encoder.ts";
import { ConnectionError } from "../api/errors.ts";
import type { Settings } from "../api/options.ts";

/** Milliseconds for a process that was asleep to read what came meanwhile. */
const GRACE_MS = 1_000;

/**
 * So many timeouts may pass without an answer to anything, from a server that gives signs of life. A
 * publisher that sends more than it may is read slowly, so its answers take long too.
 */
const UNANSWERED_TIMEOUTS = 30;

/** The most milliseconds between two looks at what is due. */
const LOOK_MS = 60_000;

/** The connection that a {@linkcode LivenessWatch} watches. */
export interface WatchedConnection {
  send(frame: Uint8Array, isAsking: boolean): void;
  /** The other side is gone, or answers nothing. */
  onDead(why: ConnectionError): void;
  /** A reader takes nothing, and may wait for an answer that can't be read. */
  onUnreadAnswer(): void;
}

/** Watches an open connection for signs of life and for answers. */
export class LivenessWatch {
  readonly #settings: Settings;
  readonly #connection: WatchedConnection;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isPaused = false;
  /** The time at which a reader took something last, while paused. */
  #takenMs = 0;
  #heardMs = 0;
  #sentMs = 0;
  /** The time at which something was sent that must be answered, if nothing has come since. */
  #askedMs: number | undefined;
  /** Requests that aren't answered yet. */
  #unanswered = 0;
  /** The time since which one of them is due: that of the last answer, or of the first request behind it. */
  #dueMs = 0;
  #hadGrace = false;

  constructor(settings: Settings, connection: WatchedConnection) {
    this.#settings = settings;
    this.#connection = connection;
  }

  /** For how long nothing came, in milliseconds. */
  get silentMs(): number {
    return performance.now() - this.#heardMs;
  }

  /** True if the server still has to answer something. */
  get isAwaiting(): boolean {
    return this.#unanswered > 0;
  }

  /** True while the connection isn't read. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Forgets what another connection was asked. */
  reset(): void {
    this.stop();
    this.#isPaused = this.#hadGrace = false;
    this.#askedMs = undefined;
    this.#unanswered = 0;
  }

  /** Begins to watch a connection, which has just opened. */
  start(): void {
    this.#sentMs = performance.now();
    this.#look();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** The connection isn't read any more. */
  pause(): void {
    this.#isPaused = true;
    this.#takenMs = performance.now();
    this.#look();
  }

  /** The connection is read again. */
  resume(): void {
    this.#isPaused = this.#hadGrace = false;
    this.#heardMs = this.#dueMs = performance.now();
    this.#look();
  }

  /** A reader has taken something. */
  noteTaken(): void {
    if (this.#isPaused) this.#takenMs = performance.now();
  }

  noteHeard(): void {
    this.#heardMs = performance.now();
    this.#askedMs = undefined;
  }

  /** Notes that a frame is sent. @param isAsking True if it must be answered. */
  noteSent(isAsking: boolean): void {
    this.#sentMs = performance.now();
    if (!isAsking) return;
    this.#askedMs ??= this.#sentMs;
    if (this.#unanswered++ === 0) this.#dueMs = this.#sentMs;
  }

  /** Notes that what was heard last is an answer. */
  noteAnswer(): void {
    this.#unanswered--;
    this.#dueMs = this.#heardMs;
  }

  #look(): void {
    clearTimeout(this.#timer);
    const { pingAfter, timeout } = this.#settings;
    const nowMs = performance.now();
    if (this.#isPaused) {
      if (this.isAwaiting && nowMs > this.#takenMs + timeout) {
        return this.#connection.onUnreadAnswer();
      }
      // The server's PINGs aren't read either: so it is told unasked.
      this.#timer = setTimeout(() => {
        this.#connection.send(PING, false);
        this.#look();
      }, Math.min(pingAfter / 2, timeout + 1));
      return;
    }
    const sinceMs = Math.max(this.#heardMs, this.#askedMs ?? this.#sentMs);
    const silenceLeftMs = sinceMs + pingAfter + timeout - nowMs;
    const answerLeftMs = this.isAwaiting
      ? this.#dueMs + UNANSWERED_TIMEOUTS * timeout - nowMs
      : Infinity;
    const leftMs = Math.min(silenceLeftMs, answerLeftMs);
    if (leftMs > 0) {
      this.#hadGrace = false;
      // Something may be asked meanwhile.
      const waitMs = Math.min(leftMs, UNANSWERED_TIMEOUTS * timeout, LOOK_MS);
      this.#timer = setTimeout(() => this.#look(), waitMs + 1);
    } else if (!this.#hadGrace) {
      this.#hadGrace = true;
      this.#timer = setTimeout(() => this.#look(), Math.min(GRACE_MS, timeout));
    } else if (silenceLeftMs <= 0) {
      const ms = Math.round(nowMs - this.#heardMs);
      const why = `Nothing has come from the server for ${ms} ms`;
      this.#connection.onDead(new ConnectionError(why));
    } else {
      const ms = Math.round(nowMs - this.#dueMs);
      const why = `The server hasn't answered anything for ${ms} ms`;
      this.#connection.onDead(new ConnectionError(why));
    }
  }
}
