import { ServerDecoder } from "../../protocol/server_decoder.ts";

/** The longest frame. It is far more than a server allows by default. */
const MAX_FRAME_BYTES = 128 * 1024 * 1024;

/** The server's terminator, in text. */
const TERMINATOR = "\x01";

/** Cuts what a server sends into frames, as bytes or as text. */
export class FrameSplitter {
  readonly #onFrame: (frame: string) => void;
  readonly #decoder = new ServerDecoder({ maxFrameBytes: MAX_FRAME_BYTES });
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #rest = "";

  /** @param onFrame Called with each whole frame, without its terminator. */
  constructor(onFrame: (frame: string) => void) {
    this.#onFrame = onFrame;
  }

  /** @throws {Error} if a frame is too long or not UTF-8. It must not be used any more then. */
  pushBytes(bytes: Uint8Array): void {
    this.#decoder.push(bytes, (frame) => this.#onFrame(this.#utf8.decode(frame)));
  }

  /** @throws {Error} if a frame is too long. It must not be used any more then. */
  pushText(text: string): void {
    const frames = (this.#rest + text).split(TERMINATOR);
    this.#rest = frames.pop()!;
    for (const frame of frames) this.#onFrame(frame);
    if (this.#rest.length > MAX_FRAME_BYTES) throw new Error("A frame is too long");
  }
}
