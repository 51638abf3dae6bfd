/**
 * A subscriber that only writes down what it gets.
 *
 * @module
 */

import type { SharedChunk } from "../../../server/flow/shared_chunk.ts";
import type { Lag, Subscriber } from "../../../server/topics/subscriber.ts";

const decoder = new TextDecoder();

/** Takes chunks apart into the `n` of their messages. */
export class FakeSubscriber implements Subscriber {
  /** The messages' `n`, in the order in which they came. */
  readonly numbers: number[] = [];
  /** The number of received chunks. */
  chunkCount = 0;
  /** The answer of {@linkcode deliver}. */
  pace: Lag = "keeps_up";
  unsentBytes = 0;
  readonly takesMore = true;
  hasUnsent = false;
  /** Done from inside {@linkcode deliver}, once the chunk is written down. */
  reaction: () => void = () => {};

  /** Whether it was told that it fell behind. */
  isBehind = false;

  fallBehind(): void {
    this.isBehind = true;
  }

  deliver(chunk: SharedChunk): Lag {
    this.chunkCount++;
    const frames = decoder.decode(chunk.bytes).split("\x01");
    if (frames.pop() !== "") throw new Error("a chunk doesn't end on a frame boundary");
    for (const frame of frames) this.numbers.push((JSON.parse(frame) as { n: number }).n);
    this.reaction();
    return this.pace;
  }
}
