import { FirstBytes } from "../../protocol/first_bytes.ts";
import type { Connection, ConnectionHandler } from "../../runtime/types.ts";
import { CLOSE_LINGER_MS, FIRST_BYTES_MS, REFUSED_HANDSHAKE_MS } from "../limits.ts";

/**
 * - `securing`: waits for the TLS handshake.
 * - `undecided`: waits for the first bytes, which tell whether the client is of 2009.
 * - `telling`: its only frame is on its way to the kernel.
 * - `closing`: our side is closed; waits for the peer's.
 * - `leaving`: given up; its descriptor is about to be free.
 */
export type RejectionPhase = "securing" | "undecided" | "telling" | "closing" | "leaving";

/** What a rejected connection needs of the server. */
export interface RejectionHost {
  /** Milliseconds on the coarse clock. */
  readonly nowMs: number;
  /** Gives a new error frame for a connection that was rejected because of `detail`. */
  frameFor(detail: string): Uint8Array;
  /** The connection has gone from one phase into another; `undefined`: it's no more. */
  moved(
    rejected: RejectedConnection,
    from: RejectionPhase,
    to: RejectionPhase | undefined,
  ): void;
}

/** What is looked at of a client's first bytes where there is no time to wait for them. */
const arrived = new Uint8Array(64);

/**
 * A connection that there's no room for. A client of 2009 crashes on an error frame and comes back
 * after a plain close, so its first bytes are waited for before the server says why it closes.
 */
export class RejectedConnection implements ConnectionHandler {
  readonly #connection: Connection;
  readonly #detail: string;
  readonly #host: RejectionHost;
  readonly #firstBytes = new FirstBytes();
  #phase: RejectionPhase;
  #sinceMs: number;
  /** Its descriptor is wanted: it's freed without waiting for the peer's end. */
  #isHurried = false;

  /**
   * @param detail Why there's no room, in a sentence.
   * @param phase `securing` where TLS is spoken, `undecided` elsewhere.
   */
  constructor(
    connection: Connection,
    detail: string,
    phase: "securing" | "undecided",
    host: RejectionHost,
  ) {
    this.#connection = connection;
    this.#detail = detail;
    this.#host = host;
    this.#phase = phase;
    this.#sinceMs = host.nowMs;
  }

  get phase(): RejectionPhase {
    return this.#phase;
  }

  /** Sends an undecided connection its only frame, and closes behind it. */
  tell(): void {
    if (this.#phase !== "undecided") return;
    const isSent = this.#connection.write(this.#host.frameFor(this.#detail));
    this.#connection.close();
    if (!isSent) this.#enter("telling");
    else this.#closed();
  }

  /** Frees the descriptor as soon as the client has its answer; a handshake is given up. */
  hurry(): void {
    this.#isHurried = true;
    if (this.#phase === "closing") this.#release();
    else if (this.#phase === "securing") this.destroy();
    else if (this.#phase === "undecided") {
      const count = this.#connection.takeArrived(arrived);
      this.#firstBytes.push(arrived.subarray(0, count));
      if (this.#firstBytes.verdict === "of_2009") this.#release();
      else this.tell();
    }
  }

  /** Looks at the deadlines. To be called about once a sweep. */
  sweep(nowMs: number): void {
    const ageMs = nowMs - this.#sinceMs;
    if (this.#phase === "undecided") {
      if (ageMs >= FIRST_BYTES_MS) this.tell();
    } else if (ageMs >= (this.#phase === "securing" ? REFUSED_HANDSHAKE_MS : CLOSE_LINGER_MS)) {
      this.destroy();
    }
  }

  /** Whether it has been in its phase for so many milliseconds. */
  isOlderThan(ms: number): boolean {
    return this.#host.nowMs - this.#sinceMs >= ms;
  }

  /** Gives the connection up. */
  destroy(): void {
    if (this.#phase === "leaving") return;
    this.#connection.destroy();
    this.#enter("leaving");
  }

  onSecure(): void {
    if (this.#phase === "securing") this.#enter("undecided");
  }

  onData(chunk: Uint8Array): void {
    if (this.#phase !== "undecided") return;
    this.#firstBytes.push(chunk);
    const { verdict } = this.#firstBytes;
    if (verdict === "of_today") this.tell();
    else if (verdict === "of_2009") {
      this.#connection.close();
      this.#closed();
    }
  }

  onDrain(): void {
    if (this.#phase === "telling") this.#closed();
  }

  onEnd(): void {
    // More won't come, so that it isn't of 2009.
    this.tell();
  }

  onClose(): void {
    this.#host.moved(this, this.#phase, undefined);
  }

  /** The client has its answer: the frame is in the kernel, or there's none for it. */
  #closed(): void {
    if (this.#isHurried) this.#release();
    else this.#enter("closing");
  }

  #release(): void {
    this.#connection.release();
    this.#enter("leaving");
  }

  #enter(phase: RejectionPhase): void {
    const from = this.#phase;
    this.#phase = phase;
    this.#sinceMs = this.#host.nowMs;
    this.#host.moved(this, from, phase);
  }
}
