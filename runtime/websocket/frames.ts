/**
 * WebSocket frames as bytes (RFC 6455, section 5), without extensions.
 *
 * @module
 */

/** The meaning of a frame: its lowest four bits. */
export const OPCODES = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;

/** The longest payload of a control frame: close, ping or pong. */
export const MAX_CONTROL_BYTES = 125;

/** The longest head of a frame that isn't masked. */
const MAX_HEAD_BYTES = 10;

const MASK_BYTES = 4;
const FINAL = 0x80;
const MASKED = 0x80;

const utf8 = new TextEncoder();

/** The length in bytes of the head of an unmasked frame whose payload has so many bytes. */
export function headLength(payloadBytes: number): number {
  return payloadBytes <= MAX_CONTROL_BYTES ? 2 : payloadBytes <= 0xffff ? 4 : MAX_HEAD_BYTES;
}

/**
 * Writes the head of an unmasked frame that is a whole message.
 *
 * @returns The offset behind it.
 */
export function writeHead(
  into: Uint8Array,
  at: number,
  opcode: number,
  payloadBytes: number,
): number {
  into[at] = FINAL | opcode;
  if (payloadBytes <= MAX_CONTROL_BYTES) {
    into[at + 1] = payloadBytes;
    return at + 2;
  }
  if (payloadBytes <= 0xffff) {
    into[at + 1] = 126;
    into[at + 2] = payloadBytes >> 8;
    into[at + 3] = payloadBytes;
    return at + 4;
  }
  into[at + 1] = 127;
  const view = new DataView(into.buffer, into.byteOffset + at + 2, 8);
  view.setBigUint64(0, BigInt(payloadBytes));
  return at + MAX_HEAD_BYTES;
}

/** A server's frame that is a whole message. The payload is copied. */
export function encodeFrame(opcode: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(headLength(payload.length) + payload.length);
  frame.set(payload, writeHead(frame, 0, opcode, payload.length));
  return frame;
}

/** A client's frame that is a whole message, masked. The payload is copied. */
export function encodeMasked(opcode: number, payload: Uint8Array): Uint8Array {
  const start = headLength(payload.length) + MASK_BYTES;
  const frame = new Uint8Array(start + payload.length);
  const at = writeHead(frame, 0, opcode, payload.length);
  frame[1]! |= MASKED;
  const mask = crypto.getRandomValues(frame.subarray(at, start));
  for (let i = 0; i < payload.length; i++) frame[start + i] = payload[i]! ^ mask[i & 3]!;
  return frame;
}

/**
 * The payload of a close frame.
 *
 * @param code Absent for a close that gives no code.
 * @param reason At most 123 bytes in UTF-8.
 */
export function closePayload(code?: number, reason = ""): Uint8Array {
  if (code === undefined) return new Uint8Array(0);
  const text = utf8.encode(reason);
  const payload = new Uint8Array(2 + text.length);
  payload[0] = code >> 8;
  payload[1] = code;
  payload.set(text, 2);
  return payload;
}
