import { joinBytes } from "../../protocol/framing/join_bytes.ts";
import type { Connection } from "../types.ts";
import { encodeFrame, encodeMasked, OPCODES } from "./frames.ts";
import type { WebSocketSide } from "./sides.ts";

/** The most bytes of pongs that wait for a chunk in flight; of more than that, the last one is kept. */
const MAX_PONG_BYTES = 1_024;

/** The bytes that the connection beneath is sending: a chunk of the owner's, or own frames such as pongs. */
type Flight = "nothing" | "chunk" | "own";

/**
 * The sending side of a WebSocket: chunks of its owner, one at a time, and frames of its own, such as
 * pongs. `WebSocketConnection` inherits from it: one object for both keeps a connection small.
 */
export abstract class OutgoingFrames {
  protected readonly plain: Connection;
  protected readonly side: WebSocketSide;
  #flight: Flight = "nothing";
  /** The owner's chunk that waits for own bytes in flight. */
  #waiting: Uint8Array | undefined;
  /** Own bytes that wait for a chunk in flight. */
  #own: Uint8Array | undefined;

  constructor(plain: Connection, side: WebSocketSide) {
    this.plain = plain;
    this.side = side;
  }

  /** True if the connection beneath has sent everything that it was given. */
  protected get hasNothingInFlight(): boolean {
    return this.#flight === "nothing";
  }

  /** True if a chunk of the owner's hasn't been given to the connection beneath. */
  protected get hasWaitingChunk(): boolean {
    return this.#waiting !== undefined;
  }

  /** Bytes of the owner's chunk that aren't sent. */
  protected get unsentChunkBytes(): number {
    if (this.#waiting !== undefined) return this.#waiting.length;
    return this.#flight === "chunk" ? this.plain.unsentBytes : 0;
  }

  /**
   * Writes the owner's chunk.
   *
   * @param isEarly True before the handshake has succeeded: the chunk then waits for {@linkcode sendEarly}.
   * @returns True if the kernel has all of it.
   */
  protected writeChunk(chunk: Uint8Array, isEarly: boolean): boolean {
    // A write beneath that has failed is in flight no more, though the connection's end may come later.
    if (this.unsentChunkBytes > 0) throw new Error("write() while another chunk is in flight");
    if (chunk.length === 0) return true;
    const bytes = this.side.isClient ? encodeMasked(OPCODES.binary, chunk) : chunk;
    if (isEarly || this.#flight === "own") {
      this.#waiting = bytes;
      return false;
    }
    return this.#writeBehindOwn(bytes);
  }

  /** Writes a chunk, in one write with own bytes that wait, such as a handshake's answer. */
  #writeBehindOwn(bytes: Uint8Array): boolean {
    const own = this.#own;
    this.#own = undefined;
    if (this.plain.write(own === undefined ? bytes : joinBytes(own, bytes))) return true;
    this.#flight = "chunk";
    return false;
  }

  /** Sends own bytes. To be called only if nothing is in flight. */
  protected sendOwn(bytes: Uint8Array): void {
    if (!this.plain.write(bytes)) this.#flight = "own";
  }

  /** Keeps a handshake's answer for the write of the owner's first chunk. */
  protected keepAnswer(answer: Uint8Array | undefined): void {
    this.#own = answer;
  }

  /**
   * Sends what was kept during the handshake.
   *
   * @returns True if the kernel has all of the owner's chunk, which had to wait.
   */
  protected sendEarly(): boolean {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) return this.#writeBehindOwn(waiting);
    const own = this.#own;
    this.#own = undefined;
    if (own !== undefined) this.sendOwn(own.slice());
    return false;
  }

  /** Sends the answer to a ping, now or behind what is in flight. One that waits may be left out then. */
  protected sendPong(payload: Uint8Array): void {
    const pong = this.#frame(OPCODES.pong, payload);
    if (this.#flight === "nothing") return this.sendOwn(pong);
    const own = this.#own;
    const hasRoom = own !== undefined && own.length + pong.length <= MAX_PONG_BYTES;
    this.#own = hasRoom ? joinBytes(own, pong) : pong;
  }

  /** Sends the close frame, behind own bytes that wait. To be called only if nothing is in flight. */
  protected sendClose(payload: Uint8Array): void {
    const bytes = this.#frame(OPCODES.close, payload);
    if (this.#own === undefined) this.sendOwn(bytes);
    else this.#writeBehindOwn(bytes);
  }

  #frame(opcode: number, payload: Uint8Array): Uint8Array {
    return this.side.isClient ? encodeMasked(opcode, payload) : encodeFrame(opcode, payload);
  }

  /** Notes that the connection beneath has sent everything. @returns What it has sent. */
  protected endFlight(): Flight {
    const flight = this.#flight;
    this.#flight = "nothing";
    return flight;
  }

  /**
   * Sends what waits, after a flight has ended.
   *
   * @param isEarly See {@linkcode writeChunk}.
   * @returns True if the kernel has all of a chunk of the owner's that had to wait.
   */
  protected sendNext(isEarly: boolean): boolean {
    const own = this.#own;
    this.#own = undefined;
    if (own !== undefined) this.sendOwn(own);
    const waiting = this.#waiting;
    if (waiting === undefined || this.#flight !== "nothing" || isEarly) return false;
    this.#waiting = undefined;
    return this.#writeBehindOwn(waiting);
  }

  /** Drops the owner's chunk that waits. */
  protected dropChunk(): void {
    this.#waiting = undefined;
  }

  /** Drops everything that waits. */
  protected dropUnsent(): void {
    this.#waiting = this.#own = undefined;
  }
}
