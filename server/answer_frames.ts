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

/** The first buffer for a turn's answers. */
const INITIAL_ANSWERS = 64;

/** Collects the answers of one turn. */
export class AnswerEncoder {
  #view = new DataView(new ArrayBuffer(INITIAL_ANSWERS * FRAME_BYTES));
  #size = 0;

  /** How many were collected. */
  get size(): number {
    return this.#size;
  }

  append(micros: number, { matched, written, queued, evicted }: Receipt): void {
    const start = this.#size++ * FRAME_BYTES;
    if (start === this.#view.byteLength) this.#grow();
    const view = this.#view;
    view.setFloat64(start, micros, true);
    view.setUint32(start + 8, matched, true);
    view.setUint32(start + 12, written, true);
    view.setUint32(start + 16, queued, true);
    view.setUint32(start + 20, evicted, true);
  }

  /** What was collected, in a buffer of its own. */
  take(): Uint8Array {
    const bytes = new Uint8Array(this.#view.buffer).slice(0, this.#size * FRAME_BYTES);
    this.#size = 0;
    return bytes;
  }

  #grow(): void {
    const bytes = new Uint8Array(this.#view.byteLength * 2);
    bytes.set(new Uint8Array(this.#view.buffer));
    this.#view = new DataView(bytes.buffer);
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
