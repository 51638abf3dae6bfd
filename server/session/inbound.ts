import { type ReadTask, UNITS_PER_PIECE } from "../flow/fair_reader.ts";
import { Fifo } from "../timing/fifo.ts";
import type { Gate, WaitingPlace } from "../flow/gate.ts";
import { siteOf } from "../access/ip_address.ts";
import { READ_AHEAD_BYTES, SMALL_FRAME_BYTES } from "../limits.ts";
import type { Publisher } from "./publisher.ts";
import type { Applicant } from "../flow/read_admission.ts";
import type { SessionContext } from "./session_context.ts";
import type { TokenBucket } from "../timing/token_bucket.ts";

/** The most that is decoded, or kept in one buffer, at once of one connection. */
const PIECE_BYTES = 64 * 1024;

/** Small chunks that make up a piece. */
const CHUNKS_PER_PIECE = 16;

/**
 * A client sends without a pause where so much of it is read at once and more is there, or arrives so few
 * turns of the loop after all was read.
 */
const STREAM_BYTES = 2_048;
const STREAM_TURNS = 2;

/** For how many turns that is remembered, some 0.1 s while the loop is busy. */
const STREAM_MEMORY_TURNS = 32;

/** Does what a client asks for. Where that isn't settled, it returns where to wait, and is tried again. */
export type Attempt = () => WaitingPlace | undefined;

/** What the inbound side of a connection needs of the session that it belongs to. */
export interface InboundSession {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Whether the client is still listened to. */
  readonly isOpen: boolean;
  /** Whether the inbound side wants the connection to be read. */
  readonly isReading: boolean;
  /** Bytes of memory that a frame which isn't complete holds. */
  readonly unfinishedBytes: number;
  /** Where the client should wait for others before its next frame is read, if it should. */
  readonly publishGate: Gate | undefined;
  /**
   * Does what the client says in a chunk, up to the frame behind which the piece's units are used up.
   *
   * @returns How many bytes that were; all once the client isn't listened to any more.
   */
  read(chunk: Uint8Array): number;
  /** Tries again what had to wait; where it has to wait on, if it's not settled now. */
  retry(attempt: Attempt): WaitingPlace | undefined;
  /** Whether it has published a message. */
  readonly hasPublished: boolean;
  /** Whether it ever sent more at once than small messages are. */
  readonly hasSentMuch: boolean;
  /**
   * The client is about to be read again, after a wait.
   *
   * @param isLate Whether what it has sent meanwhile says nothing about how much it sends.
   */
  onWaited(isLate: boolean): void;
  /** All that had to wait is read. */
  onNothingWaits(): void;
  /** Sets {@linkcode isReading}. */
  setReading(isWanted: boolean): void;
}

/**
 * What has arrived on a connection and isn't read yet, and what that waits for: its turn, which comes
 * by itself, or a gate. Made for a connection that publishes, or whose bytes have to wait.
 *
 * A client waits for others at a gate only between frames. In the middle of a large frame it's read
 * on: what is held for a client that waits could not be given back by it.
 */
export class Inbound implements Applicant, ReadTask {
  /** The publisher that the client is, from its first message on; the session's own. */
  publisher: Publisher | undefined;
  /** When the client last sent much at once, on the coarse clock; 0 if it never did. The session's own. */
  sentMuchMs = 0;
  /**
   * What a frame, record or handshake that isn't complete holds of the memory budget, and since when, on
   * the coarse clock. The session's own.
   */
  unfinishedBytes = 0;
  unfinishedSinceMs = 0;
  /** What the connection holds that arrived and isn't delivered. The session's own. */
  undeliveredBytes = 0;
  readonly #session: InboundSession;
  readonly #context: SessionContext;
  /** Messages that it may still publish just now, where that is bounded. */
  readonly #messages: TokenBucket | undefined;
  /** Bytes that it may still send just now, from the first piece on. */
  #bytes: TokenBucket | undefined;
  /** What arrived and isn't read yet; `#first` is the rest of a chunk that is read in part. */
  #first: Uint8Array | undefined;
  #deferred: Fifo<Uint8Array> | undefined;
  #deferredBytes = 0;
  #waitsAt: WaitingPlace | undefined;
  /** What the client asked for and waits for; it's read no further until that is settled. */
  #attempt: Attempt | undefined;
  #isReadingRest = false;
  #isQueued = false;
  #hasBeenThrottled = false;
  /** The turn in which all that had arrived was last read. */
  #caughtUpTurn = 0;
  /** What has arrived since all that had was read and the connection was read on. */
  #broughtBytes = 0;
  /** Until which turn the client counts as one that sends without a pause. */
  #streamsUntilTurn = 0;
  #site: string | undefined;

  constructor(session: InboundSession, context: SessionContext) {
    this.#session = session;
    this.#context = context;
    this.#messages = context.throttle.newMessageBucket();
  }

  /** True for a client that publishes, sends much or has begun something, which must not be forgotten. */
  get isNeeded(): boolean {
    return this.publisher !== undefined || this.sentMuchMs !== 0 || this.unfinishedBytes > 0 ||
      this.undeliveredBytes > 0;
  }

