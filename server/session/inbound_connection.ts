import type { Connection, ConnectionHandler, TransportEnd } from "../../runtime/types.ts";
import type { PauseCause } from "../counters.ts";
import type { ClientFrames } from "../../protocol/client_frames.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import { siteOf } from "../access/ip_address.ts";
import { UNITS_PER_PIECE } from "../flow/fair_reader.ts";
import type { Gate, WaitingPlace } from "../flow/gate.ts";
import {
  AccountedConnection,
  FOR_INBOUND,
  FOR_MEMORY,
  HAS_WAITED,
  IS_BACK,
  PAUSED,
} from "./accounted_connection.ts";
import { Inbound } from "./inbound.ts";
import type { Attempt, InboundSession } from "./inbound_session.ts";
import type { SessionContext } from "./session_context.ts";

/** Bytes that are read at once of a client that hasn't published, at most. */
const FIRST_PIECE_BYTES = 4_096;

/** So few bytes of a client that hasn't had to wait are read at once: deferring them would cost more. */
const LITTLE_BYTES = 256;

/**
 * Bytes that a client of small messages may send for each millisecond since it was last heard: when
 * the server is late, they arrive all at once.
 */
const SMALL_BYTES_PER_MS = 32;

/** A client counts as sending much until it has sent no more than that for so many milliseconds. */
const MUCH_FOR_MS = 5_000;

/**
 * The incoming side of one client's connection: it decides when bytes are read, and decodes them.
 * {@linkcode Session} inherits from it and handles the frames: one object for both keeps the memory of an
 * idle connection small.
 */
