/**
 * The bytes that the bots of a process expect.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/**
 * The frame that each bot should receive in a round. It isn't known beforehand, since the server puts
 * its timestamp in: the first frame that passes the full check is what all others are compared with.
 */
export class Expectation {
  #frame: Uint8Array | null = null;

  /** The frame, which nobody may write to, or `null` while none has been checked. */
  get frame(): Uint8Array | null {
    return this.#frame;
  }

  /** Takes a checked frame, by copying it; `null` expects nothing. */
  set(frame: Uint8Array | null): void {
    this.#frame = frame === null ? null : frame.slice();
  }

  /**
   * Compares the frame with what a bot has received.
   *
   * @param before What came before `chunk`: `null`, or what {@linkcode beginning} gave.
   * @returns how many bytes of the frame have arrived, or -1 when they differ, when `chunk` goes on
   * behind the frame's end, or when something else came before or nothing is expected.
   */
  match(before: Uint8Array | null, chunk: Uint8Array): number {
    const frame = this.#frame;
    if (frame === null) return -1;
    if (before === null && chunk.length === frame.length) {
      return Buffer.compare(chunk, frame) === 0 ? chunk.length : -1;
    }
    const from = before === null
      ? 0
      : before.buffer === frame.buffer
      ? before.length
      : frame.length;
    const to = from + chunk.length;
    if (to > frame.length) return -1;
    return Buffer.compare(chunk, frame.subarray(from, to)) === 0 ? to : -1;
  }

  /** The frame's first `length` bytes, in the frame's own buffer. */
  beginning(length: number): Uint8Array {
    return this.#frame!.subarray(0, length);
  }
}
