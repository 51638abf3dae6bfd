import { CLOSE_CODES, WebSocketViolation } from "./frame_reader.ts";

/** The most frames a second without payload of a message, control frames among them. */
const MAX_IDLE_FRAMES = 1_000;

/** Bounds the frames without payload that a peer sends. */
export class IdleFrames {
  #sinceMs = performance.now();
  #count = 0;

  /** @throws {WebSocketViolation} if there are too many. */
  count(): void {
    if (++this.#count <= MAX_IDLE_FRAMES) return;
    const nowMs = performance.now();
    if (nowMs - this.#sinceMs < 1_000) {
      throw new WebSocketViolation(
        CLOSE_CODES.policy,
        `More than ${MAX_IDLE_FRAMES} control frames or empty fragments in a second`,
      );
    }
    this.#sinceMs = nowMs;
    this.#count = 1;
  }
}
