/**
 * The bots' side of the NATS client protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol):
 * plain subscribers, no queue groups, no headers, no acknowledgements but the one of the subscription.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Dialect, Examination, FrameKind } from "./dialect.ts";
import { type MessageContent, PublishedMessage, textOf } from "./published_message.ts";

const encoder = new TextEncoder();

/** `protocol` 0: the server doesn't tell this client of changes in the cluster. */
const CONNECT =
  `CONNECT {"verbose":false,"pedantic":false,"lang":"hotwheels-bots","version":"1","protocol":0}\r\n`;

const CR_LF = "\r\n";

/** The subscription's ID. Each connection has one subscription. */
const SUBSCRIPTION = "1";

/**
 * A subject must not hold blanks, which end it, or wildcards, which would subscribe to more than one
 * topic.
 */
const NOT_A_SUBJECT = /[\s*>]|^\.|\.$|\.\./;

/** Subscribes to the topic as a subject. The publisher puts the timestamp in, since NATS doesn't. */
export class NatsDialect implements Dialect {
  readonly name = "nats";
  readonly stampedBy = "publisher";
  readonly opening: Uint8Array = new Uint8Array(0);
  readonly subscribe: Uint8Array;
  readonly acknowledgements = 1;
  readonly unsubscribe: Uint8Array = encoder.encode(`UNSUB ${SUBSCRIPTION}\r\n`);
  readonly heartbeatReply: Uint8Array = encoder.encode("PONG\r\n");
  readonly publisherOpening: Uint8Array = encoder.encode(CONNECT);
  readonly publisherStays = true;
  readonly inquiry = null;
  readonly #message: PublishedMessage;
  readonly #subject: string;

  /** @throws {RangeError} if the topic can't be a subject. */
  constructor(content: MessageContent) {
    const { topic } = content;
    if (topic === "" || NOT_A_SUBJECT.test(topic)) {
      throw new RangeError(`Not a NATS subject: ${JSON.stringify(topic)}`);
    }
    this.#subject = topic;
    this.#message = new PublishedMessage(content);
    // The server answers PING after it has handled everything before it.
    this.subscribe = encoder.encode(`${CONNECT}SUB ${topic} ${SUBSCRIPTION}\r\nPING\r\n`);
  }

  publish(nowMicros: number): Uint8Array {
    const payload = encoder.encode(this.#message.stamped(nowMicros));
    return Buffer.concat([
      encoder.encode(`PUB ${this.#subject} ${payload.length}\r\n`),
      payload,
      encoder.encode(CR_LF),
    ]);
  }

  frameEnd(bytes: Uint8Array, start: number): number {
    const lineEnd = endOfLine(bytes, start);
    if (lineEnd === 0) return 0;
    const message = messageLine(bytes.subarray(start, lineEnd));
    if (message === null) return lineEnd;
    const end = lineEnd + message.payloadBytes + CR_LF.length;
    return end <= bytes.length ? end : 0;
  }

  kindOf(frame: Uint8Array): FrameKind {
    const line = textOf(frame.subarray(0, endOfLine(frame, 0))) ?? "";
    if (/^MSG\s/i.test(line)) return "message";
    if (/^PING\r\n$/i.test(line)) return "heartbeat";
    if (/^PONG\r\n$/i.test(line)) return "acknowledgement";
    if (/^INFO\s/i.test(line)) return "greeting";
    return /^-ERR\s/i.test(line) ? "refusal" : "unknown";
  }

  refusalReason(frame: Uint8Array): string {
    return /'(.*)'/.exec(textOf(frame) ?? "")?.[1] ?? "no reason";
  }

  refusalText(frame: Uint8Array): string {
    return this.refusalReason(frame);
  }

  examine(frame: Uint8Array): Examination {
    const lineEnd = endOfLine(frame, 0);
    const message = messageLine(frame.subarray(0, lineEnd));
    const payload = frame.subarray(lineEnd, -CR_LF.length);
    const isSound = message !== null && message.subject === this.#subject &&
      message.subscription === SUBSCRIPTION && message.payloadBytes === payload.length &&
      textOf(frame.subarray(-CR_LF.length)) === CR_LF;
    return isSound ? this.#message.examine(payload) : { verdict: "damaged", stampMicros: null };
  }
}

interface MessageLine {
  readonly subject: string;
  readonly subscription: string;
  readonly payloadBytes: number;
}

/** Parses `MSG <subject> <sid> [reply-to] <#bytes>`; `null` if the line is anything else. */
function messageLine(line: Uint8Array): MessageLine | null {
  const text = textOf(line) ?? "";
  const match = /^MSG\s+(\S+)\s+(\S+)\s+(?:\S+\s+)?(\d+)\r\n$/i.exec(text);
  if (match === null) return null;
  return { subject: match[1]!, subscription: match[2]!, payloadBytes: Number(match[3]) };
}

/** The offset behind the next line feed; 0 if there is none. */
function endOfLine(bytes: Uint8Array, start: number): number {
  return bytes.indexOf(0x0a, start) + 1;
}
