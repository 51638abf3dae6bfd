import { siteOf } from "../access/ip_address.ts";
import type { PauseCause } from "../counters.ts";
import { DeferredBytes, MESSAGE_END, PIECE_BYTES } from "../flow/deferred_bytes.ts";
import { type ReadTask, UNITS_PER_PIECE } from "../flow/fair_reader.ts";
import { Gate, type WaitingPlace } from "../flow/gate.ts";
import type { Applicant } from "../flow/read_admission.ts";
import { SMALL_FRAME_BYTES } from "../limits/memory.ts";
import { READ_AHEAD_BYTES } from "../limits/messages.ts";
import type { TokenBucket } from "../timing/token_bucket.ts";
import type { Attempt, InboundSession } from "./inbound_session.ts";
import type { Publisher } from "./publisher.ts";
import type { SessionContext } from "./session_context.ts";

/** Small chunks that one piece takes at most. */
const CHUNKS_PER_PIECE = 16;

/**
 * A client counts as sending without a pause if at least `STREAM_BYTES` are read at once and more wait,
 * or arrive at most `STREAM_TURNS` turns of the loop after everything was read.
 */
const STREAM_BYTES = 2_048;
const STREAM_TURNS = 2;

/** Turns for which a client keeps counting as such: some 0.1 s while the loop is busy. */
const STREAM_MEMORY_TURNS = 32;

/**
 * Keeps the bytes that have arrived on a connection and aren't read yet. They wait for the connection's
 * turn, which comes by itself, or at a gate. Made for a connection that publishes, or whose bytes have
 * to wait.
 *
 * A client waits for others at a gate only between frames. In the middle of a large frame the server
 * reads on: a client that had to wait there could not complete the frame, and so not free its memory. For
 * its own turn, and for its own rate, it may have to wait there; that time doesn't count against the frame.
 */
export class Inbound implements Applicant, ReadTask {
  // The fields up to `undeliveredBytes` belong to the session, which doesn't pay for them while idle.
  /** The client as a publisher, from its first message on. */
  publisher: Publisher | undefined;
  /** Time on the coarse clock at which the client last sent much at once; 0 if it never did. */
  sentMuchMs = 0;
  /**
   * Bytes of the memory budget that an incomplete frame, record or handshake holds, and the time on the
   * coarse clock since which it does.
   */
  unfinishedBytes = 0;
  unfinishedSinceMs = 0;
  /** Bytes that arrived, and that the connection holds undelivered. */
  undeliveredBytes = 0;
  readonly #session: InboundSession;
  readonly #context: SessionContext;
  /** Bounds the client's messages a second; absent without such a limit. */
  readonly #messages: TokenBucket | undefined;
  /** Bounds the client's bytes a second; made with the first piece. */
  #bytes: TokenBucket | undefined;
  #deferred: DeferredBytes | undefined;
  #deferredBytes = 0;
  #waitsAt: WaitingPlace | undefined;
  /** The client's request that waits; nothing behind it is read until it's decided. */
  #attempt: Attempt | undefined;
  #isReadingRest = false;
  #isQueued = false;
  /** Time on the coarse clock since which the client waits, if it does. */
  #waitsSinceMs = 0;
  #hasBeenThrottled = false;
  /** The turn in which the client's bytes were last all read. */
  #caughtUpTurn = 0;
  /** Bytes that have arrived since all earlier ones were read. */
  #broughtBytes = 0;
  /** The turn until which the client counts as sending without a pause. */
  #streamsUntilTurn = 0;
  #site: string | undefined;

  constructor(session: InboundSession, context: SessionContext) {
    this.#session = session;
    this.#context = context;
    this.#messages = context.throttle.newMessageBucket();
  }

  /** True if this object must be kept: the client publishes, sends much, or has an incomplete frame. */
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

  /** The reason why the client waits at a gate; `undefined` if it doesn't. */
  get pauseCause(): PauseCause | undefined {
    return this.#waitsAt instanceof Gate ? this.#waitsAt.cause : undefined;
  }

  /** True if bytes that arrive now have to wait. */
  get isWaiting(): boolean {
    return this.#waitsAt !== undefined || this.#isQueued;
  }

  /** True once the client is gone, so that its deferred bytes are read without a wait. */
  get isReadingRest(): boolean {
    return this.#isReadingRest;
  }

  /** Bytes that have arrived and wait to be read. */
  get deferredBytes(): number {
    return this.#deferredBytes;
  }

  /** Counts a message against the client's rate limit, if there is one. */
  countMessage(): void {
    this.#messages?.take(this.#context.clock.nowMs);
  }

  /** Reads a chunk that has arrived, or defers it. Deferred bytes are copied; the chunk isn't kept. */
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