  get site(): string {
    return this.#site ??= siteOf(this.#session.remoteAddress);
  }

  get isSmall(): boolean {
    const { hasPublished } = this.#session;
    return hasPublished && this.#deferredBytes <= READ_AHEAD_BYTES && !this.#isMidFrame &&
      this.#context.reading.turn >= this.#streamsUntilTurn;
  }

  get broughtBytes(): number {
    return this.#broughtBytes;
  }

  /** Whether what arrives isn't read at once just now. */
  get isWaiting(): boolean {
    return this.#waitsAt !== undefined || this.#isQueued;
  }

  /** Whether all that waits is being read because the client is gone. */
  get isReadingRest(): boolean {
    return this.#isReadingRest;
  }

  /** Bytes that arrived and wait to be read. */
  get deferredBytes(): number {
    return this.#deferredBytes;
  }

  /** Counts a message against the client's rate, where it has one. */
  countMessage(): void {
    this.#messages?.take(this.#context.clock.nowMs);
  }

  /** Reads what arrived, or lets it wait. The chunk is copied where it's kept. */
  take(chunk: Uint8Array): void {
    this.#broughtBytes += chunk.byteLength;
    if (this.isWaiting) return this.#deferAndPause(chunk);
    const { reading } = this.#context;
    const isSoon = reading.turn - this.#caughtUpTurn <= STREAM_TURNS;
    if (isSoon && chunk.byteLength >= STREAM_BYTES) this.#noteStream();
    let taken = 0;
    while (taken < chunk.byteLength && reading.isFree && this.#gate === undefined) {
      taken += this.#readPiece(taken === 0 ? chunk : chunk.subarray(taken));
      if (!this.#session.isOpen) return;
      if (this.#waitsAt !== undefined) break;
    }
    if (taken < chunk.byteLength) this.#defer(taken === 0 ? chunk : chunk.subarray(taken));
    if (this.#waitsAt !== undefined) return;
    const gate = this.#gate;
    if (gate !== undefined) this.#waitAt(gate);
    else if (this.#deferredBytes > 0) this.#queue();
    else this.#catchUp();
  }

  readPiece(): boolean {
    if (!this.#isQueued) return false;
    const before = this.#deferredBytes;
    // Not only when it was sent: it may have waited at a gate for long.
    if (before > READ_AHEAD_BYTES && this.sentMuchMs !== 0) {
      this.sentMuchMs = this.#context.clock.nowMs;
    }
    for (let chunks = 0; chunks < CHUNKS_PER_PIECE; chunks++) {
      const gate = this.#gate;
      if (gate !== undefined) return this.#waitAt(gate);
      const chunk = this.#first ?? this.#deferred?.shift();
      if (chunk === undefined) return this.#endQueueing();
      const taken = this.#readPiece(chunk);
      if (!this.#session.isOpen) return false;
      const isWhole = taken === chunk.byteLength;
      this.#first = isWhole ? undefined : chunk.subarray(taken);
      this.#countDeferred(-taken);
      if (this.#waitsAt !== undefined) return false;
      if (!isWhole || taken > SMALL_FRAME_BYTES) break;
    }
    if (this.#deferredBytes === 0) {
      const gate = this.#gate;
      return gate === undefined ? this.#endQueueing() : this.#waitAt(gate);
    }
    if (before - this.#deferredBytes >= STREAM_BYTES) this.#noteStream();
    this.#readAhead();
    return true;
  }

  /**
   * Reads no further until what the client asked for is settled. To be called from inside
   * {@linkcode InboundSession.read}; nothing where the client is gone, and so won't wait.
   *
   * @param attempt Tries it once more.
   * @param place Where it waits first.
   */
  waitFor(attempt: Attempt, place: WaitingPlace): void {
    if (this.#isReadingRest) return;
    this.#attempt = attempt;
    this.endPiece();
    this.#stopAt(place);
  }

  /**
   * Ends the piece that is being read behind the frame that it has come to, so that the client waits
   * there, if it should. Nothing where the client is gone, and so won't wait.
   */
  endPiece(): void {
    if (!this.#isReadingRest) this.#context.reading.unitsLeft = 0;
  }

  /** The gate has opened. */
  resume(): void {
    if (this.#waitsAt === undefined) return;
    const place = this.#attempt && this.#session.retry(this.#attempt);
    if (place !== undefined) {
      this.#waitsAt = place;
      place.wait(this);
      return;
    }
    this.#attempt = undefined;
    if (this.#waitsAt === undefined) return;
    const { throttle, reading } = this.#context;
    if (this.#waitsAt === reading.admission) return this.#admit();
    if (this.#waitsAt === throttle.gate && this.#isTooFast) {
      throttle.gate.wait(this);
      return;
    }
    this.#waitsAt = undefined;
    this.#session.onWaited(true);
    // In its turn: thousands may have waited at the same gate.
    this.#queue();
  }

  /** Reads all that waits to be read, whatever would make it wait. */
  readDeferred(): void {
    this.#isReadingRest = true;
    const { reading } = this.#context;
    for (;;) {
      const chunk = this.#first ?? this.#deferred?.shift();
      if (chunk === undefined) return;
      this.#first = undefined;
      this.#countDeferred(-chunk.byteLength);
      reading.beginPiece(Infinity);
      this.#session.read(chunk);
    }
  }

  /** Waits no more; what waits to be read is dropped. */
  leave(): void {
    this.#waitsAt?.leave(this);
    this.#waitsAt = undefined;
    this.#unqueue();
    this.#first = this.#deferred = undefined;
    this.#countDeferred(-this.#deferredBytes);
  }

  get #isTooFast(): boolean {
    const { throttle } = this.#context;
    return throttle.isOver(this.#messages) || throttle.isOver(this.#bytes);
  }

  /** Whether the client is in the middle of a frame that holds much. */
  get #isMidFrame(): boolean {
    return this.#session.unfinishedBytes > SMALL_FRAME_BYTES;
  }

  /** Where the client should wait, if it should. */
  get #gate(): Gate | undefined {
    const gate = this.#isMidFrame ? undefined : this.#session.publishGate;
    return gate ?? (this.#isTooFast ? this.#context.throttle.gate : undefined);
  }

  #readPiece(chunk: Uint8Array): number {
    const { reading, clock, throttle } = this.#context;
    const piece = chunk.byteLength > PIECE_BYTES ? chunk.subarray(0, PIECE_BYTES) : chunk;
    // To the end of its frame, where it has to wait behind that.
    const units = this.#isMidFrame && this.#session.publishGate !== undefined ? 1 : UNITS_PER_PIECE;
    reading.beginPiece(units);
    const taken = this.#session.read(piece);
    reading.endPiece(units, taken);
    (this.#bytes ??= throttle.newByteBucket()).take(clock.nowMs, taken);
    return taken;
  }

  /** Whether the connection may be read from its socket, for all that waits of others. */
  get #mayBringMore(): boolean {
    return !this.#session.hasSentMuch || this.#context.reading.grant();
  }

  /** Has the connection read before all that waits is, where that is little. */
  #readAhead(): void {
    if (this.#session.isReading || this.#deferredBytes > READ_AHEAD_BYTES) return;
    if (this.#mayBringMore) this.#session.setReading(true);
  }

  #noteStream(): void {
    this.#streamsUntilTurn = this.#context.reading.turn + STREAM_MEMORY_TURNS;
  }

  #queue(): void {
    this.#isQueued = true;
    this.#context.reading.countQueued(this.#deferredBytes);
    if (this.#deferredBytes > READ_AHEAD_BYTES) this.#session.setReading(false);
    this.#context.reading.queue(this);
  }

  #unqueue(): void {
    if (this.#isQueued) this.#context.reading.countQueued(-this.#deferredBytes);
    this.#isQueued = false;
  }

  /** Nothing waits any more: the connection is read on, if what is read of all has room. */
  #endQueueing(): false {
    if (!this.#mayBringMore) {
      this.#stopAt(this.#context.reading.admission);
      return false;
    }
    this.#unqueue();
    this.#readOn();
    return false;
  }

  #admit(): void {
    this.#waitsAt = undefined;
    this.#session.onWaited(false);
    this.#readOn();
  }

  #readOn(): void {
    this.#deferred = undefined;
    this.#catchUp();
    this.#session.setReading(true);
    this.#session.onNothingWaits();
  }

  #catchUp(): void {
    this.#broughtBytes = 0;
    this.#caughtUpTurn = this.#context.reading.turn;
  }

  #waitAt(gate: Gate): false {
    const { counters, throttle } = this.#context;
    this.#stopAt(gate);
    counters.publisherPauses++;
    if (gate === throttle.gate) this.#noteThrottled();
    return false;
  }

  #stopAt(place: WaitingPlace): void {
    this.#unqueue();
    this.#waitsAt = place;
    this.#session.setReading(false);
    place.wait(this);
  }

  #noteThrottled(): void {
    this.#context.counters.ratePauses++;
    if (this.#hasBeenThrottled) return;
    this.#hasBeenThrottled = true;
    const { remoteAddress, remotePort } = this.#session;
    this.#context.onThrottled(remoteAddress, remotePort);
  }

  #deferAndPause(chunk: Uint8Array): void {
    this.#defer(chunk);
    if (this.#deferredBytes > READ_AHEAD_BYTES) this.#session.setReading(false);
  }

  #defer(chunk: Uint8Array): void {
    this.#deferred ??= new Fifo();
    // In pieces, so that what is read is free although the rest waits.
    for (let start = 0; start < chunk.byteLength; start += PIECE_BYTES) {
      this.#deferred.push(chunk.slice(start, start + PIECE_BYTES));
    }
    this.#countDeferred(chunk.byteLength);
  }

  #countDeferred(bytes: number): void {
    this.#deferredBytes += bytes;
    if (this.#isQueued) this.#context.reading.countQueued(bytes);
    this.#context.budget.countDeferred(bytes);
  }
}
