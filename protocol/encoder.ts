/**
 * Encodes the frames that a server sends.
 *
 * @module
 */

import type { ErrorCode } from "./errors.ts";
import { SERVER_TERMINATOR, utf8Bytes } from "./framing/frames.ts";
import type { Position, ResumeReason } from "./resume.ts";
import { MAX_TIMESTAMP_BYTES, readTimestamp, writeTimestamp } from "./timestamp.ts";

/** The reply to a subscribe, terminator included. Shared: never write to it. */
export const ACK: Uint8Array = utf8Bytes("ACK\x01");

/** The heartbeat, terminator included. Shared: never write to it. */
export const PING: Uint8Array = utf8Bytes("PING\x01");

const PREFIX = utf8Bytes('{"timestamp":');

/** Prefix, timestamp, comma and terminator; the comma stands in the place of MESSAGE's `{`. */
const MAX_SPLICE_OVERHEAD_BYTES = PREFIX.length + MAX_TIMESTAMP_BYTES + 1;

const TOKEN_PATTERN = /^[0-9a-f]{32}$/;

/**
 * The first frame on a connection, in a buffer of its own.
 *
 * @param micros A timestamp of the server's issuer, in microseconds since the Unix epoch.
 * @throws {TypeError} unless `token` is 32 lower-case hexadecimal digits.
 */
export function encodeGreeting(micros: number, token: string): Uint8Array {
  if (!TOKEN_PATTERN.test(token)) {
    throw new TypeError(`A token is 32 lower-case hex digits, not ${JSON.stringify(token)}`);
  }
  return encodeStamped(micros, `"token":"${token}"}`);
}

/**
 * The last frame on a connection that the server closes, in a buffer of its own.
 *
 * @param micros A timestamp of the server's issuer.
 * @param message The reason, in any text.
 * @param retryAfterMs Milliseconds after which the client may come back, if known.
 */
export function encodeError(
  micros: number,
  code: ErrorCode,
  message: string,
  retryAfterMs?: number,
): Uint8Array {
  const error = JSON.stringify({ code, message, retry_after_ms: retryAfterMs });
  return encodeStamped(micros, `"error":${error}}`);
}

/** The answer to a subscribe with `resume`. */
export interface ResumeAnswer {
  readonly topic: string;
  readonly reason: ResumeReason;
  /** The number of stored messages that follow the `ACK`. */
  readonly missed: number;
  /** The position in front of these. */
  readonly at: Position;
  /** Origins that published to the topic and died, with what only they had, behind the client's position. */
  readonly crashed: readonly string[];
}

/**
 * The answer to a subscribe with `resume`, which comes before its `ACK`, in a buffer of its own.
 *
 * @param micros A timestamp of the server's issuer.
 */
export function encodeResume(micros: number, answer: ResumeAnswer): Uint8Array {
  const { topic, reason, missed, at, crashed } = answer;
  const resume = JSON.stringify({
    topic,
    recovered: reason === "ok",
    reason,
    missed,
    at: Object.fromEntries(at),
    crashed: crashed.length === 0 ? undefined : crashed,
  });
  return encodeStamped(micros, `"resume":${resume}}`);
}

/**
 * Says which process accepted a topic's messages that follow, in a buffer of its own.
 *
 * @param micros A timestamp of the server's issuer.
 */
export function encodeFrom(micros: number, topic: string, origin: string): Uint8Array {
  return encodeStamped(micros, `"from":${JSON.stringify({ topic, origin })}}`);
}

/** The counts of a receipt, in the receipt's order. */
export interface ReceiptCounts {
  readonly matched: number;
  readonly written: number;
  readonly queued: number;
  readonly evicted: number;
  /** In a cluster: the other machines that were asked to count, and those that did. */
  readonly peers?: { readonly asked: number; readonly answered: number } | undefined;
}

/** The text of a receipt before each count, and after the last. */
const RECEIPT_PARTS = [
  ',"receipt":{"matched":',
  ',"written":',
  ',"queued":',
  ',"evicted":',
  "}}\x01",
].map(utf8Bytes) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];

/** The same for the other machines of a cluster, which stand behind the four counts. */
const PEER_PARTS = [',"peers":{"asked":', ',"answered":', "}"].map(utf8Bytes) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

/** Digits of the largest count, 2^32 - 1. */
const MAX_COUNT_BYTES = 10;

