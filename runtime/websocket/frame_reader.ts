/**
 * Reads a peer's WebSocket frames (RFC 6455, section 5), without extensions.
 *
 * @module
 */

import { MAX_CONTROL_BYTES, OPCODES } from "./frames.ts";
import { BETWEEN_CHARACTERS, checkUtf8, NOT_UTF8 } from "./utf8.ts";

/** The codes with which a connection is closed (section 7.4.1), as far as this side sends them. */
export const CLOSE_CODES = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  notUtf8: 1007,
  policy: 1008,
  tooBig: 1009,
  serverError: 1011,
} as const;

/** A peer broke the rules of WebSocket. */
export class WebSocketViolation extends Error {
  override readonly name = "WebSocketViolation";
  /** The code of the close frame. */
  readonly closeCode: number;

  /** @param message The fault in one line of plain text, for the peer's developer. */
  constructor(closeCode: number, message: string) {
    super(message);
    this.closeCode = closeCode;
  }
}

/** The receiver of what a {@linkcode FrameReader} reads. */
export interface FrameSink {
  /** True if nothing more should be read at the moment. */
  readonly isPaused: boolean;
  /** The bytes of one or more messages or parts of them. Valid only during the call; never empty. */
  onPayload(bytes: Uint8Array): void;
  /** A message has ended. Not called for one whose last byte is 0, so that several come as one payload. */
  onMessageEnd(): void;
  /** Called for each frame without payload of a message, and each control frame. */
  onIdleFrame(): void;
  /** A ping, whose payload is valid only during the call. */
  onPing(payload: Uint8Array): void;
  onPong(): void;
  /**
   * The peer closes, and sends nothing more that counts.
   *
   * @param code Absent if the peer gave none.
   */
  onPeerClose(code: number | undefined): void;
}

/** The length of a data frame's head: the first two bytes, the longest length, and the mask. */
const MAX_HEAD_BYTES = 14;

/** Payloads are unmasked into a buffer of so many bytes. */
export const SCRATCH_BYTES = 64 * 1024;

/** Bytes of the heap that a reader takes: 300 on Bun, and 370 on Deno. */
const OWN_BYTES = 384;

const nothing = new Uint8Array(0);

/**
 * Reads one peer's frames, in chunks of any size. Payloads are handed on as they come, whole frames or not;
 * so a peer can make it hold no more than a control frame's bytes.
 */
export class FrameReader {
  /** True if frames must be masked, as a client's are; otherwise they must not be. */
  readonly #isFromClient: boolean;
  /** The buffer in which payloads are unmasked; all readers share it. */
  readonly #scratch: Uint8Array;
  /** The payload bytes in it that haven't been handed on. */
  #ready = 0;
  readonly #head = new Uint8Array(MAX_HEAD_BYTES);
  /** The bytes of the head that are there. */
  #headBytes = 0;
  /** The bytes that its first two bytes say it has; 2 before these are there. */
  #headLength = 2;
  /** True while the payload behind it is read. */
  #isInPayload = false;
  #opcode = 0;
  #isFinal = false;
  /** The payload's bytes that haven't come, and the number of those that have. */
  #left = 0;
  #done = 0;
  /** The opcode of the message that isn't complete; 0 between messages. */
  #message = 0;
  /** The state of the check of its text. */
  #utf8 = BETWEEN_CHARACTERS;
  /** The last byte of payload. */
  #lastByte = 0;
  #control = nothing;
  #hasPeerClosed = false;

  /** @param scratch A buffer of {@linkcode SCRATCH_BYTES} bytes, used during {@linkcode push} only. */
  constructor(isFromClient: boolean, scratch: Uint8Array) {
    this.#isFromClient = isFromClient;
    this.#scratch = scratch;
  }

  /** True between messages: another connection may use the reader. */
  get isAtRest(): boolean {
    return this.#headBytes === 0 && this.#message === 0 && !this.#hasPeerClosed;
  }

  /** The bytes of memory that it takes, a control frame's payload among them. */
  get heldBytes(): number {
    return OWN_BYTES + this.#control.length;
  }

