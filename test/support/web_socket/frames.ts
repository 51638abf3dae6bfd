/**
 * WebSocket frames as tests make and read them, right and wrong ones. It shares no code with the server.
 *
 * @module
 */

/** The opcodes of RFC 6455. */
export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

/** What a frame may have besides the usual. */
export interface FrameOptions {
  /** False for a message's part that isn't the last; true unless given. */
  readonly isFinal?: boolean;
  /** The reserved bits, 0 to 7. */
  readonly reserved?: number;
  /** Four bytes; `null` for a frame that isn't masked. A fixed mask unless given. */
  readonly mask?: Uint8Array | null;
  /** The length that the head says, if it isn't the payload's. */
  readonly length?: bigint;
  /** The bytes that spell the length: 0, 2 or 8; as few as possible unless given. */
  readonly lengthBytes?: 0 | 2 | 8;
}

const FIXED_MASK = new Uint8Array([0x37, 0xfa, 0x21, 0x3d]);

/** A frame as a client sends it. */
export function frame(
  opcode: number,
  payload: Uint8Array | string = "",
  options: FrameOptions = {},
): Uint8Array {
  const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  const { isFinal = true, reserved = 0, mask = FIXED_MASK, length = BigInt(bytes.length) } =
    options;
  const lengthBytes = options.lengthBytes ?? (length < 126n ? 0 : length < 65_536n ? 2 : 8);
  const start = 2 + lengthBytes + (mask === null ? 0 : 4);
  const made = new Uint8Array(start + bytes.length);
  made[0] = (isFinal ? 0x80 : 0) | reserved << 4 | opcode;
  made[1] = (mask === null ? 0 : 0x80) |
    (lengthBytes === 0 ? Number(length) : lengthBytes === 2 ? 126 : 127);
  const view = new DataView(made.buffer);
  if (lengthBytes === 2) view.setUint16(2, Number(length));
  if (lengthBytes === 8) view.setBigUint64(2, length);
  if (mask !== null) made.set(mask, start - 4);
  for (const [i, byte] of bytes.entries()) made[start + i] = byte ^ (mask?.[i % 4] ?? 0);
  return made;
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: Uint8Array | string = ""): Uint8Array {
  const text = typeof reason === "string" ? new TextEncoder().encode(reason) : reason;
  return new Uint8Array([code >> 8, code & 0xff, ...text]);
}

/** A frame that a server has sent. */
export interface ReadFrame {
  readonly isFinal: boolean;
  readonly opcode: number;
  readonly payload: Uint8Array;
}

/** The whole frames in what a server has sent, and the number of bytes that they take. */
export function readFrames(bytes: Uint8Array): { frames: ReadFrame[]; taken: number } {
  const frames: ReadFrame[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at + 2 <= bytes.length) {
    const first = bytes[at]!;
    const second = bytes[at + 1]!;
    if ((first & 0x70) !== 0 || (second & 0x80) !== 0) {
      throw new Error(`the server's frame begins with ${first}, ${second}`);
    }
    const lengthBytes = second === 127 ? 8 : second === 126 ? 2 : 0;
    const start = at + 2 + lengthBytes;
    if (start > bytes.length) break;
    const length = lengthBytes === 8
      ? Number(view.getBigUint64(at + 2))
      : lengthBytes === 2
      ? view.getUint16(at + 2)
      : second;
    if (start + length > bytes.length) break;
    frames.push({
      isFinal: (first & 0x80) !== 0,
      opcode: first & 0x0f,
      payload: bytes.slice(start, start + length),
    });
    at = start + length;
  }
  return { frames, taken: at };
}

/** A handshake as browsers send it. */
export function request(
  fields: Readonly<Record<string, string | readonly string[] | null>> = {},
  line = "GET / HTTP/1.1",
): Uint8Array {
  const header: Record<string, string | readonly string[] | null> = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    ...fields,
  };
  const lines = Object.entries(header).flatMap(([name, value]) =>
    value === null ? [] : [value].flat().map((one) => `${name}: ${one}`)
  );
  return new TextEncoder().encode([line, ...lines, "\r\n"].join("\r\n"));
}
