/**
 * WebSocket as a layer upon any connection, plain or TLS, on either side.
 *
 * @module
 */

import { joinBytes } from "../../protocol/framing/join_bytes.ts";
import {
  type Connection,
  type ConnectionHandler,
  type TransportEnd,
  TransportError,
} from "../types.ts";
import { closePayload } from "./frames.ts";
import { Ending } from "./ending.ts";
import {
  CLOSE_CODES,
  type FrameReader,
  type FrameSink,
  WebSocketViolation,
} from "./frame_reader.ts";
import { OutgoingFrames } from "./outgoing.ts";
import { IdleFrames } from "./idle_frames.ts";
import type { Handshake, WebSocketHandler, WebSocketSide } from "./sides.ts";

/** Milliseconds to tell a peer why its handshake failed. */
const LAST_WORD_MS = 1_000;

/**
 * `opening` during the handshake; `failing` while the peer is told that it has failed; `closing` from
 * `close()` on; `closed` once the close frame is sent; `gone` once the connection beneath is given up, or
 * has ended.
 */
type State = "opening" | "failing" | "open" | "closing" | "closed" | "gone";

/**
 * A connection that speaks WebSocket over another one, of which it is the owner.
 *
 * A server's chunks must be whole frames already, as `encodeFrame` makes them: so one buffer serves all
 * connections. A client's chunks are any bytes; each is sent as one binary message. What the peer's messages
 * contain is delivered as one stream of bytes.
 */