export abstract class InboundConnection extends AccountedConnection
  implements ConnectionHandler, InboundSession {
  #heardMs: number;
  /**
   * Time on the coarse clock at which a `PING` (to a client of 2009: a message) was sent that the client
   * hasn't reacted to; 0 if there is none.
   */
  protected unansweredMs = 0;

  constructor(connection: Connection, context: SessionContext) {
    super(connection, context);
    this.#heardMs = context.clock.nowMs;
  }

  /** The receiver of decoded frames. */
  protected abstract get frames(): ClientFrames;
  /** True if the client is subscribed to any topic. */
  protected abstract get isSubscribed(): boolean;
  /** Called when the connection's handshake has succeeded; never if it has none. */
  abstract onSecure(): void;
  /** Called after each piece that was read. */
  protected abstract onRead(): void;

  site(): string {
    return this.inbound?.site ?? siteOf(this.remoteAddress);
  }

  /** True for a publisher of which few bytes wait, so that it may be read before others. */
  isLight(): boolean {
    return this.inbound?.isSmall ?? false;
  }

  /** The reason why the client, as a publisher, waits; `undefined` if it doesn't. */
  get pauseCause(): PauseCause | undefined {
    return this.inbound?.pauseCause;
  }

  /** Time on the coarse clock at which bytes last arrived, or a wait that the server imposed ended. */
  get heardMs(): number {
    return this.#heardMs;
  }

  /** True if the client has published or is subscribed. */
  get isKnown(): boolean {
    return this.hasPublished || this.isSubscribed;
  }

  /**
   * Stops reading the client because clients' input holds too much memory. Exempt are clients in the
   * middle of a large frame, which must be able to complete it, and publishers and subscribers that
   * haven't lately sent much at once.
   *
   * @returns True if reading was stopped, and {@linkcode letGo} must be called later.
   */
  holdBack(): boolean {
    const isHarmless = this.isKnown && !this.hasSentMuch;
    if (!this.isOpen || this.holdsLargeFrame || isHarmless) return false;
    // Only reading frees the bytes that the connection holds.
    if (this.connection.hasUndelivered) return false;
    if ((this.flags & FOR_MEMORY) !== 0) return false;
    this.#pause(FOR_MEMORY);
    return true;
  }

  /** Undoes {@linkcode holdBack}, which was done at a time of the coarse clock. */
  letGo(sinceMs: number): void {
    if (!this.isOpen || (this.flags & FOR_MEMORY) === 0) return;
    this.onWaited(sinceMs, true);
    const { inbound, context: { clock } } = this;
    if (inbound !== undefined) {
      inbound.unfinishedSinceMs = clock.withoutWait(inbound.unfinishedSinceMs, sinceMs);
    }
    this.#resume(FOR_MEMORY);
  }

  /** Notes that the client has sent something now. */
  protected noteHeard(): void {
    this.#heardMs = this.context.clock.nowMs;
  }

  // Called by the connection.

  onData(chunk: Uint8Array): void {
    if (!this.isOpen) return;
    const { counters, ceiling, inputDefence } = this.context;
    counters.bytesIn += chunk.byteLength;
    if (counters.bytesIn >= ceiling.lookAtBytes) ceiling.look();
    this.#noteSize(chunk.byteLength);
    this.#heardMs = this.context.clock.nowMs;
    this.unansweredMs = 0;
    this.#take(chunk);
    if (inputDefence.isHolding) inputDefence.holdBack(this);
  }

  onHeld(): void {
    this.accountUnfinished();
    const isHeldBack = (this.flags & FOR_MEMORY) !== 0;
    if (isHeldBack && this.connection.hasUndelivered) this.context.inputDefence.readOn(this);
  }

  override onDrain(): void {
    super.onDrain();
    this.inbound?.publisher?.onTaken();
  }

  override onEnd(): void {
    // Deferred bytes arrived before the end and so count.
    this.inbound?.readDeferred();
    super.onEnd();
  }

  override onClose(why: TransportEnd, cause?: Error): void {
    // Bytes that arrived before the connection broke count, though the publisher is gone.
    if (this.isOpen) this.inbound?.readDeferred();
    super.onClose(why, cause);
  }

  // Called by its inbound side.

  /** The gate at which the client should wait before it publishes more, if any. */
  get publishGate(): Gate | undefined {
    return this.inbound?.publisher?.gate;
  }

  read(chunk: Uint8Array): number {
    if (!this.isOpen) return chunk.byteLength;
    let taken = chunk.byteLength;
    this.context.timestamps.beginGroup();
    const isFirst = this.beginReplies();
    try {
      taken = this.decoder.push(chunk, this.frames);
    } catch (error) {
      this.#endFor(error);
    } finally {
      if (isFirst) this.endReplies(taken < chunk.byteLength);
    }
    this.onRead();
    this.accountUnfinished();
    return taken;
  }

  endMessage(): void {
    if (!this.isOpen || !this.decoder.lacksTerminator) return;
    this.end("bad_frame", "MESSAGE has no NUL at the end of its WebSocket message");
  }

  retry(attempt: Attempt): WaitingPlace | undefined {
    try {
      return attempt();
    } catch (error) {
      this.#endFor(error);
      return undefined;
    }
  }

  get hasPublished(): boolean {
    return this.inbound?.publisher !== undefined;
  }

  get hasSentMuch(): boolean {
    const sentMuchMs = this.inbound?.sentMuchMs ?? 0;
    return sentMuchMs !== 0 && this.context.clock.nowMs - sentMuchMs < MUCH_FOR_MS;
  }

  onWaited(sinceMs: number, isLate: boolean): void {
    // A wait that the server imposed doesn't count as the client's silence, nor does it forgive silence
    // before it: clients whose waits end again and again would never be silent for long.
    const { clock } = this.context;
    this.stateSinceMs = clock.withoutWait(this.stateSinceMs, sinceMs);
    if (isLate) {
      this.#heardMs = clock.withoutWait(this.#heardMs, sinceMs);
      this.flags |= HAS_WAITED;
    }
    if (this.unansweredMs !== 0) this.unansweredMs = clock.withoutWait(this.unansweredMs, sinceMs);
    this.flags |= IS_BACK;
    this.inbound?.publisher?.onWaited(sinceMs);
  }

  onNothingWaits(): void {
    // When many clients connect at once, most wait only once and then just listen.
    if (!this.inbound?.isNeeded) this.inbound = undefined;
  }

  get isReading(): boolean {
    return (this.flags & FOR_INBOUND) === 0;
  }

  setReading(isWanted: boolean): void {
    if (!this.isOpen) return;
    if (isWanted) this.#resume(FOR_INBOUND);
    else this.#pause(FOR_INBOUND);
  }

  #noteSize(bytes: number): void {
    if (bytes <= FIRST_PIECE_BYTES) return;
    const { nowMs } = this.context.clock;
    const inbound = this.inboundSide;
    const isLate = this.isKnown && (this.flags & HAS_WAITED) !== 0;
    this.flags &= ~HAS_WAITED;
    const expected = FIRST_PIECE_BYTES + (nowMs - this.#heardMs) * SMALL_BYTES_PER_MS;
    if (!isLate && bytes > expected) inbound.sentMuchMs = nowMs;
  }

  #pause(why: number): void {
    if ((this.flags & PAUSED) === 0) this.connection.pauseReading();
    this.flags |= why;
  }

  #resume(why: number): void {
    if ((this.flags & PAUSED) === 0) return;
    this.flags &= ~why;
    if ((this.flags & PAUSED) === 0) this.connection.resumeReading();
  }

  protected override get inboundSide(): Inbound {
    return this.inbound ??= new Inbound(this, this.context);
  }

  /** Does what the client asks for; if that has to wait, reads no further until it's done. */
  protected settle(attempt: Attempt): void {
    const place = attempt();
    if (place !== undefined) this.inboundSide.waitFor(attempt, place);
  }

  #endFor(error: unknown): void {
    if (!(error instanceof ProtocolError)) throw error;
    this.end(error.code, error.message);
  }

  #take(chunk: Uint8Array): void {
    const { reading } = this.context;
    const mostBytes = reading.isFree ? FIRST_PIECE_BYTES : LITTLE_BYTES;
    if (this.inbound !== undefined || chunk.byteLength > mostBytes) {
      return this.inboundSide.take(chunk);
    }
    reading.beginPiece(UNITS_PER_PIECE);
    const taken = this.read(chunk);
    reading.endPiece(UNITS_PER_PIECE, taken);
    if (!this.isOpen || taken === chunk.byteLength && this.inbound === undefined) return;
    this.inboundSide.take(chunk.subarray(taken));
  }

  protected stopListening(): void {
    this.inbound?.leave();
    this.decoder.discard();
    this.accountUnfinished();
  }
}
