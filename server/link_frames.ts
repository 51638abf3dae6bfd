/**
 * How messages travel between the processes of one server: length-prefixed, since they were checked
 * where they were accepted. Little-endian:
 *
 * ```text
 * u32 bytes of the whole frame | f64 microseconds | u8 1 where a receipt is wanted, else 0
 * | u16 bytes of the topic | topic | message
 * ```
 *
 * @module
 */

const HEADER_BYTES = 4 + 8 + 1 + 2;

/** The first buffer for a turn's messages. */
const INITIAL_BYTES = 4096;

/** Collects the frames of one turn. */
export class LinkEncoder {
  readonly #text = new TextEncoder();
  #bytes = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  #topic = "";
  #topicBytes = new Uint8Array();

  /** Bytes collected. */
  get byteLength(): number {
    return this.#length;
  }

  /** @param message Copied. */
  append(topic: string, micros: number, message: Uint8Array, wantsReceipt: boolean): void {
    if (topic !== this.#topic) {
      this.#topic = topic;
      this.#topicBytes = this.#text.encode(topic);
    }
    const topicBytes = this.#topicBytes;
    const start = this.#length;
    const end = start + HEADER_BYTES + topicBytes.length + message.length;
    if (end > this.#bytes.length) this.#grow(end);
    this.#view.setUint32(start, end - start, true);
    this.#view.setFloat64(start + 4, micros, true);
    this.#view.setUint8(start + 12, wantsReceipt ? 1 : 0);
    this.#view.setUint16(start + 13, topicBytes.length, true);
    this.#bytes.set(topicBytes, start + HEADER_BYTES);
    this.#bytes.set(message, start + HEADER_BYTES + topicBytes.length);
    this.#length = end;
  }

  /** What was collected, in a buffer that nobody else writes to. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  #grow(needed: number): void {
    const bytes = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

/** Whoever receives the frames of a link. */
export interface LinkFrames {
  /** @param message Valid only during the call. */
  onForwarded(topic: string, micros: number, message: Uint8Array, wantsReceipt: boolean): void;
}

/** Takes a link's frames apart, however they're split. */
export class LinkDecoder {
  readonly #text = new TextDecoder();
  #partial = new Uint8Array();

  push(chunk: Uint8Array, sink: LinkFrames): void {
    const bytes = this.#partial.length === 0 ? chunk : joined(this.#partial, chunk);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let start = 0;
    while (bytes.length - start >= HEADER_BYTES) {
      const end = start + view.getUint32(start, true);
      if (end > bytes.length) break;
      const topicEnd = start + HEADER_BYTES + view.getUint16(start + 13, true);
      const topic = this.#text.decode(bytes.subarray(start + HEADER_BYTES, topicEnd));
      const micros = view.getFloat64(start + 4, true);
      const wantsReceipt = view.getUint8(start + 12) === 1;
      sink.onForwarded(topic, micros, bytes.subarray(topicEnd, end), wantsReceipt);
      start = end;
    }
    this.#partial = bytes.slice(start);
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
