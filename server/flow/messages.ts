import { SERVER_TERMINATOR } from "../../protocol/framing/frames.ts";
import { headLength, OPCODES, writeHead } from "../../runtime/websocket/frames.ts";

/**
 * The most bytes of a WebSocket message that holds several frames: many programs refuse messages of more than
 * 32 KiB, or of 1 MiB, unless they are told otherwise.
 */
export const MAX_MESSAGE_BYTES = 16 * 1024;

/**
 * Copies whole frames of the protocol into WebSocket messages of text. Each message holds whole frames, and
 * only one if that is longer than {@linkcode MAX_MESSAGE_BYTES}.
 */
export function toMessages(frames: Uint8Array): Uint8Array {
  if (frames.length <= MAX_MESSAGE_BYTES) return encode(frames, [frames.length]);
  const ends: number[] = [];
  for (let start = 0; start < frames.length; start = ends.at(-1)!) {
    ends.push(endOfMessage(frames, start));
  }
  return encode(frames, ends);
}

/** The frames in messages that {@linkcode toMessages} made, copied. */
export function fromMessages(messages: Uint8Array): Uint8Array {
  const frames = new Uint8Array(messages.length);
  let length = 0;
  for (let at = 0; at < messages.length;) {
    const { start, end } = contentAt(messages, at);
    frames.set(messages.subarray(start, end), length);
    length += end - start;
    at = end;
  }
  return frames.subarray(0, length);
}

/** The offsets at which the content of a message begins and ends. */
function contentAt(messages: Uint8Array, at: number): { start: number; end: number } {
  const view = new DataView(messages.buffer, messages.byteOffset + at);
  const short = view.getUint8(1);
  if (short < 126) return { start: at + 2, end: at + 2 + short };
  if (short === 126) return { start: at + 4, end: at + 4 + view.getUint16(2) };
  return { start: at + 10, end: at + 10 + Number(view.getBigUint64(2)) };
}

function endOfMessage(frames: Uint8Array, start: number): number {
  const most = start + MAX_MESSAGE_BYTES;
  if (most >= frames.length) return frames.length;
  // No frame contains the byte that ends it.
  const last = frames.lastIndexOf(SERVER_TERMINATOR, most - 1);
  return (last >= start ? last : frames.indexOf(SERVER_TERMINATOR, most)) + 1;
}

/** @param ends The offset of each message's end. */
function encode(frames: Uint8Array, ends: readonly number[]): Uint8Array {
  let length = frames.length;
  let start = 0;
  for (const end of ends) {
    length += headLength(end - start);
    start = end;
  }
  const messages = new Uint8Array(length);
  start = 0;
  let at = 0;
  for (const end of ends) {
    at = writeHead(messages, at, OPCODES.text, end - start);
    messages.set(start === 0 && end === frames.length ? frames : frames.subarray(start, end), at);
    at += end - start;
    start = end;
  }
  return messages;
}
