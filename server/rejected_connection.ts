import type { Connection, ConnectionHandler } from "../runtime/types.ts";
import { CLOSE_LINGER_MS } from "./limits.ts";

/** A connection beyond the maximum: it's told so, and closed. */
export class RejectedConnection implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #onGone: () => void;
  #seenMs: number | undefined;

  constructor(connection: Connection, onGone: () => void) {
    this.#connection = connection;
    this.#onGone = onGone;
  }

  /** Sends its only frame and closes behind it. */
  refuse(frame: Uint8Array): void {
    this.#connection.write(frame);
    this.#connection.close();
  }

  /** Drops a peer that doesn't close its side either. To be called about once a sweep. */
  sweep(nowMs: number): void {
    this.#seenMs ??= nowMs;
    if (nowMs - this.#seenMs >= CLOSE_LINGER_MS) this.destroy();
  }

  destroy(): void {
    this.#connection.destroy();
  }

  onData(): void {}
  onDrain(): void {}
  onEnd(): void {}

  onClose(): void {
    this.#onGone();
  }
}
