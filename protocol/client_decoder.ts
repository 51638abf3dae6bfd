/**
 * Decodes a client's bytes into frames, on the server's side.
 *
 * @module
 */

import { decodeAction } from "./action.ts";
import { type BufferPool, NEW_BUFFERS } from "./framing/buffer_pool.ts";
import type { ClientFrames } from "./client_frames.ts";
import { ProtocolError } from "./errors.ts";
import { matchMarker } from "./first_bytes.ts";
import { FrameBuffer } from "./framing/frame_buffer.ts";
import { CLIENT_TERMINATOR, isJsonSpace, isWord, utf8Bytes } from "./framing/frames.ts";
import { MessageScanner } from "./message_scanner.ts";
import { INCOMPLETE, MALFORMED } from "./json/object_scanner.ts";
import { quoteByte } from "./json/printable.ts";
import { TopicSpellings } from "./topic_spellings.ts";

/** Limits of a {@linkcode ClientDecoder}; one object may serve all. */
export interface ClientDecoderLimits {
  /** The longest frame or MESSAGE, in bytes without its terminator; at least {@linkcode MIN_FRAME_LIMIT_BYTES}. */
  readonly maxFrameBytes: number;
  /** True if MESSAGE counts only when its terminator is there; otherwise when its object is complete. */
  readonly demandsTerminator?: boolean;
}

/** The least frame limit: room for the protocol's words and a subscribe to a short topic. */
export const MIN_FRAME_LIMIT_BYTES = 64;

const PUBLISH = utf8Bytes("PUBLISH");
/** The same with its terminator. */
const PUBLISH_FRAME = utf8Bytes("PUBLISH\0");
const PING = utf8Bytes("PING");
const PONG = utf8Bytes("PONG");
const REGULAR_SOCKET = utf8Bytes("<regular-socket/>");

/** Between frames, or in one that isn't MESSAGE. */
const FRAME = 0;
/** After `PUBLISH`, with nothing of MESSAGE but whitespace. */
const BEFORE_MESSAGE = 1;
/** As before, and in a `<regular-socket/>` that stands there. */
const MARKER = 2;
/** Between MESSAGE's brackets. */
const IN_MESSAGE = 3;
/** MESSAGE is complete, its terminator hasn't come. */
const AFTER_MESSAGE = 4;
/** Nothing is decoded any more. */
const DISCARDED = 5;

/** The client hasn't completed a frame. */
const UNKNOWN = 0;
/** Its first frame was `<regular-socket/>`, and none was new since. */
const OF_2009 = 1;
/** All others. */
const OF_TODAY = 2;

/**
 * Decodes one client's stream, in chunks of any size. Between frames it holds no memory but its own few
 * fields.
 *
 * This decoder's reading of the protocol where several are possible:
 *
 * - A frame outside MESSAGE is checked when its terminator is there; MESSAGE byte by byte.
 * - An action frame may have JSON whitespace around its object; the other words stand alone.
 * - Between `PUBLISH` and MESSAGE, whitespace belongs to MESSAGE: nothing but more of it and the
 *   object may follow. What stands there and is neither empty, nor `<regular-socket/>`, nor
 *   whitespace, nor an object is `bad_message` at its first wrong byte.
 * - MESSAGE's faults in its members are `bad_message` at its closing bracket.
 * - The frame limit holds for MESSAGE's object alone, and again for each run of whitespace around it.
 *   A frame that is both too long and malformed is refused for whatever shows first.
 */
export class ClientDecoder {
  /** Kept whole, since a field more would cost each idle connection memory. */
  readonly #limits: ClientDecoderLimits;
  readonly #pool: BufferPool;
  #mode = FRAME;
  /** Bytes of whitespace, or of the marker, in the modes that count them. */
  #run = 0;
  #client = UNKNOWN;
  #partial: FrameBuffer | undefined;
  #scanner: MessageScanner | undefined;
  readonly #spellings: TopicSpellings;

