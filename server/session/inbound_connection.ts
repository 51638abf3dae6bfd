import type { Connection, ConnectionHandler, TransportEnd } from "../../runtime/types.ts";
import type { ClientDecoder } from "../../protocol/client_decoder.ts";
import type { ClientFrames } from "../../protocol/client_frames.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import { siteOf } from "../access/ip_address.ts";
import { UNITS_PER_PIECE } from "../flow/fair_reader.ts";
import type { Gate, WaitingPlace } from "../flow/gate.ts";
import { READ_AHEAD_BYTES, SMALL_FRAME_BYTES } from "../limits.ts";
import { ClientConnection } from "./client_connection.ts";
import { type Attempt, Inbound, type InboundSession } from "./inbound.ts";
import type { SessionContext } from "./session_context.ts";

/** What is read at once of a client that hasn't published. */
const FIRST_PIECE_BYTES = 4_096;

/** So little of one that hasn't had to wait is read before others: to let it wait costs more. */
const LITTLE_BYTES = 256;

/**
 * What a client of small messages may have sent in a millisecond since it was last heard: when the
 * server is late, it all comes at once.
 */
const SMALL_BYTES_PER_MS = 32;

/** A client that sends no more than that for so long isn't one any more that sends much. */
const MUCH_FOR_MS = 5_000;

// A session's flags, one number beside its permissions: on Bun a field more costs 64 bytes.
/** Its connection isn't read because of its inbound side. */
const FOR_INBOUND = 1 << 2;
/** Its connection isn't read for want of memory. */
const FOR_MEMORY = 1 << 3;
const PAUSED = FOR_INBOUND | FOR_MEMORY;
/** The server has made it wait, so that what comes next may be much without its doing. */
const HAS_WAITED = 1 << 4;

/**
 * The bytes that one client sends: when they are read, how they become frames, what they hold of the
 * server's memory, and since when. What the frames mean is the {@linkcode Session}'s, the only class
 * below this one: one object for a connection, so that an idle one costs little.
 */
