/**
 * The bots' side of Redis publish/subscribe in RESP2
 * (https://redis.io/docs/latest/develop/reference/protocol-spec/): plain subscribers of one channel.
 *
 * @module
 */

import type { Dialect, Examination, FrameKind } from "./dialect.ts";
import { type MessageContent, PublishedMessage, textOf } from "./published_message.ts";

const encoder = new TextEncoder();

/** Subscribes to the topic as a channel. The publisher puts the timestamp in, since Redis doesn't. */
export class RedisDialect implements Dialect {
  readonly name = "redis";
  readonly stampedBy = "publisher";
  /** Redis doesn't speak first. Its answer to this shows whether it accepts the connection. */
  readonly opening: Uint8Array = command("PING");
  readonly subscribe: Uint8Array;
  readonly acknowledgements = 1;
  readonly unsubscribe: Uint8Array;
  readonly heartbeatReply: Uint8Array = new Uint8Array(0);
  readonly publisherOpening: Uint8Array = this.opening;
  readonly publisherStays = true;
  readonly inquiry = null;
  readonly #message: PublishedMessage;
  readonly #channel: string;

  constructor(content: MessageContent) {
    this.#channel = content.topic;
    this.#message = new PublishedMessage(content);
    this.subscribe = command("SUBSCRIBE", this.#channel);
    this.unsubscribe = command("UNSUBSCRIBE", this.#channel);
  }

  publish(nowMicros: number): Uint8Array {
    return command("PUBLISH", this.#channel, this.#message.stamped(nowMicros));
  }

  frameEnd(bytes: Uint8Array, start: number): number {
    return read(bytes, start)?.end ?? 0;
  }

  kindOf(frame: Uint8Array): FrameKind {
    const parts = partsOf(frame);
    const [kind] = parts;
    if (kind === "+PONG") return "greeting";
    if (kind === "message" && parts.length === 3) return "message";
    if (kind === "subscribe" && parts.length === 3) return "acknowledgement";
    return kind?.startsWith("-") ? "refusal" : "unknown";
  }

  refusalReason(frame: Uint8Array): string {
    return partsOf(frame)[0]!.slice(1);
  }

  refusalText(frame: Uint8Array): string {
    return this.refusalReason(frame);
  }

  examine(frame: Uint8Array): Examination {
    const parts = read(frame, 0)?.parts ?? [];
    const [kind, channel, payload] = parts;
    const isSound = parts.length === 3 && textOf(kind!) === "message" &&
      textOf(channel!) === this.#channel;
    return isSound ? this.#message.examine(payload!) : { verdict: "damaged", stampMicros: null };
  }
}

function command(...words: string[]): Uint8Array {
  const strings = words.map((word) => `$${encoder.encode(word).length}\r\n${word}\r\n`);
  return encoder.encode(`*${words.length}\r\n${strings.join("")}`);
}

/** A complete reply. */
interface Reply {
  /** The strings of an array. Any other reply is one part: its line with the sign before it. */
  readonly parts: readonly Uint8Array[];
  /** The offset behind its last byte. */
  readonly end: number;
}

/**
 * Parses the reply that begins at `start`; `null` while it isn't complete. Bytes that are no reply count
 * as a line.
 */
function read(bytes: Uint8Array, start: number): Reply | null {
  const header = lineAt(bytes, start);
  if (header === null) return null;
  const count = numberOf(header.line, "*");
  if (count === null) return { parts: [header.line], end: header.end };
  const parts: Uint8Array[] = [];
  let { end } = header;
  for (let at = 0; at < count; at++) {
    const element = lineAt(bytes, end);
    if (element === null) return null;
    const length = numberOf(element.line, "$");
    if (length === null) {
      parts.push(element.line);
      end = element.end;
      continue;
    }
    const contentEnd = element.end + length;
    end = contentEnd + 2;
    if (end > bytes.length) return null;
    parts.push(bytes.subarray(element.end, contentEnd));
  }
  return { parts, end };
}

/** The line at `start` without its CR and LF. */
function lineAt(bytes: Uint8Array, start: number): { line: Uint8Array; end: number } | null {
  const end = bytes.indexOf(0x0a, start) + 1;
  return end === 0 ? null : { line: bytes.subarray(start, end - 2), end };
}

/** The number after a sign; `null` if the line holds anything else. */
function numberOf(line: Uint8Array, sign: "*" | "$"): number | null {
  const match = /^([*$])(\d{1,9})$/.exec(textOf(line) ?? "");
  return match?.[1] === sign ? Number(match[2]) : null;
}

/** The texts of a reply's parts; empty for a part that isn't UTF-8. */
function partsOf(frame: Uint8Array): string[] {
  return (read(frame, 0)?.parts ?? []).map((part) => textOf(part) ?? "");
}
