/**
 * The answers on a link's way back, against the direction of its messages: what became of a message, if
 * that was asked, and for which topics publishers should wait. A message is named by its timestamp, since a
 * process issues each timestamp once. Each frame begins with its kind; little-endian:
 *
 * ```text
 * u8 0: the process is alive, still holds the topics that it holds, and will answer what it was asked
 * u8 1 | f64 microseconds | u32 matched | u32 written | u32 queued | u32 evicted
 * u8 2 | u16 bytes of the topic | topic: hold what is published to it
 * u8 3 | u16 bytes of the topic | topic: let its publishers go on
 * ```
 *
 * @module
 */

import { MAX_TOPIC_BYTES } from "../../protocol/topic.ts";
import type { Receipt } from "../topics/receipts.ts";

const PULSE = 0;
const RECEIPT = 1;
const HOLD = 2;
const LET_GO = 3;

const RECEIPT_BYTES = 1 + 8 + 4 * 4;
const TOPIC_HEADER_BYTES = 1 + 2;
const MAX_FRAME_BYTES = TOPIC_HEADER_BYTES + MAX_TOPIC_BYTES;

/** The first buffer for a turn's answers, in bytes. */
const INITIAL_BYTES = 2_048;

/** Collects the answers of one turn. */
export class AnswerEncoder {
  readonly #text = new TextEncoder();
  #bytes = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Bytes collected. */
  get byteLength(): number {
    return this.#length;
  }

  /** Adds a sign of life. */
  appendPulse(): void {
    this.#view.setUint8(this.#reserve(1), PULSE);
  }

  /** Adds the counts of a message. */
  appendReceipt(micros: number, { matched, written, queued, evicted }: Receipt): void {
    const start = this.#reserve(RECEIPT_BYTES);
    const view = this.#view;
    view.setUint8(start, RECEIPT);
    view.setFloat64(start + 1, micros, true);
    view.setUint32(start + 9, matched, true);
    view.setUint32(start + 13, written, true);
    view.setUint32(start + 17, queued, true);
    view.setUint32(start + 21, evicted, true);
  }

  /** Asks the other process to make a topic's publishers wait. */
  appendHold(topic: string): void {
    this.#appendTopic(HOLD, topic);
  }

  /** Lets a topic's publishers go on. */
  appendLetGo(topic: string): void {
    this.#appendTopic(LET_GO, topic);
  }

  /** Takes what was collected, as a new buffer that the caller owns. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  #appendTopic(kind: number, topic: string): void {
    const topicBytes = this.#text.encode(topic);
    const start = this.#reserve(TOPIC_HEADER_BYTES + topicBytes.length);
    this.#view.setUint8(start, kind);
    this.#view.setUint16(start + 1, topicBytes.length, true);
    this.#bytes.set(topicBytes, start + TOPIC_HEADER_BYTES);
  }

  /** @returns The offset of so many more bytes. */
  #reserve(byteLength: number): number {
    const start = this.#length;
    this.#length += byteLength;
    if (this.#length > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      bytes.set(this.#bytes);
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer);
    }
    return start;
  }
}

/** Receives the answers of a link. A sign of life calls nothing. */
export interface LinkAnswers {
  /** The counts of the message with this timestamp. */
  onReceipt(micros: number, receipt: Receipt): void;
  /** The topic's publishers should wait. */
  onHold(topic: string): void;
  /** The topic's publishers may go on. */
  onLetGo(topic: string): void;
}

/** Cuts bytes into answers, however they are split. */
export class AnswerDecoder {
  readonly #text = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #frame = new Uint8Array(MAX_FRAME_BYTES);
  readonly #view = new DataView(this.#frame.buffer);
  #length = 0;

  /** @param sink Receives each complete answer, in order. */
  push(chunk: Uint8Array, sink: LinkAnswers): void {
    for (let start = 0; start < chunk.length;) {
      const part = chunk.subarray(start, start + this.#neededBytes - this.#length);
      this.#frame.set(part, this.#length);
      this.#length += part.length;
      start += part.length;
      // A frame's kind, and its topic's length, tell how many bytes it has.
      if (this.#length < this.#neededBytes) continue;
      this.#length = 0;
      this.#deliver(sink);
    }
  }

  /** The frame's length in bytes, as far as it is known yet. */
  get #neededBytes(): number {
    const kind = this.#length === 0 ? PULSE : this.#view.getUint8(0);
    if (kind === PULSE) return 1;
    if (kind === RECEIPT) return RECEIPT_BYTES;
    if (this.#length < TOPIC_HEADER_BYTES) return TOPIC_HEADER_BYTES;
    return TOPIC_HEADER_BYTES + this.#view.getUint16(1, true);
  }

  #deliver(sink: LinkAnswers): void {
    const view = this.#view;
    const kind = view.getUint8(0);
    if (kind === PULSE) return;
    if (kind === RECEIPT) {
      return sink.onReceipt(view.getFloat64(1, true), {
        matched: view.getUint32(9, true),
        written: view.getUint32(13, true),
        queued: view.getUint32(17, true),
        evicted: view.getUint32(21, true),
      });
    }
    const end = TOPIC_HEADER_BYTES + view.getUint16(1, true);
    const topic = this.#text.decode(this.#frame.subarray(TOPIC_HEADER_BYTES, end));
    if (kind === HOLD) sink.onHold(topic);
    else sink.onLetGo(topic);
  }
}