/** The most bytes that {@linkcode writeReceipt} writes. */
export const MAX_RECEIPT_BYTES: number = PREFIX.length + MAX_TIMESTAMP_BYTES +
  [...RECEIPT_PARTS, ...PEER_PARTS].reduce((sum, part) => sum + part.length, 0) +
  6 * MAX_COUNT_BYTES;

/**
 * Writes a receipt, a whole frame that tells a publisher what became of its message. Allocates nothing.
 *
 * @param target Needs {@linkcode MAX_RECEIPT_BYTES} from `offset` on.
 * @param micros The message's timestamp, in microseconds since the Unix epoch.
 * @param counts Subscribers, below 2^32 each; `matched` is the sum of the others.
 * @returns the offset behind the frame.
 * @throws {RangeError} if `target` is too small.
 */
export function writeReceipt(
  target: Uint8Array,
  offset: number,
  micros: number,
  { matched, written, queued, evicted, peers }: ReceiptCounts,
): number {
  if (offset + MAX_RECEIPT_BYTES > target.length) {
    throw new RangeError(`No room for a receipt at ${offset} of ${target.length} bytes`);
  }
  const [first, second, third, fourth, last] = RECEIPT_PARTS;
  let end = writeTimestamp(micros, target, writeBytes(PREFIX, target, offset));
  end = writeCount(matched, target, writeBytes(first, target, end));
  end = writeCount(written, target, writeBytes(second, target, end));
  end = writeCount(queued, target, writeBytes(third, target, end));
  end = writeCount(evicted, target, writeBytes(fourth, target, end));
  if (peers !== undefined) {
    const [asked, answered, close] = PEER_PARTS;
    end = writeCount(peers.asked, target, writeBytes(asked, target, end));
    end = writeCount(peers.answered, target, writeBytes(answered, target, end));
    end = writeBytes(close, target, end);
  }
  return writeBytes(last, target, end);
}

function writeBytes(bytes: Uint8Array, target: Uint8Array, offset: number): number {
  target.set(bytes, offset);
  return offset + bytes.length;
}

/** Writes a whole number in decimal and returns the offset behind its last digit. */
function writeCount(count: number, target: Uint8Array, offset: number): number {
  let end = offset + 1;
  for (let rest = count; rest >= 10; rest = Math.floor(rest / 10)) end++;
  let rest = count;
  for (let i = end - 1; i >= offset; i--) {
    target[i] = 0x30 + rest % 10;
    rest = Math.floor(rest / 10);
  }
  return end;
}

function encodeStamped(micros: number, members: string): Uint8Array {
  const object = utf8Bytes("{" + members);
  const frame = new Uint8Array(splicedLength(object.length));
  return frame.subarray(0, spliceMessage(frame, 0, micros, object));
}

/**
 * The timestamp of a frame that the server has encoded, in microseconds since the Unix epoch.
 *
 * @param offset The offset at which the frame begins.
 */
export function timestampOf(bytes: Uint8Array, offset: number): number {
  return readTimestamp(bytes, offset + PREFIX.length);
}

/** The most bytes that {@linkcode spliceMessage} writes for a MESSAGE of `messageBytes` bytes. */
export function splicedLength(messageBytes: number): number {
  return messageBytes + MAX_SPLICE_OVERHEAD_BYTES;
}

/**
 * Writes a whole message frame: `{"timestamp":TS,`, then `message` after its `{`, byte for byte, then
 * the terminator. Allocates nothing; `message` is only read.
 *
 * @param target Needs {@linkcode splicedLength} bytes from `offset` on. It must not be `message`'s
 * own memory.
 * @param micros The message's timestamp, in microseconds since the Unix epoch.
 * @param message A JSON object that has a member and no whitespace around it, as `onPublish` gives it.
 * @returns the offset behind the frame.
 * @throws {RangeError} if `target` is too small.
 */
export function spliceMessage(
  target: Uint8Array,
  offset: number,
  micros: number,
  message: Uint8Array,
): number {
  const length = message.length;
  if (offset + splicedLength(length) > target.length) {
    throw new RangeError(
      `No room for a message of ${length} bytes at ${offset} of ${target.length} bytes`,
    );
  }
  for (let i = 0; i < PREFIX.length; i++) target[offset + i] = PREFIX[i]!;
  const comma = writeTimestamp(micros, target, offset + PREFIX.length);
  // MESSAGE's `{` lands where the comma goes: one copy, and no view of "all but the first byte".
  target.set(message, comma);
  target[comma] = 0x2c;
  target[comma + length] = SERVER_TERMINATOR;
  return comma + length + 1;
}
