/**
 * The bots' side of the Janus protocol.
 *
 * @module
 */

import {
  encodePublish,
  encodeSubscribe,
  encodeUnsubscribe,
  PING,
  PONG,
  REGULAR_SOCKET,
} from "../protocol/client_encoder.ts";
import { SERVER_TERMINATOR } from "../protocol/frames.ts";
import { parseTimestamp } from "../protocol/timestamp.ts";
import type { Dialect, Examination, FrameKind } from "./dialect.ts";

/** What the bots publish, and then expect. */
export interface JanusMessage {
  readonly topic: string;
  readonly data: string;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const damaged: Examination = { verdict: "damaged", stampMicros: null };

/** Says what a bot of 2009 said, byte for byte. */
export class JanusDialect implements Dialect {
  readonly name = "janus";
  readonly opening: Uint8Array = join(REGULAR_SOCKET, PING);
  readonly subscribe: Uint8Array;
  readonly unsubscribe: Uint8Array;
  readonly heartbeatReply: Uint8Array = PONG;
  readonly publish: Uint8Array;
  readonly #topic: string;
  /** Names and values of the message's members as they must arrive, behind the timestamp. */
  readonly #members: readonly (readonly [string, string])[];

  /** @throws {RangeError} if the topic isn't valid. */
  constructor({ topic, data }: JanusMessage) {
    this.subscribe = encodeSubscribe(topic);
    this.unsubscribe = encodeUnsubscribe(topic);
    const message = { topic, event: "test_event", message_id: "", data };
    this.publish = join(
      REGULAR_SOCKET,
      encodePublish(JSON.stringify(message), { pipelined: false }),
    );
    this.#topic = topic;
    this.#members = Object.entries(message);
  }

  frameEnd(bytes: Uint8Array, start: number): number {
    return bytes.indexOf(SERVER_TERMINATOR, start) + 1;
  }

  kindOf(frame: Uint8Array): FrameKind {
    const text = textOf(frame);
    if (text === "ACK") return "acknowledgement";
    if (text === "PING") return "heartbeat";
    const members = membersOf(text);
    if (members === undefined) return "unknown";
    if ("topic" in members) return "message";
    if ("token" in members) return "greeting";
    return "error" in members ? "refusal" : "unknown";
  }

  refusalReason(frame: Uint8Array): string {
    const error = membersOf(textOf(frame))?.["error"] as { code?: unknown } | null | undefined;
    return typeof error?.code === "string" ? error.code : "no code";
  }

  examine(frame: Uint8Array): Examination {
    const members = membersOf(textOf(frame));
    if (members === undefined) return damaged;
    const stampMicros = parseTimestamp(members["timestamp"]);
    if (stampMicros === undefined) return damaged;
    if (members["topic"] !== this.#topic) return { verdict: "damaged", stampMicros };
    // The timestamp must come first, so the others are those behind it.
    const rest = Object.entries(members).slice(1);
    const isRight = rest.length === this.#members.length &&
      this.#members.every(([name, value], at) => rest[at]![0] === name && rest[at]![1] === value);
    return { verdict: isRight ? "right" : "different", stampMicros };
  }
}

/** The frame without its terminator; `undefined` where it isn't UTF-8. */
function textOf(frame: Uint8Array): string | undefined {
  try {
    return decoder.decode(frame.subarray(0, -1));
  } catch {
    return undefined;
  }
}

/** The members of a JSON object; `undefined` where it is none. */
function membersOf(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : undefined;
  } catch {
    return undefined;
  }
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}
