/**
 * The frame that the bots of a process expect.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/**
 * The frame that each bot should receive in a round. It isn't known before, because the server puts its
 * timestamp in. The first frame that passes the full check is the one that all others are compared with.
 */
export class Expectation {
  #frame: Uint8Array | null = null;

  /** The frame, which callers must not change; `null` until the first one is checked. */
  get frame(): Uint8Array | null {
    return this.#frame;
  }

  /** Copies a checked frame and expects it from now on; `null` expects nothing. */
  set(frame: Uint8Array | null): void {
    this.#frame = frame === null ? null : frame.slice();
  }

  /**
   * Compares the frame with the bytes that a bot has received.
   *
   * @param before The bytes before `chunk`: `null` for none, or the result of {@linkcode beginning}.
   * @returns how many bytes of the frame have arrived; -1 if the bytes differ, if `chunk` goes past the
   * frame's end, if other bytes came before, or if nothing is expected.
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
