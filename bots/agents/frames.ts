/**
 * The frames between a leader and its agents: the length of a JSON object in four bytes, the most significant
 * one first, and the object in UTF-8.
 *
 * @module
 */

import { parseObject } from "../../protocol/json/parse_object.ts";
import { textOf } from "../dialects/published_message.ts";

/** A frame's content. */
export type Members = Record<string, unknown>;

const HEADER_BYTES = 4;

/** Bytes that arrived aren't what the other side may send. The message is for people. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

const encoder = new TextEncoder();

/** The bytes of a frame. */
export function encodeFrame(members: object): Uint8Array {
  const json = encoder.encode(JSON.stringify(members));
  const frame = new Uint8Array(HEADER_BYTES + json.length);
  new DataView(frame.buffer).setUint32(0, json.length);
  frame.set(json, HEADER_BYTES);
  return frame;
}

/** Cuts a byte stream into frames. */
export class FrameDecoder {
  /** The most bytes of one frame. It may be changed between frames. */
  maxBytes: number;
  /** The pieces of the next frame that have arrived. */
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /**
   * Takes bytes, which are copied.
   *
   * @param onFrame Receives each frame that is complete with them. If it returns false, the rest of the bytes
   * is dropped.
   * @throws {FrameError} if a frame is too long, or no JSON object.
   */
  push(chunk: Uint8Array, onFrame: (members: Members) => boolean): void {
    this.#pieces.push(chunk.slice());
    this.#bytes += chunk.length;
    for (;;) {
      const length = this.#nextLength();
      if (length === null || this.#bytes < HEADER_BYTES + length) return;
      const bytes = this.#joined();
      const end = HEADER_BYTES + length;
      const members = parseObject(textOf(bytes.subarray(HEADER_BYTES, end)));
      this.#pieces = end === bytes.length ? [] : [bytes.subarray(end)];
      this.#bytes -= end;
      if (members === undefined) throw new FrameError("a frame is no JSON object");
      if (!onFrame(members)) return;
    }
  }

  #nextLength(): number | null {
    if (this.#bytes < HEADER_BYTES) return null;
    const first = this.#pieces[0]!.length < HEADER_BYTES ? this.#joined() : this.#pieces[0]!;
    const length = new DataView(first.buffer, first.byteOffset).getUint32(0);
    if (length <= this.maxBytes) return length;
    throw new FrameError(`a frame of ${length} bytes is longer than the ${this.maxBytes} allowed`);
  }

  #joined(): Uint8Array {
    if (this.#pieces.length === 1) return this.#pieces[0]!;
    const all = new Uint8Array(this.#bytes);
    let at = 0;
    for (const piece of this.#pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [all];
    return all;
  }
}
