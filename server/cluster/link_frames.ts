/**
 * The frames of messages between the processes of one server. They have a length prefix, and aren't checked
 * again, since the process that accepted a message has checked it. Little-endian:
 *
 * ```text
 * u32 bytes of the whole frame | f64 microseconds | u8 kind | u16 bytes of the topic | topic | message
 * ```
 *
 * The kind is 0 for a message, 1 for one that wants a receipt, or one of {@linkcode LinkControl}; these have
 * no topic.
 *
 * @module
 */

import type { BufferPool } from "../../protocol/framing/buffer_pool.ts";
import { FrameBuffer } from "../../protocol/framing/frame_buffer.ts";
import { TopicSpellings } from "../../protocol/topic_spellings.ts";

const HEADER_BYTES = 4 + 8 + 1 + 2;

/**
 * The frames that aren't messages.
 *
 * - `HELLO`: the first frame of a link: the sender's origin, and its timestamp up to which messages don't come
 *   over this link.
 * - `BYE`: the last one: the sender ends, and has sent everything.
 * - `WANT`: wants the receiver's history: for each origin (in JSON, by name) up to which timestamp.
 * - `RECORD`: a record of the history that was asked for.
 * - `MACHINES`: something that concerns other machines of a cluster.
 */
export type LinkControl =
  | typeof HELLO
  | typeof BYE
  | typeof WANT
  | typeof RECORD
  | typeof MACHINES;
export const HELLO = 2;
export const BYE = 3;
export const WANT = 4;
export const RECORD = 5;
export const MACHINES = 6;

/** The bytes of UTF-8 that one unit of a string takes at most. */
const MAX_BYTES_PER_UNIT = 3;

/** The first buffer for a turn's messages, in bytes. */
const INITIAL_BYTES = 4096;

/** Collects the frames of one turn. */
export class LinkEncoder {
  readonly #text = new TextEncoder();
  readonly #headerBytes: number;
  #bytes = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length: number;

  /** @param headerBytes The bytes to leave free in front of the frames. */
  constructor(headerBytes = 0) {
    this.#headerBytes = this.#length = headerBytes;
  }

  /** Bytes collected. */
  get byteLength(): number {
    return this.#length - this.#headerBytes;
  }

  /** @param message Copied. */
  append(topic: string, micros: number, message: Uint8Array, wantsReceipt: boolean): void {
    this.#append(topic, micros, message, wantsReceipt ? 1 : 0);
  }

  /** @param payload Copied. */
  appendControl(kind: LinkControl, micros: number, payload: Uint8Array): void {
    this.#append("", micros, payload, kind);
  }

  #append(topic: string, micros: number, message: Uint8Array, kind: number): void {
    const start = this.#length;
    const most = start + HEADER_BYTES + topic.length * MAX_BYTES_PER_UNIT + message.length;
    if (most > this.#bytes.length) this.#grow(most);
    const topicEnd = this.#writeText(topic, start + HEADER_BYTES);
    const end = topicEnd + message.length;
    this.#view.setUint32(start, end - start, true);
    this.#view.setFloat64(start + 4, micros, true);
    this.#view.setUint8(start + 12, kind);
    this.#view.setUint16(start + 13, topicEnd - start - HEADER_BYTES, true);
    this.#bytes.set(message, topicEnd);
    this.#length = end;
  }

  /** Writes text as UTF-8 and returns the offset behind it. */
  #writeText(text: string, offset: number): number {
    const bytes = this.#bytes;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) return offset + this.#text.encodeInto(text, bytes.subarray(offset)).written;
      bytes[offset + i] = unit;
    }
    return offset + text.length;
  }

  /** Takes what was collected, as a new buffer that the caller owns. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = this.#headerBytes;
    return bytes;
  }

  #grow(needed: number): void {
    const bytes = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

/** Receives the frames of a link. */
export interface LinkFrames {
  /** @param message Valid only during the call. */
  onForwarded(topic: string, micros: number, message: Uint8Array, wantsReceipt: boolean): void;
  /** @param payload Valid only during the call. */
  onControl(kind: LinkControl, micros: number, payload: Uint8Array): void;
}

/** Cuts a link's bytes into frames, however they are split. */
export class LinkDecoder {
  readonly #text = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #partial: FrameBuffer;
  readonly #topics: TopicSpellings;

  /**
   * @param pool Lends buffers for frames that come in pieces.
   * @param topics Remembers topics by their UTF-8. Other links may use it too.
   */
  constructor(pool: BufferPool, topics: TopicSpellings = new TopicSpellings()) {
    this.#topics = topics;
    this.#partial = new FrameBuffer(Infinity, pool);
  }

  push(chunk: Uint8Array, sink: LinkFrames): void {
    let start = this.#partial.length === 0 ? 0 : this.#continue(chunk, sink);
    const view = viewOf(chunk);
    while (chunk.length - start >= HEADER_BYTES) {
      const end = start + view.getUint32(start, true);
      if (end > chunk.length) break;
      this.#deliver(chunk, view, start, end, sink);
      start = end;
    }
    if (start === chunk.length) return;
    this.#partial.append(chunk, start, chunk.length);
    this.#reserve();
  }

  /** Frees the buffer of a partial frame. The decoder must not be used again. */
  discard(): void {
    this.#partial.release();
  }

  /**
   * Continues the partial frame.
   *
   * @returns The number of the chunk's bytes that this takes.
   */
  #continue(chunk: Uint8Array, sink: LinkFrames): number {
    const partial = this.#partial;
    let start = 0;
    if (partial.length < HEADER_BYTES) {
      start = Math.min(HEADER_BYTES - partial.length, chunk.length);
      partial.append(chunk, 0, start);
      this.#reserve();
      if (partial.length < HEADER_BYTES) return start;
    }
    const byteLength = viewOf(partial.bytes).getUint32(0, true);
    const end = Math.min(chunk.length, start + byteLength - partial.length);
    partial.append(chunk, start, end);
    if (partial.length < byteLength) return end;
    const { bytes } = partial;
    try {
      this.#deliver(bytes, viewOf(bytes), 0, byteLength, sink);
    } finally {
      partial.release();
    }
    return end;
  }

  /** Makes room for the whole frame once its length is known. */
  #reserve(): void {
    const { bytes, length } = this.#partial;
    if (length >= HEADER_BYTES) this.#partial.reserve(viewOf(bytes).getUint32(0, true));
  }

  #deliver(bytes: Uint8Array, view: DataView, start: number, end: number, sink: LinkFrames): void {
    const topicStart = start + HEADER_BYTES;
    const topicEnd = topicStart + view.getUint16(start + 13, true);
    const topic = this.#topics.find(bytes, topicStart, topicEnd) ??
      this.#decodeTopic(bytes, topicStart, topicEnd);
    const micros = view.getFloat64(start + 4, true);
    const kind = view.getUint8(start + 12);
    if (kind > 1) {
      return sink.onControl(kind as LinkControl, micros, bytes.subarray(topicEnd, end));
    }
    const wantsReceipt = kind === 1;
    sink.onForwarded(topic, micros, bytes.subarray(topicEnd, end), wantsReceipt);
  }

  #decodeTopic(bytes: Uint8Array, start: number, end: number): string {
    const topic = this.#text.decode(bytes.subarray(start, end));
    this.#topics.remember(bytes, start, end, topic);
    return topic;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
