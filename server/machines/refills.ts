import type { CoarseClock } from "../timing/coarse_clock.ts";
import { encodeFrame, HOLE, type Stretch } from "./wire/frames.ts";
import { MAX_REFILLED_BYTES, REFILL_BYTES } from "./wire/limits.ts";
import type { SendLog } from "./send_log.ts";
import type { Transport } from "./transport.ts";

/** Sends other machines what they lack, so much between two sweeps at most. */
export class Refills {
  readonly #machine: string;
  readonly #log: SendLog;
  readonly #clock: CoarseClock;
  /** Bytes that were sent again since the last sweep, and when that was. */
  #bytes = 0;
  #sinceMs = 0;

  constructor(machine: string, log: SendLog, clock: CoarseClock) {
    this.#machine = machine;
    this.#log = log;
    this.#clock = clock;
  }

  /** Sends a machine what it lacks, or says that it isn't kept any more. It asks again for the rest. */
  answer(machine: string, { origin, after }: Stretch, transport: Transport): void {
    const { nowMs } = this.#clock;
    if (this.#sinceMs !== nowMs) this.#bytes = 0;
    this.#sinceMs = nowMs;
    if (this.#bytes > MAX_REFILLED_BYTES) return;
    const found = this.#log.after(origin, after, REFILL_BYTES);
    if (found === undefined) return;
    if (found.floor !== undefined) {
      const hole = { origin, after, to: found.floor };
      transport.send(encodeFrame({ machine: this.#machine, kind: HOLE, hole }), machine);
    }
    for (const { frame } of found.batches) {
      transport.send(frame, machine);
      this.#bytes += frame.length;
    }
  }
}
