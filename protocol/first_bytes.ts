/**
 * Tells clients of 2009 from others by their first bytes: clients of 2009 begin with `<regular-socket/>`
 * and its NUL.
 *
 * @module
 */

import { REGULAR_SOCKET } from "./client_encoder.ts";

/**
 * The verdict on the first bytes so far.
 *
 * - `nothing`: none has arrived.
 * - `undecided`: those that have arrived are the beginning of the marker.
 * - `of_2009`: they are the marker. A client of 2009 is never told an error: it would crash.
 * - `of_today`: they are something else.
 */
export type FirstBytesVerdict = "nothing" | "undecided" | "of_2009" | "of_today";

/**
 * The number of the marker's bytes that a client has sent, `matched` of them before.
 *
 * @param bytes The next bytes, up to `length`; only read.
 * @returns -1 if they differ from the marker; all of the marker's bytes once it is complete, whatever
 * follows it.
 */
export function matchMarker(bytes: Uint8Array, length: number, matched: number): number {
  const count = Math.min(length, REGULAR_SOCKET.length - matched);
  for (let i = 0; i < count; i++) if (bytes[i] !== REGULAR_SOCKET[matched + i]) return -1;
  return matched + count;
}

/** Collects the verdict on a client's first bytes, in any number of pieces, without decoding more. */
export class FirstBytes {
  #matched = 0;

  /** The verdict so far; `of_2009` and `of_today` are final. */
  get verdict(): FirstBytesVerdict {
    if (this.#matched === 0) return "nothing";
    if (this.#matched < 0) return "of_today";
    return this.#matched < REGULAR_SOCKET.length ? "undecided" : "of_2009";
  }

  /** Takes the next bytes, which are only read and not kept. */
  push(chunk: Uint8Array): void {
    if (this.#matched >= 0) this.#matched = matchMarker(chunk, chunk.length, this.#matched);
  }
}
