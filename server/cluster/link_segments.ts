/**
 * What goes over a connection between two processes of one server: a part of a stream that is longer
 * than the connection, and how much of the other way's stream has arrived. Little-endian:
 *
 * ```text
 * u8 0 | u32 n | n bytes of the stream
 * u8 1 | u32 8 | f64 bytes of the other way's stream that have arrived in all
 * u8 2 | u32 8 + n | the same | n bytes of the sender's name: the first segment of each way
 * ```
 *
 * @module
 */

const DATA = 0;
const ACKNOWLEDGEMENT = 1;
const GREETING = 2;

/** Bytes in front of a segment's own. */
export const SEGMENT_HEADER_BYTES = 1 + 4;

const POSITION_BYTES = 8;

/** More than the longest path of a Unix socket. */
const MAX_NAME_BYTES = 256;

/** The most bytes of a segment that isn't data. */
const MAX_CONTROL_BYTES = POSITION_BYTES + MAX_NAME_BYTES;

/**
 * Makes a segment of bytes of the stream.
 *
 * @param bytes The first {@linkcode SEGMENT_HEADER_BYTES} of them are the header's, and are written to.
 */
export function sealSegment(bytes: Uint8Array): void {
  writeHeader(bytes, DATA);
}

/** A segment with a copy of these bytes of the stream. */
export function dataSegment(bytes: Uint8Array): Uint8Array {
  const segment = new Uint8Array(SEGMENT_HEADER_BYTES + bytes.length);
  segment.set(bytes, SEGMENT_HEADER_BYTES);
  writeHeader(segment, DATA);
  return segment;
}

/** Tells how many bytes of the stream have arrived. */
export function acknowledgement(position: number): Uint8Array {
  return control(ACKNOWLEDGEMENT, position, "");
}

/** Tells the same, and who tells it. */
export function greeting(position: number, name: string): Uint8Array {
  return control(GREETING, position, name);
}

/** The other process has sent what it can't have meant. */
export class LinkFault extends Error {
  override readonly name = "LinkFault";
}

/** Receives a connection's segments. */
export interface SegmentSink {
  /** The other process is the one of that name, and has had so many bytes of this process's stream. */
  onGreeting(position: number, name: string): void;
  /** It has had so many bytes in all. */
  onAcknowledged(position: number): void;
  /** Bytes of its stream. Valid only during the call. */
  onBytes(bytes: Uint8Array): void;
}

/** Takes a connection's bytes apart, however they're split. */
export class SegmentDecoder {
  readonly #partial = new Uint8Array(SEGMENT_HEADER_BYTES + MAX_CONTROL_BYTES);
  /** How many bytes there are of a header, or of a segment that isn't data. */
  #length = 0;
  /** How many bytes of data are still to come. */
  #dataBytes = 0;

  /** @throws {LinkFault} where they can't be what another process sends. */
  push(chunk: Uint8Array, sink: SegmentSink): void {
    for (let start = 0; start < chunk.length;) {
      const wanted = this.#dataBytes > 0 ? this.#dataBytes : this.#neededBytes - this.#length;
      const part = chunk.subarray(start, start + wanted);
      start += part.length;
      if (this.#dataBytes > 0) {
        this.#dataBytes -= part.length;
        sink.onBytes(part);
      } else {
        this.#partial.set(part, this.#length);
        this.#length += part.length;
        if (this.#length >= SEGMENT_HEADER_BYTES) this.#take(sink);
      }
    }
  }

  /** How long what isn't complete is, as far as that can be told yet. */
  get #neededBytes(): number {
    if (this.#length < SEGMENT_HEADER_BYTES) return SEGMENT_HEADER_BYTES;
    return SEGMENT_HEADER_BYTES + viewOf(this.#partial).getUint32(1, true);
  }

  /** Takes a header, and a segment that isn't data once it's whole. */
  #take(sink: SegmentSink): void {
    const view = viewOf(this.#partial);
    const kind = view.getUint8(0);
    const bytes = view.getUint32(1, true);
    if (kind === DATA) {
      this.#length = 0;
      this.#dataBytes = bytes;
      return;
    }
    if (kind > GREETING || bytes < POSITION_BYTES || bytes > MAX_CONTROL_BYTES) {
      throw new LinkFault(`no segment of a link: kind ${kind}, ${bytes} bytes`);
    }
    if (this.#length < this.#neededBytes) return;
    this.#length = 0;
    const position = view.getFloat64(SEGMENT_HEADER_BYTES, true);
    if (kind === ACKNOWLEDGEMENT) return sink.onAcknowledged(position);
    const end = SEGMENT_HEADER_BYTES + bytes;
    const name = this.#partial.subarray(SEGMENT_HEADER_BYTES + POSITION_BYTES, end);
    sink.onGreeting(position, new TextDecoder().decode(name));
  }
}

function control(kind: number, position: number, name: string): Uint8Array {
  const nameBytes = new TextEncoder().encode(name);
  if (nameBytes.length > MAX_NAME_BYTES) throw new RangeError(`too long a name: ${name}`);
  const start = SEGMENT_HEADER_BYTES + POSITION_BYTES;
  const segment = new Uint8Array(start + nameBytes.length);
  viewOf(segment).setFloat64(SEGMENT_HEADER_BYTES, position, true);
  segment.set(nameBytes, start);
  writeHeader(segment, kind);
  return segment;
}

function writeHeader(segment: Uint8Array, kind: number): void {
  const view = viewOf(segment);
  view.setUint8(0, kind);
  view.setUint32(1, segment.length - SEGMENT_HEADER_BYTES, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