  /**
   * @param pool Lends memory for incomplete frames. Other decoders may use it too.
   * @param spellings Remembers topics. Other decoders may use it too.
   * @throws {RangeError} if the limit isn't a whole number of at least 64.
   */
  constructor(
    limits: ClientDecoderLimits,
    pool: BufferPool = NEW_BUFFERS,
    spellings: TopicSpellings = new TopicSpellings(),
  ) {
    const { maxFrameBytes } = limits;
    if (!Number.isSafeInteger(maxFrameBytes) || maxFrameBytes < MIN_FRAME_LIMIT_BYTES) {
      throw new RangeError(
        `The frame limit must be a whole number of at least ${MIN_FRAME_LIMIT_BYTES} bytes, not ${maxFrameBytes}`,
      );
    }
    this.#limits = limits;
    this.#pool = pool;
    this.#spellings = spellings;
  }

  /** True if the client has completed a frame of any kind, even an empty one. */
  get completedFrame(): boolean {
    return this.#client !== UNKNOWN;
  }

  /**
   * True if the client is one of 2009, as far as is known: it began with `<regular-socket/>`, or has sent
   * nothing but the beginning of that, and has done nothing new since (`authenticate`, a publish for a
   * receipt, a terminated MESSAGE, a subscribe with `resume` or `PONG`). It may still be read when {@linkcode push} has thrown.
   */
  get isLegacy(): boolean {
    if (this.#client !== UNKNOWN) return this.#client === OF_2009;
    const partial = this.#partial;
    return partial !== undefined &&
      matchMarker(partial.bytes, partial.length, 0) === partial.length;
  }

  /** Bytes of memory held for an incomplete frame; 0 between frames. */
  get heldBytes(): number {
    return (this.#partial?.capacity ?? 0) + (this.#scanner?.heldBytes ?? 0);
  }

  /**
   * True if a MESSAGE was published and its terminator hasn't arrived, as on the connection of a 2009
   * publisher, which never sends one. Whitespace behind MESSAGE changes nothing.
   */
  get awaitsTerminator(): boolean {
    return this.#mode === AFTER_MESSAGE && !this.#limits.demandsTerminator;
  }

  /** True if a MESSAGE is complete but for its terminator, which is demanded. */
  get lacksTerminator(): boolean {
    return this.#mode === AFTER_MESSAGE && this.#limits.demandsTerminator === true;
  }

  /**
   * Releases the memory of an incomplete frame; `sink` gets nothing more. May be called from inside
   * `sink`, and must be called after {@linkcode push} has thrown.
   */
  discard(): void {
    this.#mode = DISCARDED;
    this.#partial?.release();
    this.#partial = undefined;
    this.#scanner?.release();
    this.#scanner = undefined;
  }

  /**
   * Takes the next bytes and calls `sink` once for each frame that they complete, in order. Must not
   * be called from inside `sink`. The chunk is only read, and not kept.
   *
   * @returns the number of bytes it took: all, unless `sink` had enough after a frame.
   * @throws {ProtocolError} at the first violation; the frames before it have been delivered. What
   * `sink` throws passes through. Either way the decoder must not be used again.
   */
  push(chunk: Uint8Array, sink: ClientFrames): number {
    const end = chunk.length;
    let pos = 0;
    while (pos < end) {
      switch (this.#mode) {
        case FRAME:
          pos = this.#scanFrame(chunk, pos, sink);
          break;
        case BEFORE_MESSAGE:
          pos = this.#scanBeforeMessage(chunk, pos, sink);
          break;
        case MARKER:
          pos = this.#scanMarker(chunk, pos, sink);
          break;
        case IN_MESSAGE:
          pos = this.#continueMessage(chunk, pos, sink);
          break;
        case AFTER_MESSAGE:
          pos = this.#scanAfterMessage(chunk, pos, sink);
          break;
        case DISCARDED:
          return end;
      }
      if (this.#partial === undefined && sink.hasEnough) break;
    }
    if (this.#mode !== IN_MESSAGE) this.#scanner = undefined;
    else this.#scanner?.leaveChunk();
    return pos;
  }

  #scanFrame(chunk: Uint8Array, pos: number, sink: ClientFrames): number {
    if (this.#partial === undefined && isPublishFrame(chunk, pos)) {
      this.#beginPublish();
      return pos + PUBLISH_FRAME.length;
    }
    const terminator = chunk.indexOf(CLIENT_TERMINATOR, pos);
    const isComplete = terminator !== -1;
    const end = isComplete ? terminator : chunk.length;
    const held = this.#partial;
    if ((held?.length ?? 0) + end - pos > this.#limits.maxFrameBytes) {
      // A frame that is too long isn't the marker, though it may begin like it.
      if (this.#client === UNKNOWN) this.#client = OF_TODAY;
      throw this.#tooLarge("A frame");
    }
    if (held === undefined && isComplete) {
      this.#completeFrame(chunk, pos, end, sink);
      return end + 1;
    }
    const partial = this.#hold(chunk, pos, end);
    if (!isComplete) return end;
    this.#partial = undefined;
    try {
      this.#completeFrame(partial.bytes, 0, partial.length, sink);
    } finally {
      partial.release();
    }
    return end + 1;
  }

  #completeFrame(bytes: Uint8Array, start: number, end: number, sink: ClientFrames): void {
    if (this.#client === UNKNOWN) {
      this.#client = isWord(bytes, start, end, REGULAR_SOCKET) ? OF_2009 : OF_TODAY;
    }
    if (isWord(bytes, start, end, PUBLISH)) this.#beginPublish();
    else if (isWord(bytes, start, end, PONG)) {
      this.#client = OF_TODAY;
      sink.onIdleFrame();
    } else if (
      start === end ||
      isWord(bytes, start, end, REGULAR_SOCKET) ||
      isWord(bytes, start, end, PING)
    ) {
      sink.onIdleFrame();
    } else {
      const frame = decodeAction(bytes, start, end, this.#spellings);
      // Clients of 2009 only subscribe and unsubscribe.
      const isLegacy = frame.action === "unsubscribe" ||
        frame.action === "subscribe" && frame.resume === undefined;
      if (!isLegacy) this.#client = OF_TODAY;
      if (frame.action === "authenticate") sink.onAuthenticate(frame.key);
      else if (frame.action === "publish") sink.onPublishForReceipt(frame.topic, frame.message);
      else if (frame.action === "subscribe") sink.onSubscribe(frame.topic, frame.resume);
      else sink.onUnsubscribe(frame.topic);
    }
  }

  #beginPublish(): void {
    if (this.#client === UNKNOWN) this.#client = OF_TODAY;
    this.#mode = BEFORE_MESSAGE;
    this.#run = 0;
  }

  #scanBeforeMessage(chunk: Uint8Array, pos: number, sink: ClientFrames): number {
    const byte = chunk[pos]!;
    if (byte === 0x7b) return this.#beginMessage(chunk, pos, sink);
    if (isJsonSpace(byte)) {
      this.#countSpace();
      return pos + 1;
    }
    if (this.#run === 0) {
      if (byte === CLIENT_TERMINATOR) {
        sink.onIdleFrame();
        return pos + 1;
      }
      if (byte === REGULAR_SOCKET[0]) {
        this.#mode = MARKER;
        this.#run = 1;
        return pos + 1;
      }
    }
    throw new ProtocolError(
      "bad_message",
      `MESSAGE is not a JSON object: it begins with ${quoteByte(byte)}`,
    );
  }

  #scanMarker(chunk: Uint8Array, pos: number, sink: ClientFrames): number {
    const byte = chunk[pos]!;
    if (byte === REGULAR_SOCKET[this.#run]) {
      this.#run++;
    } else if (this.#run === REGULAR_SOCKET.length && byte === CLIENT_TERMINATOR) {
      this.#mode = BEFORE_MESSAGE;
      this.#run = 0;
      sink.onIdleFrame();
    } else {
      throw new ProtocolError(
        "bad_message",
        `MESSAGE is not a JSON object: it begins with "<" and is not <regular-socket/>`,
      );
    }
    return pos + 1;
  }

  #beginMessage(chunk: Uint8Array, pos: number, sink: ClientFrames): number {
    const scanner = this.#scanner ??= new MessageScanner(this.#pool);
    const limit = Math.min(chunk.length, pos + this.#limits.maxFrameBytes);
    const end = scanner.scanNext(chunk, pos, limit);
    if (end >= 0) {
      this.#enterAfterMessage();
      if (this.#mayPublish(chunk, end)) this.#publish(chunk, pos, end, sink);
      else this.#hold(chunk, pos, end);
      // `sink` may have ended it all.
      if (chunk[end] !== CLIENT_TERMINATOR || this.#mode !== AFTER_MESSAGE) return end;
      this.#endPublish();
      return end + 1;
    }
    if (end === MALFORMED) throw this.#malformed(chunk, pos);
    this.#hold(chunk, pos, limit);
    this.#mode = IN_MESSAGE;
    return limit;
  }

  #continueMessage(chunk: Uint8Array, pos: number, sink: ClientFrames): number {
    const scanner = this.#scanner!;
    const held = this.#partial!.length;
    const room = this.#limits.maxFrameBytes - held;
    if (room === 0) throw this.#tooLarge("MESSAGE");
    // No object contains a NUL. Searching for it avoids copying the frames behind this one.
    const terminator = chunk.indexOf(CLIENT_TERMINATOR, pos);
    const end = Math.min(terminator === -1 ? chunk.length : terminator + 1, pos + room);
    const partial = this.#hold(chunk, pos, end);
    const objectEnd = scanner.scan(partial.bytes, held, partial.length);
    if (objectEnd === MALFORMED) throw this.#malformed(partial.bytes, 0);
    if (objectEnd === INCOMPLETE) return end;
    const objectEndInChunk = pos + objectEnd - held;
    this.#enterAfterMessage();
    if (this.#mayPublish(chunk, objectEndInChunk)) this.#publishHeld(objectEnd, sink);
    else partial.truncate(objectEnd);
    return objectEndInChunk;
  }

  /** True if MESSAGE needs no terminator, or its own is the next byte. */
  #mayPublish(chunk: Uint8Array, end: number): boolean {
    return !this.#limits.demandsTerminator || chunk[end] === CLIENT_TERMINATOR;
  }

  /** Publishes MESSAGE, which was held and ends at offset `end`. */
  #publishHeld(end: number, sink: ClientFrames): void {
    const partial = this.#partial!;
    this.#partial = undefined;
    try {
      this.#publish(partial.bytes, 0, end, sink);
    } finally {
      partial.release();
    }
  }

  #enterAfterMessage(): void {
    this.#mode = AFTER_MESSAGE;
    this.#run = 0;
  }

  #publish(bytes: Uint8Array, start: number, end: number, sink: ClientFrames): void {
    const topic = this.#scanner!.readTopic(bytes, start, this.#spellings);
    sink.onPublish(topic, bytes.subarray(start, end));
  }

  #scanAfterMessage(chunk: Uint8Array, pos: number, sink: ClientFrames): number {
    const byte = chunk[pos]!;
    if (byte === CLIENT_TERMINATOR) {
      this.#endPublish();
      if (this.#partial !== undefined) this.#publishLate(this.#partial, sink);
    } else if (isJsonSpace(byte)) this.#countSpace();
    else {
      throw new ProtocolError(
        "bad_frame",
        `Between MESSAGE and its NUL stands ${quoteByte(byte)}`,
      );
    }
    return pos + 1;
  }

  /** The terminator of MESSAGE has come. */
  #endPublish(): void {
    this.#mode = FRAME;
    this.#client = OF_TODAY;
  }