export class WebSocketConnection extends OutgoingFrames
  implements Connection, ConnectionHandler, FrameSink {
  #handler: WebSocketHandler | undefined;
  #state: State = "opening";
  /** Only during the handshake. */
  #handshake: Handshake | undefined;
  #reader: FrameReader | undefined;
  #isPaused = false;
  /** The received bytes that weren't read yet when reading was paused. */
  #rest: Uint8Array | undefined;
  #ending: Ending | undefined;
  #idleFrames: IdleFrames | undefined;

  constructor(plain: Connection, side: WebSocketSide, handshake: Handshake) {
    super(plain, side);
    this.#handshake = handshake;
  }

  /** Takes the owner. To be called before anything can have happened. */
  start(handler: WebSocketHandler): void {
    this.#handler = handler;
    const opening = this.#handshake?.opening;
    if (opening !== undefined) this.sendOwn(opening);
  }

  /** Hands the connection to another owner. To be called from inside `onSecure`. */
  handTo(handler: WebSocketHandler): void {
    this.#handler = handler;
  }

  get remoteAddress(): string {
    return this.plain.remoteAddress;
  }

  get remotePort(): number {
    return this.plain.remotePort;
  }

  get unsentBytes(): number {
    if (this.#state === "gone") return 0;
    return this.unsentChunkBytes;
  }

  get copiedBytes(): number {
    return this.plain.copiedBytes ?? 0;
  }

  get heldBytes(): number {
    if (this.#state === "gone") return 0;
    return (this.plain.heldBytes ?? 0) + (this.#rest?.length ?? 0) +
      (this.#handshake?.heldBytes ?? 0) + (this.#reader?.heldBytes ?? 0);
  }

  get hasUndelivered(): boolean {
    return this.#rest !== undefined || (this.plain.hasUndelivered ?? false);
  }

  get isPaused(): boolean {
    return this.#isPaused || this.#state !== "open" || this.#isDeaf;
  }

  /** True once everything that the peer sends is ignored. */
  get #isDeaf(): boolean {
    return this.#ending?.isDeaf ?? false;
  }

  /**
   * Sets the code and the reason with which `close()` closes; 1000 unless set. Does nothing after a
   * violation, which has a code of its own.
   *
   * @param reason A word for the peer's developer, 123 bytes at most.
   */
  closeWith(code: number, reason: string): void {
    const ending = this.#ending ??= new Ending();
    if (ending.isOfViolation) return;
    ending.code = code;
    ending.reason = reason;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#state !== "open" && this.#state !== "opening") return false;
    if (this.#ending !== undefined && !this.#ending.takesWrites) return false;
    return this.writeChunk(chunk, this.#state === "opening");
  }

  pauseReading(): void {
    if (this.#state !== "open" && this.#state !== "opening") return;
    this.#isPaused = true;
    // A handshake must be read.
    if (this.#state === "open") this.plain.pauseReading();
  }

  resumeReading(): void {
    if (!this.#isPaused || this.#state !== "open" && this.#state !== "opening") return;
    this.#isPaused = false;
    if (this.#rest === undefined && !this.#ending?.isEndHeld) this.plain.resumeReading();
    else queueMicrotask(() => this.#readOn());
  }

  close(): void {
    if (this.#state === "opening") {
      // The peer can be told after the handshake only.
      (this.#ending ??= new Ending()).isClosing = true;
      return;
    }
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#rest = undefined;
    const end = this.#ending?.plainEnd;
    if (end !== undefined) return queueMicrotask(() => this.#finish(end.why, end.cause));
    this.#closeIfSent();
    if (this.#isPaused) {
      this.#isPaused = false;
      this.plain.resumeReading();
    }
  }

  /** Sends the close frame and ends, once nothing else is in flight. */
  #closeIfSent(): void {
    if (!this.hasNothingInFlight) return;
    this.#state = "closed";
    this.sendClose(this.#closePayload());
    this.plain.close();
  }

  #closePayload(): Uint8Array {
    const { code = CLOSE_CODES.normal, reason = "", peerClose } = this.#ending ?? {};
    // A peer that has closed gets its own code back.
    return peerClose === undefined ? closePayload(code, reason) : closePayload(peerClose.code);
  }

  takeArrived(): number {
    return 0;
  }

  release(): void {
    if (this.#state === "open" && this.hasNothingInFlight) this.sendClose(this.#closePayload());
    this.#giveUp(() => this.plain.release());
  }

  destroy(): void {
    this.#giveUp(() => this.plain.destroy());
  }

  #giveUp(free: () => void): void {
    if (this.#state === "gone") return;
    const hasEnded = this.#ending?.plainEnd !== undefined;
    free();
    this.#free();
    // Unless it is told already, the connection beneath will say when the descriptor is free.
    if (hasEnded) queueMicrotask(() => this.#handler?.onClose("destroyed"));
    else (this.#ending ??= new Ending()).isLeaving = true;
  }

  #free(): void {
    this.#state = "gone";
    this.#handshake = undefined;
    this.dropUnsent();
    this.#rest = undefined;
    this.#reader = undefined;
    clearTimeout(this.#ending?.failure?.timer);
  }

  #finish(why: TransportEnd, cause?: Error): void {
    if (this.#state === "gone") return;
    this.#free();
    this.#handler?.onClose(why, cause);
  }

  // Called by the connection beneath.

  site(): string {
    return this.#handler?.site?.() ?? this.remoteAddress;
  }

  isLight(): boolean {
    return this.#handler?.isLight?.() ?? false;
  }

  onData(chunk: Uint8Array): void {
    if (this.#state === "opening") return this.#readHandshake(chunk);
    if (this.#state !== "open" || this.#isDeaf) return;
    const rest = this.#rest;
    if (rest === undefined && !this.#isPaused) return this.#read(chunk);
    this.#rest = rest === undefined ? chunk.slice() : joinBytes(rest, chunk);
    this.#handler?.onHeld?.();
  }

  onHeld(): void {
    this.#handler?.onHeld?.();
  }

  onDrain(): void {
    const flight = this.endFlight();
    if (this.#state === "failing" || this.#state === "gone" || flight === "nothing") return;
    const isSent = this.sendNext(this.#state === "opening") || flight === "chunk";
    if (this.#state === "closing" && !this.hasWaitingChunk) this.#closeIfSent();
    if (isSent) this.#handler?.onDrain();
  }

  onEnd(): void {
    if (this.#state === "opening") return this.#failed(new Error("the peer ended the connection"));
    if (this.#state !== "open") return;
    const ending = this.#ending ??= new Ending();
    if (this.#isPaused || this.#rest !== undefined) ending.isEndHeld = true;
    else this.#tellEnd(ending);
  }

  #tellEnd(ending: Ending): void {
    ending.isEndHeld = false;
    ending.isDeaf = true;
    if (ending.isEndTold) return;
    ending.isEndTold = true;
    this.#handler?.onEnd();
  }

  onClose(why: TransportEnd, cause?: Error): void {
    const ending = this.#ending;
    if (ending?.isLeaving) return this.#handler?.onClose("destroyed");
    if (this.#state === "failing") return this.#endFailure();
    if (this.#state === "opening") {
      return this.#finish(
        "reset",
        handshakeError(cause ?? new Error("the peer closed the connection")),
      );
    }
    if (this.#state === "open" && this.#rest !== undefined) {
      // What came before has to be delivered first.
      (this.#ending ??= new Ending()).plainEnd = { why, cause };
      return;
    }
    this.#finish(why, cause);
  }

  // The handshake.

  #readHandshake(chunk: Uint8Array): void {
    const handshake = this.#handshake!;
    let outcome;
    try {
      outcome = handshake.push(chunk);
    } catch (error) {
      return this.#failed(error as Error & { readonly answer?: Uint8Array });
    }
    if (outcome === undefined) return this.#handler?.onHeld?.();
    this.#handshake = undefined;
    this.#state = "open";
    this.keepAnswer(outcome.answer);
    if (this.#isPaused) this.plain.pauseReading();
    this.#handler?.onHeld?.();
    if (!this.#ending?.isClosing) this.#handler?.onSecure?.();
    this.#afterHandshake();
    if (outcome.taken < chunk.length) this.onData(chunk.subarray(outcome.taken));
  }

  /** Sends what was kept during the handshake. The owner may have written, or ended it. */
  #afterHandshake(): void {
    if (!this.hasNothingInFlight || this.#state !== "open") return;
    if (this.sendEarly()) this.#handler?.onDrain();
    if (this.#ending?.isClosing) this.close();
  }

  /** Answers a failed handshake, if an answer is possible, and ends the connection. */
  #failed(error: Error & { readonly answer?: Uint8Array }): void {
    this.#state = "failing";
    this.#handshake = undefined;
    this.dropChunk();
    this.plain.resumeReading();
    if (error.answer !== undefined) this.plain.write(error.answer);
    this.plain.close();
    const timer = setTimeout(() => this.plain.destroy(), LAST_WORD_MS);
    (this.#ending ??= new Ending()).failure = { error, timer };
  }

  #endFailure(): void {
    this.#finish("reset", handshakeError(this.#ending!.failure!.error));
  }

  // What the peer sends.

  #read(chunk: Uint8Array): void {
    const readerBytes = this.#reader?.heldBytes ?? 0;
    const reader = this.#reader ?? this.side.borrowReader();
    let taken = chunk.length;
    try {
      taken = reader.push(chunk, this);
    } catch (error) {
      this.#reader = undefined;
      if (!(error instanceof WebSocketViolation)) throw error;
      return this.#refuse(error);
    }
    this.#reader = undefined;
    if (this.#state !== "open") return;
    if (reader.isAtRest) {
      this.side.giveReaderBack(reader);
    } else this.#reader = reader;
    if (taken < chunk.length && !this.#isDeaf) this.#rest = chunk.slice(taken);
    else if ((this.#reader?.heldBytes ?? 0) === readerBytes) return;
    this.#handler?.onHeld?.();
  }

  /** Reads what was left when reading was paused, unless it's paused again. */
  #readOn(): void {
    if (this.#state !== "open" || this.#isPaused) return;
    const rest = this.#rest;
    if (rest !== undefined) {
      this.#rest = undefined;
      if (!this.#isDeaf) this.#read(rest);
      if (this.#state !== "open") return;
      this.#handler?.onHeld?.();
      if (this.#isPaused || this.#rest !== undefined) return;
    }
    const ending = this.#ending;
    if (ending?.isEndHeld) this.#tellEnd(ending);
    if (this.#state !== "open") return;
    if (ending?.plainEnd !== undefined) this.#finish(ending.plainEnd.why, ending.plainEnd.cause);
    else this.plain.resumeReading();
  }

  #refuse({ closeCode, message }: WebSocketViolation): void {
    if (this.#state !== "open") return;
    this.closeWith(closeCode, message);
    const ending = this.#ending!;
    if (ending.isOfViolation) return;
    ending.isOfViolation = ending.isDeaf = true;
    this.#rest = undefined;
    if (this.#handler?.onViolation !== undefined) this.#handler.onViolation(message);
    else this.close();
  }

  onPayload(bytes: Uint8Array): void {
    if (this.#state === "open") this.#handler?.onData(bytes);
  }

  onMessageEnd(): void {
    if (this.#state === "open") this.#handler?.onMessageEnd?.();
  }

  onIdleFrame(): void {
    (this.#idleFrames ??= new IdleFrames()).count();
  }

  onPing(payload: Uint8Array): void {
    this.#handler?.onSignOfLife?.();
    if (this.#state !== "open" || this.#ending?.plainEnd !== undefined) return;
    this.sendPong(payload);
  }

  onPong(): void {
    this.#handler?.onSignOfLife?.();
  }

  onPeerClose(code: number | undefined): void {
    if (this.#state !== "open") return;
    const ending = this.#ending ??= new Ending();
    ending.peerClose = { code };
    ending.isDeaf = true;
    if (this.#isPaused) ending.isEndHeld = true;
    else this.#tellEnd(ending);
  }
}

/** The error that ends a connection whose handshake failed. */
function handshakeError(cause: Error): TransportError {
  if (cause instanceof TransportError) return cause;
  const message = `no WebSocket: the handshake failed (${cause.message})`;
  return new TransportError("handshake_failed", message, { cause });
}
