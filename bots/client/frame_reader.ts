import { joinBytes } from "../../protocol/framing/join_bytes.ts";
import type { Dialect } from "../dialects/dialect.ts";

/** The most bytes kept of an unfinished frame. A publisher receives frames of some hundred bytes. */
const MAX_FRAME_BYTES = 64 * 1024;

/** Splits a server's bytes into frames, for the few connections that aren't bots. */
export class FrameReader {
  readonly #dialect: Dialect;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  /**
   * Takes the next bytes and returns the frames that they complete, in buffers that belong to the caller.
   * An unfinished frame that gets too long is dropped.
   */
  push(chunk: Uint8Array): Uint8Array[] {
    const bytes = joinBytes(this.#rest, chunk);
    const frames: Uint8Array[] = [];
    let start = 0;
    for (;;) {
      const end = this.#dialect.frameEnd(bytes, start);
      if (end === 0) break;
      frames.push(bytes.subarray(start, end));
      start = end;
    }
    this.#rest = bytes.length - start > MAX_FRAME_BYTES ? new Uint8Array(0) : bytes.slice(start);
    return frames;
  }
}
