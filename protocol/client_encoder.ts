/**
 * Encodes the frames that a client sends.
 *
 * @module
 */

import { joinBytes } from "./framing/join_bytes.ts";
import { CLIENT_TERMINATOR, utf8Bytes } from "./framing/frames.ts";
import type { ResumeRequest } from "./resume.ts";
import { topicProblem } from "./topic.ts";

/** The marker that clients of 2009 send before every frame, terminator included. Shared: never write to it. */
export const REGULAR_SOCKET: Uint8Array = utf8Bytes("<regular-socket/>\0");

/**
 * A frame behind the marker, as a client of 2009 sends it. Both are in one new buffer, since Janus hung
 * up on a segment that didn't begin with the marker.
 *
 * @param frame A frame with its terminator, or `PUBLISH` with a MESSAGE that has none. Copied.
 */
export function behindMarker(frame: Uint8Array): Uint8Array {
  return joinBytes(REGULAR_SOCKET, frame);
}

/** A frame that shows that the client is alive, terminator included. Shared: never write to it. */
export const PING: Uint8Array = utf8Bytes("PING\0");

/** The reply to the server's `PING`, terminator included. Shared: never write to it. */
export const PONG: Uint8Array = utf8Bytes("PONG\0");

const PUBLISH = utf8Bytes("PUBLISH\0");

/**
 * A subscribe frame, in a buffer of its own.
 *
 * @throws {RangeError} if the topic isn't valid.
 */
export function encodeSubscribe(topic: string): Uint8Array {
  return encodeTopicAction("subscribe", topic);
}

/**
 * A subscribe frame that says where the subscription begins, in a buffer of its own.
 *
 * @throws {RangeError} if the topic isn't valid. What it asks for isn't checked.
 */
export function encodeResumingSubscribe(topic: string, request: ResumeRequest): Uint8Array {
  const resume = request.from === "new"
    ? {}
    : request.from === "last"
    ? { last: request.count }
    : { at: Object.fromEntries(request.position) };
  return encodeTopicAction("subscribe", topic, resume);
}

/**
 * An unsubscribe frame, in a buffer of its own.
 *
 * @throws {RangeError} if the topic isn't valid.
 */
export function encodeUnsubscribe(topic: string): Uint8Array {
  return encodeTopicAction("unsubscribe", topic);
}

/** An authenticate frame, in a buffer of its own. It holds a secret. */
export function encodeAuthenticate(key: string): Uint8Array {
  return encodeAction("authenticate", key);
}

function encodeTopicAction(action: string, topic: string, resume?: object): Uint8Array {
  const problem = topicProblem(topic);
  if (problem !== undefined) throw new RangeError(`The topic ${problem}`);
  return encodeAction(action, topic, resume);
}

function encodeAction(action: string, data: string, resume?: object): Uint8Array {
  return utf8Bytes(JSON.stringify({ action, data, resume }) + "\0");
}

/**
 * A request to publish a MESSAGE and to send a receipt for it, in a buffer of its own.
 *
 * @param messageJson The JSON text of an object with a `topic` and without a `timestamp`. It's copied
 * unchecked; the server checks it.
 */
export function encodePublishForReceipt(messageJson: string): Uint8Array {
  return utf8Bytes(`{"action":"publish","data":${messageJson}}\0`);
}

/** The options of a publish. */
export interface PublishOptions {
  /** True terminates MESSAGE, so that the server keeps the connection and more can follow. */
  readonly pipelined: boolean;
}

/**
 * `PUBLISH` and a MESSAGE, in a buffer of its own.
 *
 * @param messageJson The JSON text of an object with a `topic` and without a `timestamp`. It's copied
 * unchecked; the server checks it.
 */
export function encodePublish(
  messageJson: Uint8Array | string,
  { pipelined }: PublishOptions,
): Uint8Array {
  const message = typeof messageJson === "string" ? utf8Bytes(messageJson) : messageJson;
  const frames = new Uint8Array(PUBLISH.length + message.length + (pipelined ? 1 : 0));
  frames.set(PUBLISH);
  frames.set(message, PUBLISH.length);
  if (pipelined) frames[frames.length - 1] = CLIENT_TERMINATOR;
  return frames;
}
