import type { CoarseClock } from "../../timing/coarse_clock.ts";
import { Laggards } from "./laggards.ts";
import type { FoundBatches, SendLog } from "./send_log.ts";
import { type ControlContent, HOLE, type Wanted } from "../wire/frames.ts";
import { MAX_REFILLED_BYTES, REFILL_BYTES } from "../wire/limits.ts";

/** What this machine sends to all others. */
export interface SentMessages {
  readonly log: SendLog;
  /** Sends what was collected, so that the log has it. */
  flush(): void;
}

/** The way to the other machines. */
export interface RefillWay {
  /** True if it has so much to send that it shouldn't get what others ask for; they ask again. */
  readonly isCongested: boolean;
  /** @param frame Must not be changed any more. */
  send(frame: Uint8Array, machine: string): void;
  tell(machine: string, content: ControlContent): void;
  /** Publishers that waited for a machine may go on. */
  onCaughtUp(): void;
}

/** Sends other machines what they lack, so much between two sweeps at most. */
export class Refills {
  readonly #outgoing: SentMessages;
  readonly #uplink: RefillWay;
  readonly #clock: CoarseClock;
  readonly #laggards: Laggards;
  /** Bytes that were sent again since the last sweep, and when that was. */
  #bytes = 0;
  #sinceMs = 0;

  constructor(outgoing: SentMessages, uplink: RefillWay, clock: CoarseClock, logBytes: number) {
    this.#outgoing = outgoing;
    this.#uplink = uplink;
    this.#clock = clock;
    this.#laggards = new Laggards(logBytes);
  }

  /** True while publishers should wait, since a machine lacks what the log is about to lose. */
  get areUrgent(): boolean {
    return this.#laggards.areWaitedFor(this.#clock.nowMs);
  }

  /** To be called about once a sweep. */
  sweep(): void {
    this.#laggards.sweep(this.#clock.nowMs);
  }

  /** Sends a machine what it lacks, or says that it isn't kept any more. It asks again for the rest. */
  answer(machine: string, { origin, gaps, maxBytes }: Wanted): void {
    this.#outgoing.flush();
    const { nowMs } = this.#clock;
    if (this.#sinceMs !== nowMs) this.#bytes = 0;
    this.#sinceMs = nowMs;
    const mayAnswer = !this.#uplink.isCongested && this.#bytes <= MAX_REFILLED_BYTES;
    const most = Math.min(maxBytes, REFILL_BYTES);
    let bytes = 0;
    for (const gap of gaps) {
      if (bytes > 0 && bytes >= most) break;
      const found = this.#outgoing.log.in(origin, gap, most - bytes);
      if (found === undefined) return;
      if (gap === gaps[0]) this.#note(machine, origin, found);
      if (!mayAnswer) return;
      if (found.floor !== undefined) {
        const hole = { origin, after: gap.after, to: found.floor };
        this.#uplink.tell(machine, { kind: HOLE, hole });
      }
      for (const { frame } of found.batches) {
        this.#uplink.send(frame, machine);
        bytes += frame.length;
      }
    }
    this.#bytes += bytes;
  }

  #note(machine: string, origin: string, found: FoundBatches): void {
    this.#laggards.note(machine, origin, found, this.#clock.nowMs);
    if (!this.areUrgent) this.#uplink.onCaughtUp();
  }
}