  /**
   * Reads a chunk. It is only read, and not kept.
   *
   * @returns The number of bytes it took: all, unless `sink` was paused.
   * @throws {WebSocketViolation} at the first violation; what came before it has been handed on.
   */
  push(chunk: Uint8Array, sink: FrameSink): number {
    let pos = 0;
    try {
      while (pos < chunk.length && !this.#hasPeerClosed) {
        pos = this.#isInPayload ? this.#readPayload(chunk, pos, sink) : this.#readHead(chunk, pos);
        if (this.#isInPayload && this.#left === 0) this.#endFrame(sink);
        if (sink.isPaused && this.#ready === 0) return pos;
      }
    } finally {
      this.#flush(sink);
    }
    return this.#hasPeerClosed ? chunk.length : pos;
  }

  #readHead(chunk: Uint8Array, pos: number): number {
    const head = this.#head;
    while (pos < chunk.length) {
      head[this.#headBytes++] = chunk[pos++]!;
      if (this.#headBytes === 2) this.#headLength = this.#checkStart(head[0]!, head[1]!);
      if (this.#headBytes < this.#headLength) continue;
      this.#left = this.#payloadLength(head[1]! & 0x7f);
      this.#done = 0;
      this.#isInPayload = true;
      if (this.#opcode >= OPCODES.close) this.#control = new Uint8Array(this.#left);
      break;
    }
    return pos;
  }

  /** @returns The length of the head. */
  #checkStart(first: number, second: number): number {
    const opcode = this.#opcode = first & 0x0f;
    const isFinal = this.#isFinal = (first & 0x80) !== 0;
    const length = second & 0x7f;
    const isMasked = (second & 0x80) !== 0;
    if ((first & 0x70) !== 0) {
      throw broken("A frame has a reserved bit, and no extension is in use");
    }
    if (isMasked !== this.#isFromClient) {
      throw broken(isMasked ? "A server's frame is masked" : "A client's frame isn't masked");
    }
    if (opcode >= OPCODES.close) {
      if (opcode > OPCODES.pong) throw broken(`A control frame has the reserved opcode ${opcode}`);
      if (!isFinal) throw broken("A control frame is fragmented");
      if (length > MAX_CONTROL_BYTES) {
        throw broken(`A control frame has more than ${MAX_CONTROL_BYTES} bytes`);
      }
    } else if (opcode === OPCODES.continuation) {
      if (this.#message === 0) throw broken("A continuation frame continues no message");
    } else if (opcode > OPCODES.binary) {
      throw broken(`A frame has the reserved opcode ${opcode}`);
    } else if (this.#message !== 0) {
      throw broken("A message begins before the last one has ended");
    } else {
      this.#message = opcode;
      this.#utf8 = BETWEEN_CHARACTERS;
    }
    return 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + (isMasked ? 4 : 0);
  }

  #payloadLength(length: number): number {
    const head = this.#head;
    if (length < 126) return length;
    if (length === 126) {
      const bytes = head[2]! << 8 | head[3]!;
      if (bytes < 126) throw broken("A frame's length isn't spelled as short as it can be");
      return bytes;
    }
    const bytes = new DataView(head.buffer).getBigUint64(2);
    if (bytes >> 63n !== 0n) throw broken("A frame's length has its highest bit set");
    if (bytes <= 0xffffn) throw broken("A frame's length isn't spelled as short as it can be");
    return Number(bytes);
  }

  #readPayload(chunk: Uint8Array, pos: number, sink: FrameSink): number {
    if (this.#opcode >= OPCODES.close) {
      const count = Math.min(this.#left, chunk.length - pos);
      this.#unmask(chunk, pos, count, this.#control, this.#done);
      this.#advance(count);
      return pos + count;
    }
    if (this.#ready === SCRATCH_BYTES) {
      this.#flush(sink);
      if (sink.isPaused) return pos;
    }
    const start = this.#ready;
    const count = Math.min(this.#left, chunk.length - pos, SCRATCH_BYTES - start);
    const bits = this.#unmask(chunk, pos, count, this.#scratch, start);
    // Only text with other bytes than ASCII's needs the slower check.
    const isPlain = bits < 0x80 && this.#utf8 === BETWEEN_CHARACTERS;
    if (this.#message === OPCODES.text && !isPlain) this.#checkText(start, start + count);
    this.#ready = start + count;
    if (count > 0) this.#lastByte = this.#scratch[start + count - 1]!;
    this.#advance(count);
    return pos + count;
  }

  #checkText(start: number, end: number): void {
    const before = this.#utf8;
    this.#utf8 = checkUtf8(before, this.#scratch, start, end);
    if (this.#utf8 !== NOT_UTF8) return;
    // What stands before the wrong byte is handed on.
    let state = before;
    for (let i = start; state !== NOT_UTF8; i++) {
      this.#ready = i;
      state = checkUtf8(state, this.#scratch, i, i + 1);
    }
    throw notUtf8();
  }

  #advance(count: number): void {
    this.#left -= count;
    this.#done += count;
  }

  /** Copies bytes of a payload, without their mask. Returns the bits that any of them has. */
  #unmask(
    from: Uint8Array,
    pos: number,
    count: number,
    into: Uint8Array,
    at: number,
  ): number {
    let bits = 0;
    if (!this.#isFromClient) {
      for (let i = 0; i < count; i++) bits |= into[at + i] = from[pos + i]!;
      return bits;
    }
    const mask = this.#headLength - 4;
    const head = this.#head;
    const done = this.#done;
    const m0 = head[mask + (done & 3)]!;
    const m1 = head[mask + (done + 1 & 3)]!;
    const m2 = head[mask + (done + 2 & 3)]!;
    const m3 = head[mask + (done + 3 & 3)]!;
    let i = 0;
    for (; i + 3 < count; i += 4) {
      bits |= (into[at + i] = from[pos + i]! ^ m0) | (into[at + i + 1] = from[pos + i + 1]! ^ m1) |
        (into[at + i + 2] = from[pos + i + 2]! ^ m2) | (into[at + i + 3] = from[pos + i + 3]! ^ m3);
    }
    for (; i < count; i++) {
      bits |= into[at + i] = from[pos + i]! ^ head[mask + (done + i & 3)]!;
    }
    return bits;
  }

  #endFrame(sink: FrameSink): void {
    this.#isInPayload = false;
    this.#headBytes = 0;
    this.#headLength = 2;
    if (this.#opcode >= OPCODES.close) return this.#endControl(sink);
    if (this.#done === 0) sink.onIdleFrame();
    if (!this.#isFinal) return;
    if (this.#message === OPCODES.text && this.#utf8 !== BETWEEN_CHARACTERS) throw notUtf8();
    this.#message = 0;
    if (this.#lastByte === 0) return;
    this.#flush(sink);
    sink.onMessageEnd();
  }

  #endControl(sink: FrameSink): void {
    const payload = this.#control;
    this.#control = nothing;
    sink.onIdleFrame();
    if (this.#opcode === OPCODES.ping) sink.onPing(payload);
    else if (this.#opcode === OPCODES.pong) sink.onPong();
    else {
      const code = closeCodeIn(payload);
      this.#hasPeerClosed = true;
      this.#flush(sink);
      sink.onPeerClose(code);
    }
  }

  #flush(sink: FrameSink): void {
    if (this.#ready === 0) return;
    const bytes = this.#scratch.subarray(0, this.#ready);
    this.#ready = 0;
    sink.onPayload(bytes);
  }
}

function closeCodeIn(payload: Uint8Array): number | undefined {
  if (payload.length === 0) return undefined;
  if (payload.length === 1) throw broken("A close frame has half a code");
  const code = payload[0]! << 8 | payload[1]!;
  // Codes below 3000 are the standard's; of these some stand for what can't be sent, or for nothing yet.
  const isKnown = code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code);
  if (!isKnown && (code < 3000 || code > 4999)) {
    throw broken(`A close frame has the code ${code}, which no peer may send`);
  }
  if (checkUtf8(BETWEEN_CHARACTERS, payload, 2, payload.length) !== BETWEEN_CHARACTERS) {
    throw new WebSocketViolation(CLOSE_CODES.notUtf8, "A close frame's reason isn't UTF-8");
  }
  return code;
}

function broken(message: string): WebSocketViolation {
  return new WebSocketViolation(CLOSE_CODES.protocolError, message);
}

function notUtf8(): WebSocketViolation {
  return new WebSocketViolation(CLOSE_CODES.notUtf8, "A text message isn't UTF-8");
}
