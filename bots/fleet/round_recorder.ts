import { Buffer } from "node:buffer";
import { Expectation } from "../client/expectation.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { type GroupRound, Mark } from "./group.ts";

/** Records when each bot of a group receives a round's message, and marks those that receive anything else. */
export class RoundRecorder {
  readonly expectation: Expectation = new Expectation();
  readonly #dialect: Dialect;
  readonly #onAllReceived: () => void;
  /** 1 for a bot whose message the round still waits for. */
  readonly #isAwaited: Uint8Array;
  /** By `performance.now()`; 0 for not yet. */
  readonly #receivedAtMs: Float64Array;
  readonly #marks: Uint8Array;
  /** Earlier rounds' frames, each with a 1 for every bot that had it. */
  readonly #earlier: { readonly frame: Uint8Array; readonly had: Uint8Array }[] = [];
  #isInRound = false;
  #stampMicros: number | null = null;
  #awaited = 0;

  /** @param onAllReceived Called when no bot's message is awaited any more. */
  constructor(size: number, dialect: Dialect, onAllReceived: () => void) {
    this.#dialect = dialect;
    this.#onAllReceived = onAllReceived;
    this.#isAwaited = new Uint8Array(size);
    this.#receivedAtMs = new Float64Array(size);
    this.#marks = new Uint8Array(size);
  }

  /** Begins a round. @param live 1 for each bot that must receive the message. */
  begin(live: Uint8Array): void {
    this.#receivedAtMs.fill(0);
    this.#stampMicros = null;
    this.#isAwaited.set(live);
    this.#awaited = live.reduce((sum, one) => sum + one, 0);
    this.#isInRound = true;
    if (this.#awaited === 0) this.#onAllReceived();
  }

  /** Ends the round. */
  end(): Pick<GroupRound, "stampMicros" | "receivedAtMs" | "marks"> {
    this.#isInRound = false;
    const { timeOrigin } = performance;
    const round = {
      stampMicros: this.#stampMicros,
      receivedAtMs: Array.from(this.#receivedAtMs, (ms) => ms === 0 ? 0 : timeOrigin + ms),
      marks: Array.from(this.#marks.entries()).filter(([, marks]) => marks !== 0),
    };
    const { frame } = this.expectation;
    if (frame !== null) {
      this.#earlier.push({ frame, had: Uint8Array.from(this.#receivedAtMs, (ms) => ms && 1) });
    }
    this.expectation.set(null);
    this.#marks.fill(0);
    return round;
  }

  /** A bot has received the expected message. */
  onExpected(index: number): void {
    if (this.#receivedAtMs[index] !== 0) {
      this.#marks[index]! |= Mark.duplicate;
      return;
    }
    this.#receivedAtMs[index] = performance.now();
    this.#awaitNoMore(index);
  }

  /** A bot has received something else. */
  onOther(index: number, frame: Uint8Array, isMessage: boolean): void {
    const mark = isMessage ? this.#judge(index, frame) : Mark.damaged;
    if (mark === null) this.onExpected(index);
    else this.#marks[index]! |= mark;
  }

  /** A bot's connection is gone. */
  onClosed(index: number): void {
    if (this.#isInRound) this.#awaitNoMore(index);
  }

  /**
   * The mark for a message that isn't, byte for byte, the expected one; `null` if it is right after all.
   */
  #judge(index: number, frame: Uint8Array): number | null {
    for (const { frame: earlier, had } of this.#earlier) {
      if (Buffer.compare(frame, earlier) !== 0) continue;
      if (had[index] === 1) return Mark.duplicate;
      had[index] = 1;
      return Mark.late;
    }
    const { verdict, stampMicros } = this.#dialect.examine(frame);
    if (verdict === "damaged") return Mark.damaged;
    const { frame: expected } = this.expectation;
    if (verdict === "right" && expected === null && this.#isInRound) {
      this.expectation.set(frame);
      this.#stampMicros = stampMicros;
      return null;
    }
    // A message has one timestamp. So a frame with this timestamp that isn't the message is a damaged
    // copy.
    return expected !== null && stampMicros === this.#stampMicros ? Mark.damaged : Mark.different;
  }

  #awaitNoMore(index: number): void {
    if (this.#isAwaited[index] === 0) return;
    this.#isAwaited[index] = 0;
    if (--this.#awaited === 0) this.#onAllReceived();
  }
}
