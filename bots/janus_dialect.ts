/**
 * The bots' side of the Janus protocol.
 *
 * @module
 */

import {
  behindMarker,
  encodePublish,
  encodeSubscribe,
  encodeUnsubscribe,
  PING,
} from "../protocol/client_encoder.ts";
import { SERVER_TERMINATOR } from "../protocol/frames.ts";
import type { Dialect, Examination, FrameKind } from "./dialect.ts";
import { membersOf, type MessageContent, PublishedMessage, textOf } from "./published_message.ts";

/**
 * Says what a bot of 2009 said, byte for byte: each frame behind its marker, without which Janus hung up.
 * It doesn't answer `PING`. The bots of 2009 never did (they meant to, and crashed), no server of the
 * protocol closes them for it, and a `PONG` would make them clients of today.
 */
export class JanusDialect implements Dialect {
  readonly name = "janus";
  readonly stampedBy = "server";
  readonly opening: Uint8Array = behindMarker(PING);
  readonly subscribe: Uint8Array;
  readonly unsubscribe: Uint8Array;
  readonly heartbeatReply: Uint8Array = new Uint8Array(0);
  readonly publisherOpening: Uint8Array = new Uint8Array(0);
  readonly #message: PublishedMessage;
  readonly #publish: Uint8Array;

  /** @throws {RangeError} if the topic isn't valid. */
  constructor(content: MessageContent) {
    this.subscribe = behindMarker(encodeSubscribe(content.topic));
    this.unsubscribe = behindMarker(encodeUnsubscribe(content.topic));
    this.#message = new PublishedMessage(content);
    this.#publish = behindMarker(encodePublish(this.#message.text, { pipelined: false }));
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
    const members = membersOf(text);
    if (members === undefined) return "unknown";
    if ("topic" in members) return "message";
    if ("token" in members) return "greeting";
    return "error" in members ? "refusal" : "unknown";
  }

  refusalReason(frame: Uint8Array): string {
    const code = refusalOf(frame)?.code;
    return typeof code === "string" ? code : "no code";
  }

  retryAfterMs(frame: Uint8Array): number | null {
    const ms = refusalOf(frame)?.retry_after_ms;
    return typeof ms === "number" && ms >= 0 ? ms : null;
  }

  examine(frame: Uint8Array): Examination {
    return this.#message.examine(frame.subarray(0, -1));
  }
}

function refusalOf(
  frame: Uint8Array,
): { code?: unknown; retry_after_ms?: unknown } | null | undefined {
  return membersOf(textOf(frame.subarray(0, -1)))?.["error"] as ReturnType<typeof refusalOf>;
}
