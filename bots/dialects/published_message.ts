/**
 * The message that bots publish, in whichever protocol.
 *
 * @module
 */

import { parseObject } from "../../protocol/json/parse_object.ts";
import { MAX_TIMESTAMP_BYTES, parseTimestamp, writeTimestamp } from "../../protocol/timestamp.ts";
import type { Examination } from "./dialect.ts";

/** The content that the bots publish and then expect. */
export interface MessageContent {
  readonly topic: string;
  readonly data: string;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const damaged: Examination = { verdict: "damaged", stampMicros: null };

/** A JSON object with the members of 2009. The timestamp is put before them. */
export class PublishedMessage {
  /** The JSON text without a timestamp. */
  readonly text: string;
  readonly #topic: string;
  /** The members in the order in which they must arrive, after the timestamp. */
  readonly #members: readonly (readonly [string, string])[];

  constructor({ topic, data }: MessageContent) {
    const message = { topic, event: "test_event", message_id: "", data };
    this.text = JSON.stringify(message);
    this.#topic = topic;
    this.#members = Object.entries(message);
  }

  /**
   * The message with a timestamp, as a Janus server would send it, for protocols whose servers add none.
   *
   * @param micros Whole microseconds since the Unix epoch.
   */
  stamped(micros: number): string {
    const stamp = new Uint8Array(MAX_TIMESTAMP_BYTES);
    const end = writeTimestamp(micros, stamp, 0);
    return `{"timestamp":${decoder.decode(stamp.subarray(0, end))},${this.text.slice(1)}`;
  }

  /** Checks a message in full: members, their order, their decoded values, the timestamp. */
  examine(json: Uint8Array): Examination {
    const members = parseObject(textOf(json));
    if (members === undefined) return damaged;
    const stampMicros = parseTimestamp(members["timestamp"]);
    if (stampMicros === undefined) return damaged;
    if (members["topic"] !== this.#topic) return { verdict: "damaged", stampMicros };
    const [first, ...rest] = Object.entries(members);
    const isRight = first?.[0] === "timestamp" && rest.length === this.#members.length &&
      this.#members.every(([name, value], at) => rest[at]![0] === name && rest[at]![1] === value);
    return { verdict: isRight ? "right" : "different", stampMicros };
  }
}

/** The messages of a storm: the same but for their numbers, which stand in `message_id`. */
export class NumberedMessage {
  readonly #content: MessageContent;

  constructor({ topic, data }: MessageContent) {
    this.#content = { topic, data };
  }

  /** The JSON text of message number `number`, without a timestamp. */
  text(number: number): string {
    const { topic, data } = this.#content;
    return JSON.stringify({ topic, event: "test_event", message_id: String(number), data });
  }

  /** The number of a message that was received; `undefined` if it isn't as it was published. */
  numberOf({ topic, data, message_id: id }: Readonly<Record<string, unknown>>): number | undefined {
    const isRight = topic === this.#content.topic && data === this.#content.data &&
      typeof id === "string" && /^\d{1,9}$/.test(id);
    return isRight ? Number(id) : undefined;
  }
}

/** Decodes UTF-8; `undefined` if the bytes aren't valid. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