  /** Notes that a message of a WebSocket ends behind the deferred bytes, of which there are some. */
  deferMessageEnd(): void {
    (this.#deferred ??= new DeferredBytes()).push(MESSAGE_END);
    this.#countDeferred(MESSAGE_END.byteLength);
  }

  readPiece(): boolean {
    if (!this.#isQueued) return false;
    const before = this.#deferredBytes;
    // Much counts also when it's read, since it may have waited at a gate for long.
    if (before > READ_AHEAD_BYTES && this.sentMuchMs !== 0) {
      this.sentMuchMs = this.#context.clock.nowMs;
    }
    for (let chunks = 0; chunks < CHUNKS_PER_PIECE; chunks++) {
      const gate = this.#gate;
      if (gate !== undefined) return this.#waitAt(gate);
      const chunk = this.#deferred?.take();
      if (chunk === undefined) return this.#endQueueing();
      const taken = this.#readPiece(chunk);
      if (!this.#session.isOpen) return false;
      const isWhole = taken === chunk.byteLength;
      if (!isWhole) this.#deferred?.putBack(chunk.subarray(taken));
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
   * Reads no further until the client's request is decided. Must be called from inside
   * {@linkcode InboundSession.read}. Does nothing if the client is gone, since its bytes don't wait.
   *
   * @param attempt Tries the request once more.
   * @param place The first place to wait at.
   */
  waitFor(attempt: Attempt, place: WaitingPlace): void {
    if (this.#isReadingRest) return;
    this.#attempt = attempt;
    this.endPiece();
    this.#stopAt(place);
  }

  /**
   * Ends the current piece behind the current frame, so that the client can be made to wait there.
   * Does nothing if the client is gone, since its bytes don't wait.
   */
  endPiece(): void {
    if (!this.#isReadingRest) this.#context.reading.unitsLeft = 0;
  }

  /** Called when the place at which the client waits lets it go on. */
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
    this.#session.onWaited(this.#endWait(), true);
    // Queued, not read at once: thousands may have waited at the same gate.
    this.#queue();
  }

  /** Reads all deferred bytes now, and ignores gates and rate limits. */
  readDeferred(): void {
    this.#isReadingRest = true;
    const { reading } = this.#context;
    for (;;) {
      const chunk = this.#deferred?.take();
      if (chunk === undefined) return;
      this.#countDeferred(-chunk.byteLength);
      if (chunk === MESSAGE_END) {
        this.#session.endMessage();
        continue;
      }
      reading.beginPiece(Infinity);
      this.#session.read(chunk);
    }
  }

  /** Stops waiting, and drops the deferred bytes. */
  leave(): void {
    this.#waitsAt?.leave(this);
    this.#waitsAt = undefined;
    this.#unqueue();
    this.#deferred = undefined;
    this.#countDeferred(-this.#deferredBytes);
  }

  get #isTooFast(): boolean {
    const { throttle } = this.#context;
    return throttle.isOver(this.#messages) || throttle.isOver(this.#bytes);
  }

  /** True if the client is in the middle of a large frame. */
  get #isMidFrame(): boolean {
    return this.#session.unfinishedBytes > SMALL_FRAME_BYTES;
  }

  /** The gate at which the client should wait now, if any. */
  get #gate(): Gate | undefined {
    const gate = this.#isMidFrame ? undefined : this.#session.publishGate;
    return gate ?? (this.#isTooFast ? this.#context.throttle.gate : undefined);
  }

  #readPiece(chunk: Uint8Array): number {
    if (chunk === MESSAGE_END) {
      this.#session.endMessage();
      return chunk.byteLength;
    }
    const { reading, clock, throttle } = this.#context;
    const piece = chunk.byteLength > PIECE_BYTES ? chunk.subarray(0, PIECE_BYTES) : chunk;
    // Reads only to the end of a large frame if the client has to wait behind it.
    const units = this.#isMidFrame && this.#session.publishGate !== undefined ? 1 : UNITS_PER_PIECE;
    reading.beginPiece(units);
    const taken = this.#session.read(piece);
    reading.endPiece(units, taken);
    (this.#bytes ??= throttle.newByteBucket()).take(clock.nowMs, taken);
    return taken;
  }

  /** True if the connection may be read from its socket: it sends little, or there is room for more. */
  get #mayBringMore(): boolean {
    return !this.#session.hasSentMuch || this.#context.reading.grant();
  }

  /** Resumes the connection before all deferred bytes are read, if they are few. */
  #readAhead(): void {
    if (this.#session.isReading || this.#deferredBytes > READ_AHEAD_BYTES) return;
    if (this.#mayBringMore) this.#session.setReading(true);
  }

  #noteStream(): void {
    this.#streamsUntilTurn = this.#context.reading.turn + STREAM_MEMORY_TURNS;
  }

  #queue(): void {
    this.#beginWait();
    this.#isQueued = true;
    this.#context.reading.countQueued(this.#deferredBytes);
    if (this.#deferredBytes > READ_AHEAD_BYTES) this.#session.setReading(false);
    this.#context.reading.queue(this);
  }

  #beginWait(): void {
    if (!this.isWaiting) this.#waitsSinceMs = this.#context.clock.nowMs;
  }

  /**
   * Takes the time of a wait off the time for which the client's frame has been incomplete.
   *
   * @returns The beginning of the wait.
   */
  #endWait(): number {
    const { clock } = this.#context;
    const sinceMs = this.#waitsSinceMs;
    this.unfinishedSinceMs = clock.withoutWait(this.unfinishedSinceMs, sinceMs);
    this.#waitsSinceMs = clock.nowMs;
    return sinceMs;
  }

  #unqueue(): void {
    if (this.#isQueued) this.#context.reading.countQueued(-this.#deferredBytes);
    this.#isQueued = false;
  }

  /** Resumes the connection once no bytes wait, or waits for admission if there's no room for more. */
  #endQueueing(): false {
    if (!this.#mayBringMore) {
      this.#stopAt(this.#context.reading.admission);
      return false;
    }
    this.#unqueue();
    this.#endWait();
    this.#readOn();
    return false;
  }

  #admit(): void {
    this.#waitsAt = undefined;
    this.#session.onWaited(this.#endWait(), false);
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
    counters.pauses[gate.cause]++;
    if (gate === throttle.gate) this.#noteThrottled();
    return false;
  }

  #stopAt(place: WaitingPlace): void {
    this.#beginWait();
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
    (this.#deferred ??= new DeferredBytes()).add(chunk);
    this.#countDeferred(chunk.byteLength);
  }

  #countDeferred(bytes: number): void {
    this.#deferredBytes += bytes;
    if (this.#isQueued) this.#context.reading.countQueued(bytes);
    this.#context.budget.countDeferred(bytes);
  }
}
