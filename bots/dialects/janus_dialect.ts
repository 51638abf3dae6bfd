/**
 * The bots' side of the Janus protocol.
 *
 * @module
 */

import { parseObject } from "../../protocol/json/parse_object.ts";
import { Buffer } from "node:buffer";
import {
  behindMarker,
  encodeAuthenticate,
  encodePublish,
  encodeSubscribe,
  encodeUnsubscribe,
  PING,
  PONG,
} from "../../protocol/client_encoder.ts";
import { SERVER_TERMINATOR, utf8Bytes } from "../../protocol/framing/frames.ts";
import { MAX_TOPIC_BYTES } from "../../protocol/topic.ts";
import type { Dialect, Examination, FrameKind, Inquiry } from "./dialect.ts";
import { type MessageContent, PublishedMessage, textOf } from "./published_message.ts";

const NOTHING = new Uint8Array(0);

/**
 * Sends what a bot of 2009 sent, byte for byte: each frame behind its marker, without which Janus hung
 * up. It doesn't answer `PING`. The bots of 2009 never did (they meant to, and crashed), no server of the
 * protocol closes them for it, and a `PONG` would make them clients of today.
 *
 * With keys or positions, which no client of 2009 could send, and over a WebSocket it speaks as a client of
 * today from its first byte: it sends no marker, and it answers `PING`.
 */
export class JanusDialect implements Dialect {
  readonly name: "janus" | "ws";
  readonly isOverWebSocket: boolean;
  readonly stampedBy = "server";
  readonly opening: Uint8Array;
  readonly subscribe: Uint8Array;
  readonly acknowledgements: number;
  readonly unsubscribe: Uint8Array;
  readonly heartbeatReply: Uint8Array;
  readonly publisherOpening: Uint8Array;
  readonly publisherStays: boolean;
  readonly inquiry: Inquiry;
  readonly #message: PublishedMessage;
  readonly #publish: Uint8Array;

  /**
   * @param keys The keys to authenticate with; none for a client of 2009.
   * @param resumes True for a client that comes back with its position, as clients of today can.
   * @throws {RangeError} if the topic isn't valid.
   */
  constructor(
    content: MessageContent,
    keys: readonly string[] = [],
    name: "janus" | "ws" = "janus",
    resumes = false,
  ) {
    this.name = name;
    this.isOverWebSocket = name === "ws";
    this.#message = new PublishedMessage(content);
    const isOfToday = keys.length > 0 || this.isOverWebSocket || resumes;
    const spoken = isOfToday ? (frame: Uint8Array) => frame : behindMarker;
    this.subscribe = spoken(encodeSubscribe(content.topic));
    this.inquiry = inquiryOf(content, keys);
    this.opening = isOfToday ? this.inquiry.opening : behindMarker(PING);
    this.acknowledgements = keys.length + 1;
    this.unsubscribe = spoken(encodeUnsubscribe(content.topic));
    this.heartbeatReply = isOfToday ? PONG : NOTHING;
    this.publisherOpening = isOfToday ? this.inquiry.opening : NOTHING;
    this.publisherStays = isOfToday;
    this.#publish = spoken(encodePublish(this.#message.text, { pipelined: isOfToday }));
  }

  publish(): Uint8Array {
    return this.#publish;
  }

  frameEnd(bytes: Uint8Array, start: number): number {
    return bytes.indexOf(SERVER_TERMINATOR, start) + 1;
  }

  kindOf(frame: Uint8Array): FrameKind {
    const text = textOf(frame.subarray(0, -1));
    if (text === "ACK") return "acknowledgement";
    if (text === "PING") return "heartbeat";
    const members = parseObject(text);
    if (members === undefined) return "unknown";
    if ("topic" in members) return "message";
    if ("token" in members) return "greeting";
    return "error" in members ? "refusal" : "unknown";
  }

  refusalReason(frame: Uint8Array): string {
    const code = refusalOf(frame)?.code;
    return typeof code === "string" ? code : "no code";
  }

  refusalText(frame: Uint8Array): string {
    const text = refusalOf(frame)?.message;
    const reason = this.refusalReason(frame);
    return typeof text === "string" && text !== "" ? `${reason}: ${text}` : reason;
  }

  retryAfterMs(frame: Uint8Array): number | null {
    const ms = refusalOf(frame)?.retry_after_ms;
    return typeof ms === "number" && ms >= 0 ? ms : null;
  }

  examine(frame: Uint8Array): Examination {
    return this.#message.examine(frame.subarray(0, -1));
  }
}

/** The frames of a client of today, which the server tells why it refuses it. */
function inquiryOf(content: MessageContent, keys: readonly string[]): Inquiry {
  const { text } = new PublishedMessage({ ...content, topic: anotherTopic(content.topic) });
  return {
    opening: Buffer.concat([PING, ...keys.map(encodeAuthenticate)]),
    subscribe: encodeSubscribe(content.topic),
    publish: encodePublish(text, { pipelined: true }),
  };
}

/**
 * A random topic of the same length, so that the message keeps its size but reaches no subscriber.
 *
 * @param topic A valid topic, so it isn't empty.
 */
function anotherTopic(topic: string): string {
  const length = Math.min(utf8Bytes(JSON.stringify(topic)).length - 2, MAX_TOPIC_BYTES);
  let another = topic;
  while (another === topic) {
    const letters = Array.from({ length }, () => Math.floor(Math.random() * 36).toString(36));
    another = letters.join("");
  }
  return another;
}

function refusalOf(
  frame: Uint8Array,
): { code?: unknown; message?: unknown; retry_after_ms?: unknown } | null | undefined {
  return parseObject(textOf(frame.subarray(0, -1)))?.["error"] as ReturnType<typeof refusalOf>;
}
