/**
 * The segments that go over a connection between two processes of one server: parts of a stream that
 * outlives the connection, and acknowledgements of the other way's stream. Little-endian:
 *
 * ```text
 * u8 0 | u32 n | n bytes of the stream
 * u8 1 | u32 8 | f64 total of the other way's bytes that have arrived
 * u8 2 | u32 8 + n | the same | n bytes of the sender's name: the first segment of each way
 * ```
 *
 * @module
 */

const DATA = 0;
const ACKNOWLEDGEMENT = 1;
const GREETING = 2;

/** Bytes of a segment's header. */
export const SEGMENT_HEADER_BYTES = 1 + 4;

const POSITION_BYTES = 8;

/** More than the longest path of a Unix socket. */
const MAX_NAME_BYTES = 256;

/** The most bytes of a segment that isn't data. */
const MAX_CONTROL_BYTES = POSITION_BYTES + MAX_NAME_BYTES;

/**
 * Makes a data segment in place.
 *
 * @param bytes The first {@linkcode SEGMENT_HEADER_BYTES} are overwritten with the header.
 */
export function sealSegment(bytes: Uint8Array): void {
  writeHeader(bytes, DATA);
}

/** Makes a data segment with a copy of these bytes. */
export function dataSegment(bytes: Uint8Array): Uint8Array {
  const segment = new Uint8Array(SEGMENT_HEADER_BYTES + bytes.length);
  segment.set(bytes, SEGMENT_HEADER_BYTES);
  writeHeader(segment, DATA);
  return segment;
}

/** Makes a segment that says how many bytes of the stream have arrived. */
export function acknowledgement(position: number): Uint8Array {
  return control(ACKNOWLEDGEMENT, position, "");
}

/** Makes the first segment of a connection: the same number, and this process's name. */
export function greeting(position: number, name: string): Uint8Array {
  return control(GREETING, position, name);
}

/** The other process has sent bytes that are no valid segment. */
export class LinkFault extends Error {
  override readonly name = "LinkFault";
}

/** Receives a connection's segments. */
export interface SegmentSink {
  /** The other process says its name, and how many bytes of this process's stream it has. */
  onGreeting(position: number, name: string): void;
  /** The other process has so many bytes of this process's stream in all. */
  onAcknowledged(position: number): void;
  /** Bytes of its stream. Valid only during the call. */
  onBytes(bytes: Uint8Array): void;
}

/** Cuts a connection's bytes into segments, however they are split. */
export class SegmentDecoder {
  readonly #partial = new Uint8Array(SEGMENT_HEADER_BYTES + MAX_CONTROL_BYTES);
  /** The bytes that have come of a header, or of a segment that isn't data. */
  #length = 0;
  /** The bytes of data that are still to come. */
  #dataBytes = 0;

  /** @throws {LinkFault} if the bytes are no valid segment. */
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

  /** The partial segment's length in bytes, as far as it is known yet. */
  get #neededBytes(): number {
    if (this.#length < SEGMENT_HEADER_BYTES) return SEGMENT_HEADER_BYTES;
    return SEGMENT_HEADER_BYTES + viewOf(this.#partial).getUint32(1, true);
  }

  /** Takes a header, or a complete segment that isn't data. */
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