  /** Publishes a MESSAGE that was held until its terminator came. What was scanned of it is forgotten. */
  #publishLate({ bytes, length }: FrameBuffer, sink: ClientFrames): void {
    const scanner = this.#scanner ??= new MessageScanner(this.#pool);
    scanner.scanAlone(bytes, 0, length);
    this.#publishHeld(length, sink);
  }

  /** Counts a byte of whitespace around MESSAGE. */
  #countSpace(): void {
    if (++this.#run > this.#limits.maxFrameBytes) {
      throw this.#tooLarge("The whitespace around MESSAGE");
    }
  }

  #hold(chunk: Uint8Array, from: number, to: number): FrameBuffer {
    const partial = this.#partial ??= new FrameBuffer(this.#limits.maxFrameBytes, this.#pool);
    partial.append(chunk, from, to);
    return partial;
  }

  #malformed(bytes: Uint8Array, origin: number): ProtocolError {
    return new ProtocolError(
      "bad_message",
      `MESSAGE is not JSON: ${this.#scanner!.problem(bytes, origin)}`,
    );
  }

  #tooLarge(what: string): ProtocolError {
    return new ProtocolError(
      "frame_too_large",
      `${what} is longer than ${this.#limits.maxFrameBytes} bytes`,
    );
  }
}

/** True if the frame at `pos` is `PUBLISH`, whole. Of all frames that one comes most often. */
function isPublishFrame(chunk: Uint8Array, pos: number): boolean {
  return isWord(chunk, pos, pos + PUBLISH_FRAME.length, PUBLISH_FRAME);
}
