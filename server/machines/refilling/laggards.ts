import { GAP_PATIENCE_MS, LAGGARD_MS } from "../wire/limits.ts";
import type { FoundBatches } from "./send_log.ts";

/** A machine that asked for messages of an origin which the log is about to lose. */
interface Laggard {
  /** When it last did. */
  askedMs: number;
  /** True if the log was about to lose those. */
  isFar: boolean;
  /** Bytes that the log had taken up to where it was, and when it had got that far. */
  takenBytes: number;
  gotMs: number;
  /** True if it gets on too slowly. */
  isGivenUp: boolean;
}

/** The share of the log that messages must be behind to be waited for: more than a hiccup, and far from the log's end. */
const FAR_SHARE = 1 / 4;

/** The share at which a machine has caught up. */
const NEAR_SHARE = 1 / 8;

/** The share that a machine must get in `GAP_PATIENCE_MS`, so that it has the whole log within about a minute. */
const PROGRESS_SHARE = 1 / 16;

/**
 * The machines that lack messages which the log is about to lose. Publishers wait for one while it asks for them and
 * gets on: not for one that is silent, that has died, or that is too slow, until it has caught up by itself.
 */
export class Laggards {
  readonly #laggards = new Map<string, Laggard>();
  readonly #logBytes: number;

  /** @param logBytes The bytes that the log may hold. */
  constructor(logBytes: number) {
    this.#logBytes = logBytes;
  }

  /** A machine asks for messages of an origin, which begin there in the log. */
  note(
    machine: string,
    origin: string,
    { floor, takenBytes, bytesBehind }: FoundBatches,
    nowMs: number,
  ): void {
    const key = `${machine} ${origin}`;
    const isFar = bytesBehind > this.#logBytes * FAR_SHARE;
    const known = this.#laggards.get(key);
    if (known === undefined) {
      if (!isFar) return;
      const laggard = { askedMs: nowMs, isFar, takenBytes, gotMs: nowMs, isGivenUp: false };
      this.#laggards.set(key, laggard);
      return;
    }
    if (bytesBehind <= this.#logBytes * NEAR_SHARE) {
      this.#laggards.delete(key);
      return;
    }
    known.askedMs = nowMs;
    known.isFar = isFar;
    // It gets further without having got anything where the log has lost that.
    if (floor !== undefined) known.takenBytes = Math.max(known.takenBytes, takenBytes);
    if (takenBytes - known.takenBytes >= this.#logBytes * PROGRESS_SHARE) {
      known.takenBytes = takenBytes;
      known.gotMs = nowMs;
    } else if (nowMs - known.gotMs >= GAP_PATIENCE_MS) known.isGivenUp = true;
  }

  /** True while publishers should wait. */
  areWaitedFor(nowMs: number): boolean {
    for (const { askedMs, isFar, gotMs, isGivenUp } of this.#laggards.values()) {
      const isRecent = nowMs - askedMs < LAGGARD_MS && nowMs - gotMs < GAP_PATIENCE_MS;
      if (isFar && isRecent && !isGivenUp) return true;
    }
    return false;
  }

  /** Forgets those that ask no more. To be called about once a sweep. */
  sweep(nowMs: number): void {
    for (const [key, { askedMs }] of this.#laggards) {
      if (nowMs - askedMs >= GAP_PATIENCE_MS) this.#laggards.delete(key);
    }
  }
}
