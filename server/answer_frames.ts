/**
 * How a process tells another what became of its messages, against the messages' direction on a
 * link. A message is named by its timestamp, of which a process issues each once. Little-endian:
 *
 * ```text
 * f64 microseconds | u32 matched | u32 written | u32 queued | u32 evicted
 * ```
 *
 * @module
 */

import type { Receipt } from "./receipts.ts";

const FRAME_BYTES = 8 + 4 * 4;

interface Answer {
  readonly micros: number;
  readonly receipt: Receipt;
}

/** Collects the answers of one turn. */
export class AnswerEncoder {
  #answers: Answer[] = [];

  /** How many were collected. */
  get size(): number {
    return this.#answers.length;
  }

  append(micros: number, receipt: Receipt): void {
    this.#answers.push({ micros, receipt });
  }

  /** What was collected, in a buffer of its own. */
  take(): Uint8Array {
    const bytes = new Uint8Array(this.#answers.length * FRAME_BYTES);
    const view = new DataView(bytes.buffer);
    for (const [i, { micros, receipt }] of this.#answers.entries()) {
      const start = i * FRAME_BYTES;
      view.setFloat64(start, micros, true);
      view.setUint32(start + 8, receipt.matched, true);
      view.setUint32(start + 12, receipt.written, true);
      view.setUint32(start + 16, receipt.queued, true);
      view.setUint32(start + 20, receipt.evicted, true);
    }
    this.#answers = [];
    return bytes;
  }
}

/** Takes answers apart, however they're split. */
export class AnswerDecoder {
  readonly #frame = new Uint8Array(FRAME_BYTES);
  readonly #view = new DataView(this.#frame.buffer);
  #length = 0;

  /** @param take Called for each answer that is complete, in order. */
  push(chunk: Uint8Array, take: (micros: number, receipt: Receipt) => void): void {
    for (let start = 0; start < chunk.length;) {
      const part = chunk.subarray(start, start + FRAME_BYTES - this.#length);
      this.#frame.set(part, this.#length);
      this.#length += part.length;
      start += part.length;
      if (this.#length < FRAME_BYTES) return;
      this.#length = 0;
      const view = this.#view;
      take(view.getFloat64(0, true), {
        matched: view.getUint32(8, true),
        written: view.getUint32(12, true),
        queued: view.getUint32(16, true),
        evicted: view.getUint32(20, true),
      });
    }
  }
}