export abstract class InboundConnection extends ClientConnection
  implements ConnectionHandler, InboundSession {
  protected readonly decoder: ClientDecoder;
  /** What the client may do, as permissions of `access.ts`, and why it isn't read. */
  protected flags: number;
  /** From the first bytes on that have to wait, or the first message. */
  #inbound: Inbound | undefined;
  #heardMs: number;
  /**
   * When it was sent what it hasn't said anything to since, on the coarse clock: a `PING`, or, where
   * it's a client of 2009, a message. 0 if nothing was.
   */
  protected unansweredMs = 0;

  constructor(connection: Connection, context: SessionContext) {
    super(connection, context);
    this.decoder = context.newDecoder();
    this.flags = context.access.withoutKey(connection.remoteAddress);
    this.#heardMs = context.clock.nowMs;
  }

  /** Takes the frames that come. */
  protected abstract get frames(): ClientFrames;
  /** Whether the client is subscribed to anything. */
  protected abstract get isSubscribed(): boolean;
  /** The handshake has succeeded; called where there is one. */
  abstract onSecure(): void;
  /** The bytes that came are read, up to some frame's end. */
  protected abstract onRead(): void;

  site(): string {
    return this.#inbound?.site ?? siteOf(this.remoteAddress);
  }

  /** Whether it's a publisher for whom little waits, so that it may be read before others. */
  isLight(): boolean {
    return this.#inbound?.isSmall ?? false;
  }

  /** True for a client that isn't read just now, or whose bytes wait. */
  get isWaiting(): boolean {
    return (this.flags & PAUSED) !== 0 || (this.#inbound?.isWaiting ?? false);
  }

  /** Bytes that are kept because of this client: what waits for it, and what it sent. */
  get heldBytes(): number {
    return this.pendingBytes + this.inputBytes + this.#owedBytes;
  }

  /** Bytes that are kept of what it sent. */
  get inputBytes(): number {
    const { deferredBytes = 0, undeliveredBytes = 0 } = this.#inbound ?? {};
    return this.unfinishedInputBytes + deferredBytes + undeliveredBytes;
  }

  /** The same, without a little that is read next, and so gives its memory back by itself. */
  get bulkInputBytes(): number {
    const bytes = this.inputBytes;
    const waitingBytes = bytes - this.unfinishedInputBytes;
    return waitingBytes <= READ_AHEAD_BYTES ? bytes - waitingBytes : bytes;
  }

  /** Whether most of that is what it sent. */
  get holdsMostlyInput(): boolean {
    return this.inputBytes > this.pendingBytes + this.#owedBytes;
  }

  /** Since when it has done nothing about the most of that, on the coarse clock. */
  get heldMemorySinceMs(): number {
    // Receipts come by themselves.
    if (this.#owedBytes > this.pendingBytes + this.inputBytes) return this.context.clock.nowMs;
    if (!this.holdsMostlyInput) return this.progressMs;
    // Who is made to wait can't do anything, but for a frame that isn't complete.
    const isHeldUp = this.isWaiting && !this.holdsLargeFrame;
    return isHeldUp ? this.context.clock.nowMs : this.unfinishedSinceMs;
  }

  /** Bytes of memory that a frame which isn't complete holds. */
  get unfinishedBytes(): number {
    return this.decoder.heldBytes;
  }

  /** The same with what its connection holds of what arrived: of a handshake or a record, with TLS. */
  get unfinishedInputBytes(): number {
    return this.#inbound?.unfinishedBytes ?? 0;
  }

  /** Whether that is more than is held for any client without a second thought. */
  get holdsLargeFrame(): boolean {
    // What its connection holds waits with it.
    const bytes = this.isWaiting ? this.decoder.heldBytes : this.unfinishedInputBytes;
    return bytes > SMALL_FRAME_BYTES;
  }

  /** Since when it holds anything without a message that came of it, on the coarse clock. */
  get unfinishedSinceMs(): number {
    const { unfinishedSinceMs = 0, publisher } = this.#inbound ?? {};
    return Math.max(unfinishedSinceMs, publisher?.publishedMs ?? 0);
  }

  get #owedBytes(): number {
    return this.#inbound?.publisher?.owedBytes ?? 0;
  }

  /** When it was last heard, on the coarse clock. */
  get heardMs(): number {
    return this.#heardMs;
  }

  /** True for a client whose unfinished frame has held memory for the time given. */
  hasHeldPartialFrameFor(ms: number): boolean {
    if (!this.isHeard || this.unfinishedInputBytes === 0) return false;
    // In the middle of a small frame it may be made to wait, of a large one never.
    if (this.isWaiting && !this.holdsLargeFrame) return false;
    return this.context.clock.nowMs - this.unfinishedSinceMs >= ms;
  }

  /**
   * Stops reading a client because what clients have sent holds too much memory; not one in the
   * middle of a large frame, which must be able to complete it, nor one that publishes or is
   * subscribed and never sent much at once.
   *
   * @returns Whether it's to be {@linkcode letGo} again.
   */
  holdBack(): boolean {
    const isKnown = this.#inbound?.publisher !== undefined || this.isSubscribed;
    const isHarmless = isKnown && !this.hasSentMuch;
    if (!this.isOpen || this.holdsLargeFrame || isHarmless) return false;
    // Only by being read those bytes are given back.
    if (this.connection.hasUndelivered) return false;
    if ((this.flags & FOR_MEMORY) !== 0) return false;
    this.#pause(FOR_MEMORY);
    return true;
  }

  /** Undoes {@linkcode holdBack}. */
  letGo(): void {
    if (!this.isOpen || (this.flags & FOR_MEMORY) === 0) return;
    this.onWaited(true);
    this.#resume(FOR_MEMORY);
  }

  /** The client has said something just now. */
  protected noteHeard(): void {
    this.#heardMs = this.context.clock.nowMs;
  }

  // What the connection tells.

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
    this.#accountUnfinished();
    const isHeldBack = (this.flags & FOR_MEMORY) !== 0;
    if (isHeldBack && this.connection.hasUndelivered) this.context.inputDefence.readOn(this);
  }

  override onDrain(): void {
    super.onDrain();
    this.#inbound?.publisher?.onTaken();
  }

  override onEnd(): void {
    // What came before the end counts, though it waits; a pause would have held the end up too.
    this.#inbound?.readDeferred();
    super.onEnd();
  }

  override onClose(why: TransportEnd, cause?: Error): void {
    // Read before the connection broke: what a publisher sent counts, though it's gone.
    if (this.isOpen) this.#inbound?.readDeferred();
    super.onClose(why, cause);
  }

  // What its inbound side asks.

  /** Where the client should wait for others before it publishes more, if it should. */
  get publishGate(): Gate | undefined {
    return this.#inbound?.publisher?.gate;
  }

  read(chunk: Uint8Array): number {
    if (!this.isOpen) return chunk.byteLength;
    let taken = chunk.byteLength;
    const isFirst = this.beginReplies();
    try {
      taken = this.decoder.push(chunk, this.frames);
    } catch (error) {
      this.#endFor(error);
    } finally {
      if (isFirst) this.endReplies();
    }
    this.onRead();
    this.#accountUnfinished();
    return taken;
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
    return this.#inbound?.publisher !== undefined;
  }

  get hasSentMuch(): boolean {
    const sentMuchMs = this.#inbound?.sentMuchMs ?? 0;
    return sentMuchMs !== 0 && this.context.clock.nowMs - sentMuchMs < MUCH_FOR_MS;
  }

  onWaited(isLate: boolean): void {
    // The time in which the server read nothing doesn't count as the client's silence.
    const { nowMs } = this.context.clock;
    this.stateSinceMs = nowMs;
    if (this.#inbound !== undefined) this.#inbound.unfinishedSinceMs = nowMs;
    if (isLate) {
      this.#heardMs = nowMs;
      this.flags |= HAS_WAITED;
    }
    if (this.unansweredMs !== 0) this.unansweredMs = nowMs;
    this.#inbound?.publisher?.onWaited();
  }

  onNothingWaits(): void {
    // In a crowd that connects many have to wait once, and then only listen.
    if (!this.#inbound?.isNeeded) this.#inbound = undefined;
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
    const isKnown = inbound.publisher !== undefined || this.isSubscribed;
    const isLate = isKnown && (this.flags & HAS_WAITED) !== 0;
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

  protected get inboundSide(): Inbound {
    return this.#inbound ??= new Inbound(this, this.context);
  }

  /** Does what the client asks for, and reads no further until that is done. */
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
    if (this.#inbound !== undefined || chunk.byteLength > mostBytes) {
      return this.inboundSide.take(chunk);
    }
    reading.beginPiece(UNITS_PER_PIECE);
    const taken = this.read(chunk);
    reading.endPiece(UNITS_PER_PIECE, taken);
    if (!this.isOpen || taken === chunk.byteLength && this.#inbound === undefined) return;
    this.inboundSide.take(chunk.subarray(taken));
  }

  /** Accounts for the memory that a frame of this client's holds which isn't complete, or its connection. */
  #accountUnfinished(): void {
    const { heldBytes = 0, hasUndelivered = false } = this.connection;
    this.#countUnfinished(this.decoder.heldBytes + (hasUndelivered ? 0 : heldBytes));
    // That waits to be read as what is deferred does, and frees its memory so.
    this.#countUndelivered(hasUndelivered ? heldBytes : 0);
  }

  #countUnfinished(bytes: number): void {
    const before = this.unfinishedInputBytes;
    if (bytes === before) return;
    const { budget, clock } = this.context;
    const inbound = this.inboundSide;
    if (before === 0) inbound.unfinishedSinceMs = clock.nowMs;
    inbound.unfinishedBytes = bytes;
    budget.countUnfinished(bytes - before);
  }

  #countUndelivered(bytes: number): void {
    const before = this.#inbound?.undeliveredBytes ?? 0;
    if (bytes === before) return;
    this.inboundSide.undeliveredBytes = bytes;
    this.context.budget.countDeferred(bytes - before);
  }

  /** What waits on the way in, for a client for which something does, or may. */
  protected get inbound(): Inbound | undefined {
    return this.#inbound;
  }

  protected stopListening(): void {
    this.#inbound?.leave();
    this.decoder.discard();
    this.#accountUnfinished();
  }
}
