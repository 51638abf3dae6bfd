/**
 * One side of a connection under test, which watches over the contract while it plays its part.
 *
 * @module
 */

import type { Connection, ConnectionHandler, TransportEnd } from "../../runtime/types.ts";
import { join } from "./bytes.ts";

/** A test's callbacks for events of a connection. */
export interface Reactions {
  secure?(): void;
  data?(chunk: Uint8Array): void;
  drain?(): void;
  end?(): void;
  close?(): void;
}

/**
 * Records what a connection tells its handler, and each breach of what holds for every connection:
 * no callback from inside a method, no empty chunk, one drain for each `false`, one end at most,
 * one close, and nothing after it.
 */
export class Side implements ConnectionHandler {
  readonly connection: Connection;
  readonly breaches: string[] = [];
  readonly reactions: Reactions = {};
  readonly #chunks: Uint8Array[] = [];
  byteCount = 0;
  drains = 0;
  /** Writes that were answered with `false`. */
  refusals = 0;
  ended = false;
  why: TransportEnd | null = null;
  cause: Error | undefined;
  /** Its answer to the question whether little is expected of the peer. */
  expectsLittle = false;
  /** The number of calls of `onHeld`. */
  helds = 0;
  #inside: string | null = null;
  #closed = false;
  #secured = 0;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  isLight(): boolean {
    return this.expectsLittle;
  }

  /** Everything that arrived. */
  get received(): Uint8Array {
    return join(this.#chunks);
  }

  get unsentBytes(): number {
    return this.connection.unsentBytes;
  }

  write(chunk: Uint8Array): boolean {
    return this.#call("write", () => {
      const done = this.connection.write(chunk);
      if (!done && !this.#closed) this.refusals++;
      return done;
    });
  }

  pauseReading(): void {
    this.#call("pauseReading", () => this.connection.pauseReading());
  }

  resumeReading(): void {
    this.#call("resumeReading", () => this.connection.resumeReading());
  }

  close(): void {
    this.#closed = true;
    this.#call("close", () => this.connection.close());
  }

  release(): void {
    this.#closed = true;
    this.#call("release", () => this.connection.release());
  }

  destroy(): void {
    this.#closed = true;
    this.#call("destroy", () => this.connection.destroy());
  }

  #call<T>(method: string, body: () => T): T {
    const outer = this.#inside;
    this.#inside = method;
    try {
      return body();
    } finally {
      this.#inside = outer;
    }
  }

  onSecure(): void {
    this.#check("onSecure");
    if (++this.#secured > 1) this.breaches.push("onSecure twice");
    if (this.#closed) this.breaches.push("onSecure after close()");
    if (this.byteCount > 0) this.breaches.push("onSecure after onData");
    this.#react(() => this.reactions.secure?.());
  }

  onData(chunk: Uint8Array): void {
    this.#check("onData");
    if (chunk.length === 0) this.breaches.push("onData with nothing");
    if (this.ended) this.breaches.push("onData after onEnd");
    if (this.#closed) this.breaches.push("onData after close()");
    this.#chunks.push(chunk.slice());
    this.byteCount += chunk.length;
    this.#react(() => this.reactions.data?.(chunk));
  }

  onHeld(): void {
    this.#check("onHeld");
    this.helds++;
  }

  onDrain(): void {
    this.#check("onDrain");
    if (++this.drains > this.refusals) this.breaches.push("onDrain without a write to match");
    if (this.unsentBytes !== 0) this.breaches.push("onDrain with unsent bytes");
    this.#react(() => this.reactions.drain?.());
  }

  onEnd(): void {
    this.#check("onEnd");
    if (this.ended) this.breaches.push("onEnd twice");
    if (this.#closed) this.breaches.push("onEnd after close()");
    this.ended = true;
    this.#react(() => this.reactions.end?.());
  }

  onClose(why: TransportEnd, cause?: Error): void {
    this.#check("onClose");
    this.why = why;
    this.cause = cause;
    this.#react(() => this.reactions.close?.());
  }

  #check(callback: string): void {
    if (this.#inside !== null) this.breaches.push(`${callback} from inside ${this.#inside}()`);
    if (this.why !== null) this.breaches.push(`${callback} after onClose`);
  }

  /** A reaction runs outside of any method, even when a breach brought it here. */
  #react(body: () => void): void {
    const outer = this.#inside;
    this.#inside = null;
    try {
      body();
    } finally {
      this.#inside = outer;
    }
  }
}
