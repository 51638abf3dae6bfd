/**
 * Decodes a server's bytes into frames, on a client's side.
 *
 * @module
 */

import { ProtocolError } from "./errors.ts";
import { FrameBuffer } from "./framing/frame_buffer.ts";
import { SERVER_TERMINATOR } from "./framing/frames.ts";

/** Limits of a {@linkcode ServerDecoder}. */
export interface ServerDecoderLimits {
  /** The longest frame, in bytes without its terminator; at least 1. */
  readonly maxFrameBytes: number;
}

/** Sixteen times what a server with default limits can send. */
const DEFAULT_MAX_FRAME_BYTES = 1024 * 1024;

/** Splits one server's stream into frames, in chunks of any size. Holds no buffer between frames. */
export class ServerDecoder {
  readonly #maxFrameBytes: number;
  #partial: FrameBuffer | undefined;

  /**
   * @param limits The default allows frames of up to 1 MiB.
   * @throws {RangeError} if the limit isn't a whole number of at least 1.
   */
  constructor({ maxFrameBytes }: ServerDecoderLimits = { maxFrameBytes: DEFAULT_MAX_FRAME_BYTES }) {
    if (!Number.isSafeInteger(maxFrameBytes) || maxFrameBytes < 1) {
      throw new RangeError(
        `The frame limit must be a whole number of at least 1 byte, not ${maxFrameBytes}`,
      );
    }
    this.#maxFrameBytes = maxFrameBytes;
  }

  /**
   * Takes the next bytes and calls `onFrame` once for each frame that they complete, in order. Must
   * not be called from inside `onFrame`. The chunk is only read, and not kept.
   *
   * @param onFrame Receives the frame without its terminator: a view, valid only during the call.
   * @throws {ProtocolError} with `frame_too_large`. What `onFrame` throws passes through. Either way
   * the decoder must not be used again.
   */
  push(chunk: Uint8Array, onFrame: (frame: Uint8Array) => void): void {
    let pos = 0;
    while (pos < chunk.length) {
      const terminator = chunk.indexOf(SERVER_TERMINATOR, pos);
      const end = terminator === -1 ? chunk.length : terminator;
      const held = this.#partial;
      if ((held?.length ?? 0) + end - pos > this.#maxFrameBytes) {
        throw new ProtocolError(
          "frame_too_large",
          `A frame is longer than ${this.#maxFrameBytes} bytes`,
        );
      }
      if (terminator === -1) {
        (this.#partial ??= new FrameBuffer(this.#maxFrameBytes)).append(chunk, pos, end);
      } else if (held === undefined) {
        onFrame(chunk.subarray(pos, end));
      } else {
        held.append(chunk, pos, end);
        this.#partial = undefined;
        onFrame(held.bytes.subarray(0, held.length));
      }
      pos = end + 1;
    }
  }
}
