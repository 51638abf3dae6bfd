import { FirstBytes } from "../../protocol/first_bytes.ts";
import type { Connection, ConnectionHandler } from "../../runtime/types.ts";
import { CLOSE_LINGER_MS, FIRST_BYTES_MS, REFUSED_HANDSHAKE_MS } from "../limits/clients.ts";

/**
 * The phases of a refused connection, in their order.
 *
 * - `securing`: waits for the connection's handshake: that of TLS, that of a WebSocket, or both.
 * - `undecided`: waits for the first bytes, which show whether the client is of 2009.
 * - `telling`: the error frame is on its way to the kernel.
 * - `closing`: our side is closed; waits for the peer to close its own.
 * - `leaving`: destroyed; its descriptor is about to be free.
 */
export type RejectionPhase = "securing" | "undecided" | "telling" | "closing" | "leaving";

/** The parts of the server that a rejected connection uses. */
export interface RejectionHost {
  /** The coarse clock, in milliseconds. */
  readonly nowMs: number;
  /** Makes an error frame whose message is `detail`, in the connection's form. */
  frameFor(detail: string, connection: Connection): Uint8Array;
  /** Called when the connection goes into another phase; with `undefined` when it is closed. */
  moved(
    rejected: RejectedConnection,
    from: RejectionPhase,
    to: RejectionPhase | undefined,
  ): void;
}

/** A buffer for first bytes that the kernel already has, when there is no time to wait. */
const arrived = new Uint8Array(64);

/**
 * A connection for which there is no room. A client of 2009 crashes on an error frame, and comes back after
 * a plain close. So the server waits for the client's first bytes before it says why it closes.
 */
export class RejectedConnection implements ConnectionHandler {
  readonly connection: Connection;
  readonly #detail: string;
  readonly #host: RejectionHost;
  readonly #firstBytes = new FirstBytes();
  #phase: RejectionPhase;
  #sinceMs: number;
  /** True if its descriptor is wanted: it is then freed without waiting for the peer to close. */
  #isHurried = false;

  /**
   * @param detail One sentence that says why there is no room.
   * @param phase `securing` with a handshake, `undecided` without.
   */
  constructor(
    connection: Connection,
    detail: string,
    phase: "securing" | "undecided",
    host: RejectionHost,
  ) {
    this.connection = connection;
    this.#detail = detail;
    this.#host = host;
    this.#phase = phase;
    this.#sinceMs = host.nowMs;
  }

  get phase(): RejectionPhase {
    return this.#phase;
  }

  /** Sends the error frame, and closes after it. Only an undecided connection is told. */
  tell(): void {
    if (this.#phase !== "undecided") return;
    const isSent = this.connection.write(this.#host.frameFor(this.#detail, this.connection));
    this.connection.close();
    if (!isSent) this.#enter("telling");
    else this.#closed();
  }

  /** Frees the descriptor as soon as the client has its answer. A handshake is given up. */
  hurry(): void {
    this.#isHurried = true;
    if (this.#phase === "closing") this.#release();
    else if (this.#phase === "securing") this.destroy();
    else if (this.#phase === "undecided") {
      const count = this.connection.takeArrived(arrived);
      this.#firstBytes.push(arrived.subarray(0, count));
      if (this.#firstBytes.verdict === "of_2009") this.#release();
      else this.tell();
    }
  }

  /** Acts on deadlines that have passed. To be called about once a sweep. */
  sweep(nowMs: number): void {
    const ageMs = nowMs - this.#sinceMs;
    if (this.#phase === "undecided") {
      if (ageMs >= FIRST_BYTES_MS) this.tell();
    } else if (ageMs >= (this.#phase === "securing" ? REFUSED_HANDSHAKE_MS : CLOSE_LINGER_MS)) {
      this.destroy();
    }
  }

  /** True if it has been in its phase for so many milliseconds. */
  isOlderThan(ms: number): boolean {
    return this.#host.nowMs - this.#sinceMs >= ms;
  }

  /** Aborts the connection. */
  destroy(): void {
    if (this.#phase === "leaving") return;
    this.connection.destroy();
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
      this.connection.close();
      this.#closed();
    }
  }

  onDrain(): void {
    if (this.#phase === "telling") this.#closed();
  }

  onEnd(): void {
    // Nothing more will come, so the client isn't of 2009.
    this.tell();
  }

  onClose(): void {
    this.#host.moved(this, this.#phase, undefined);
  }

  /** To be called when the client has its answer: the frame is in the kernel, or it gets none. */
  #closed(): void {
    if (this.#isHurried) this.#release();
    else this.#enter("closing");
  }

  #release(): void {
    this.connection.release();
    this.#enter("leaving");
  }

  #enter(phase: RejectionPhase): void {
    const from = this.#phase;
    this.#phase = phase;
    this.#sinceMs = this.#host.nowMs;
    this.#host.moved(this, from, phase);
  }
}
