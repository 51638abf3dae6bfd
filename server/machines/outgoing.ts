import type { Runtime } from "../../runtime/types.ts";
import { LinkEncoder } from "../cluster/link_frames.ts";
import type { Origin } from "../history/origins.ts";
import { MAX_BATCH_BYTES } from "../limits/messages.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { PromptWork } from "../timing/prompt_work.ts";
import { BATCH_HEADER_BYTES, sealBatch } from "./wire/frame_codec.ts";
import type { StatedOrigin } from "./wire/frames.ts";
import { ENDED_ORIGIN_MS } from "./wire/limits.ts";
import { SendLog, type SendLogLimits } from "./refilling/send_log.ts";

/** Bytes of a message's frame beside topic and message. */
export const MESSAGE_OVERHEAD_BYTES = 15;

/** One process of this machine. */
interface LocalOrigin {
  readonly origin: Origin;
  readonly base: number;
  /** The timestamp of the last message that was sealed, and of the last that was collected. */
  sealed: number;
  last: number;
  readonly encoder: LinkEncoder;
  endedMs: number | undefined;
}

/** The parts of a process that its machine's outgoing messages use. */
export interface OutgoingHost {
  readonly runtime: Pick<Runtime, "soon" | "nextTurn" | "afterTurn">;
  readonly clock: CoarseClock;
  /** The longest frame that other machines can be sent, in bytes. */
  readonly maxFrameBytes: () => number;
  /** Sends a frame to all other machines, if this process is the one that does. */
  send(frame: Uint8Array): void;
}

/**
 * The messages that the processes of this machine accept, in batches of a turn, a lone one at once: for other machines, and for the
 * log from which these get what they missed. Each process of a machine has the same log, so that any of them can
 * go on where another one has died.
 */
export class Outgoing {
  readonly log: SendLog;
  readonly #host: OutgoingHost;
  readonly #machine: string;
  readonly #local = new Map<Origin, LocalOrigin>();
  readonly #due = new Set<LocalOrigin>();
  readonly #flushing: PromptWork;

  constructor(machine: string, limits: SendLogLimits, host: OutgoingHost) {
    this.#machine = machine;
    this.log = new SendLog(limits);
    this.#host = host;
    this.#flushing = new PromptWork(host.runtime, () => {
      this.flush();
      return false;
    });
  }

  /**
   * Begins to keep what a process of this machine accepts.
   *
   * @param base A timestamp in front of the first of these messages.
   */
  add(origin: Origin, base: number): void {
    if (this.#local.has(origin)) return;
    this.log.begin(origin.name, base);
    this.#local.set(origin, {
      origin,
      base,
      sealed: base,
      last: base,
      encoder: new LinkEncoder(BATCH_HEADER_BYTES),
      endedMs: undefined,
    });
  }

  /** Adds a message that a process of this machine has accepted. It is copied. */
  append(
    origin: Origin,
    topic: string,
    micros: number,
    message: Uint8Array,
    wantsReceipt: boolean,
  ): void {
    const local = this.#local.get(origin);
    if (local === undefined) return;
    const { encoder } = local;
    const { maxFrameBytes } = this.#host;
    // A topic takes three bytes for each unit at most.
    const most = MESSAGE_OVERHEAD_BYTES + topic.length * 3 + message.length;
    const room = Math.min(maxFrameBytes() - BATCH_HEADER_BYTES, MAX_BATCH_BYTES);
    if (encoder.byteLength > 0 && encoder.byteLength + most > room) this.#seal(local);
    encoder.append(topic, micros, message, wantsReceipt);
    local.last = micros;
    this.#due.add(local);
    this.#flushing.request();
  }

  /** Sends what was collected. */
  flush(): void {
    for (const local of this.#due) this.#seal(local);
    this.#due.clear();
  }

  /** All processes of this machine, those that have ended lately too. */
  states(): StatedOrigin[] {
    const states: StatedOrigin[] = [];
    for (const { origin, base, sealed } of this.#local.values()) {
      const state = { name: origin.name, base, last: sealed };
      if (origin.end === undefined) states.push(state);
      else {
        const end = origin.end === "ended" ? "ended" : "crashed";
        states.push({ ...state, end, endMicros: origin.micros });
      }
    }
    return states;
  }

  /** Drops what is too old. To be called about once a sweep. */
  sweep(): void {
    const { nowMs } = this.#host.clock;
    this.log.sweep(nowMs);
    for (const local of this.#local.values()) {
      const { origin } = local;
      if (origin.end === undefined) continue;
      local.endedMs ??= nowMs;
      if (nowMs - local.endedMs < ENDED_ORIGIN_MS) continue;
      this.#local.delete(origin);
      this.log.forget(origin.name);
    }
  }

  #seal(local: LocalOrigin): void {
    const { origin, base, encoder } = local;
    if (encoder.byteLength === 0) return;
    const frame = encoder.take();
    const previous = local.sealed;
    sealBatch(frame, this.#machine, { origin: origin.name, base, previous });
    local.sealed = local.last;
    const batch = { origin: origin.name, previous, last: local.last, frame };
    this.log.append(batch, this.#host.clock.nowMs);
    this.#host.send(frame);
  }
}
