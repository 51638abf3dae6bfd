/**
 * What a client's first bytes tell: clients of 2009 begin with `<regular-socket/>` and its NUL.
 *
 * @module
 */

import { REGULAR_SOCKET } from "./client_encoder.ts";

/**
 * What the first bytes have told so far.
 *
 * - `nothing`: none has come.
 * - `undecided`: those that have come are the beginning of the marker.
 * - `of_2009`: they are the marker. A client of 2009 is never told an error: it would crash.
 * - `of_today`: they are something else.
 */
export type FirstBytesVerdict = "nothing" | "undecided" | "of_2009" | "of_today";

/**
 * How many bytes of the marker a client has sent, of which `matched` came before.
 *
 * @param bytes What came next, up to `length`; only read.
 * @returns -1 where it departs from the marker; all of the marker's bytes once it's complete,
 * whatever stands behind it.
 */
export function matchMarker(bytes: Uint8Array, length: number, matched: number): number {
  const count = Math.min(length, REGULAR_SOCKET.length - matched);
  for (let i = 0; i < count; i++) if (bytes[i] !== REGULAR_SOCKET[matched + i]) return -1;
  return matched + count;
}

/** The first bytes of a client that is decoded no further, however they are cut. */
export class FirstBytes {
  #matched = 0;

  /** What they have told so far; `of_2009` and `of_today` are final. */
  get verdict(): FirstBytesVerdict {
    if (this.#matched === 0) return "nothing";
    if (this.#matched < 0) return "of_today";
    return this.#matched < REGULAR_SOCKET.length ? "undecided" : "of_2009";
  }

  /** Takes the next bytes; only read, and not kept. */
  push(chunk: Uint8Array): void {
    if (this.#matched >= 0) this.#matched = matchMarker(chunk, chunk.length, this.#matched);
  }
}
