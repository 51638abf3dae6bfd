import type { Runtime } from "../../runtime/types.ts";
import type { Counters } from "../counters.ts";
import {
  CEILING_STEPS,
  type CeilingStep,
  FUTILE_SHARE,
  HELD_FOR_NOTHING_SHARE,
  MAX_HOLD_MS,
  MAX_PUBLISHERS_HOLD_MS,
} from "../limits/memory.ts";

/** Milliseconds between two looks while clients wait because memory is short. */
const LOOK_AGAIN_MS = 50;

/** The least that clients may send between two looks, in bytes: some milliseconds' worth. */
const MIN_BYTES_PER_LOOK = 1024 * 1024;

/** Memory that a received byte may cost: a buffer that grows is there twice, then becomes garbage. */
const COST_OF_A_BYTE = 4;

/** The share of the time that collections of garbage may take. */
const COLLECTING_SHARE = 1 / 5;

/** Milliseconds to wait before the next collection if the last one freed nothing. */
const MIN_FUTILE_MS = 1_000;
const MAX_FUTILE_MS = 64_000;

/** Milliseconds after which a step that isn't taken any more is logged as over. */
const OVER_MS = 10_000;

/** The parts of the server that the ceiling uses. */
export interface CeilingHost {
  readonly runtime: Pick<Runtime, "residentBytes" | "nextTurn">;
  readonly counters: Counters;
  /** A monotonic clock, in milliseconds. */
  readonly readMs: () => number;
  /** Bytes that the budget counts for connections. */
  readonly heldBytes: () => number;
  /** Bytes of the connections themselves, and of their subscriptions. */
  readonly standingBytes: () => number;
  /** Frees pooled buffers, collects garbage, and gives unused memory back to the system. */
  giveBack(): void;
  /** Stops reading clients that send much. */
  hold(): void;
  /** Resumes clients that were made to wait. */
  letGo(): void;
  /**
   * Begins to end the clients that hold most.
   *
   * @param bytes The memory to free, in bytes.
   * @returns True if any client holds enough to be worth it.
   */
  evict(bytes: number): boolean;
  /** Called when a step has begun, or is over. */
  onStep(event: CeilingEvent): void;
}

/** Tells that the server has begun a step because memory is short, or that the step is over. */
export interface CeilingEvent {
  /** `gave_up`: memory doesn't fall whatever the server does, so clients don't wait for it any more. */
  readonly step: CeilingStep | "gave_up";
  /** True when the step begins, false when it is over. */
  readonly hasBegun: boolean;
  /** The process's resident memory, in bytes. */
  readonly residentBytes: number;
  /** The process's limit, in bytes. */
  readonly maxBytes: number;
}

/**
 * Keeps the process's memory below a limit, garbage included. As it comes nearer, the server does more:
 * it gives memory back, stops reading clients that send much, then all publishers, ends the clients that
 * hold most, and refuses connections.
 *
 * Clients that wait, wait for a collection or an eviction, which end by themselves. If these free nothing,
 * or not soon enough, the memory counts as taken for good: no client waits until still more is taken.
 */
export class MemoryCeiling {
  /** The value of {@linkcode Counters.bytesIn} at which {@linkcode look} is due before the next sweep. */
  lookAtBytes = 0;
  /** True while clients that send much, or haven't sent a whole frame yet, must not be read. */
  holdsBulk = false;
  /** True while no publisher may be read between its messages. */
  holdsAll = false;
  /** True while new connections have to be refused. */
  refuses = false;
  readonly #maxBytes: number;
  readonly #host: CeilingHost;
  #residentBytes = 0;
  #isEvicting = false;
  #isAllShort = false;
  #allSinceMs = 0;
  #readUntilMs = -Infinity;
  #isGivingBack = false;
  /** The least memory that the process had since the last collection. */
  #leftBytes = 0;
  #collectedMs = -Infinity;
  #collectionMs = 0;
  /** True if the last collection freed next to nothing. */
  #isFutile = false;
  /** Milliseconds to wait before the next collection then. */
  #futileMs = 0;
  /** True if a client was ended since the last collection; the next one frees its memory. */
  #hasEvicted = false;
  /** Memory that couldn't be freed: up to this much, no client is made to wait. */
  #takenBytes = 0;
  #heldSinceMs = 0;
  #isDue = false;
  #isStopped = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The time at which each step was last taken, of those that were logged as begun. */
  readonly #taken = new Map<CeilingEvent["step"], number>();

  constructor(maxBytes: number, host: CeilingHost) {
    this.#maxBytes = maxBytes;
    this.#host = host;
  }

  /**
   * Measures the process's memory, and decides which clients are read. To be called about once a sweep,
   * and when {@linkcode lookAtBytes} have arrived. It may be called during a read, since all that takes
   * time follows on a turn of its own.
   */
  look(): void {
    this.#measure();
    if (this.#isGivingBack || this.holdsBulk || this.#isEvicting) this.#actSoon();
    if (this.#taken.size > 0) this.#noteEnds();
  }

  /** Stops the timer. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #measure(): void {
    const { runtime, counters } = this.#host;
    const bytes = this.#residentBytes = runtime.residentBytes;
    this.#leftBytes = Math.min(this.#leftBytes, bytes);
    const wasHolding = this.holdsBulk;
    const heldAll = this.holdsAll;
    if (bytes < this.#maxBytes * CEILING_STEPS.gives_back.until) this.#takenBytes = 0;
    const counted = bytes <= this.#takenBytes ? 0 : bytes;
    this.#isGivingBack = this.#judge("gives_back", this.#isGivingBack, bytes);
    this.holdsBulk = this.#judge("holds_bulk", this.holdsBulk, counted);
    this.#isAllShort = this.#isAt("holds_publishers", this.#isAllShort, counted);
    this.#judgePublishers();
    this.#isEvicting = this.#isAt("evicts", this.#isEvicting, bytes);
    this.refuses = this.#judge("refuses", this.refuses, this.#isHeldByClients ? bytes : counted);
    const room = this.#nextStepBytes(bytes) - bytes;
    this.lookAtBytes = counters.bytesIn + Math.max(MIN_BYTES_PER_LOOK, room / COST_OF_A_BYTE);
    if (heldAll && !this.holdsAll || wasHolding && !this.holdsBulk) this.#host.letGo();
    if (wasHolding || !this.holdsBulk) return;
    counters.memoryPauses++;
    this.#heldSinceMs = this.#host.readMs();
    this.#host.hold();
  }

  /** Makes publishers wait for a moment, and then lets them go on for as long, so that none starves. */
  #judgePublishers(): void {
    const nowMs = this.#host.readMs();
    if (this.holdsAll) {
      const heldMs = nowMs - this.#allSinceMs;
      if (this.#isAllShort && heldMs < MAX_PUBLISHERS_HOLD_MS) return;
      this.holdsAll = false;
      this.#readUntilMs = nowMs + Math.max(heldMs, LOOK_AGAIN_MS);
    } else if (this.#isAllShort && nowMs >= this.#readUntilMs) {
      this.#note("holds_publishers");
      this.holdsAll = true;
      this.#allSinceMs = nowMs;
    }
  }

  #isAt(step: CeilingStep, isTaken: boolean, bytes: number): boolean {
    const { from, until } = CEILING_STEPS[step];
    return bytes >= this.#maxBytes * (isTaken ? until : from);
  }

  /** Tells whether a step has to be taken, and notes it if so. */
  #judge(step: CeilingStep, isTaken: boolean, bytes: number): boolean {
    const isAt = this.#isAt(step, isTaken, bytes);
    if (isAt) this.#note(step);
    return isAt;
  }

  #nextStepBytes(bytes: number): number {
    for (const { from } of Object.values(CEILING_STEPS)) {
      if (bytes < this.#maxBytes * from) return this.#maxBytes * from;
    }
    return bytes;
  }

  /** True if clients hold a good part of the memory, so that more clients would cost more. */
  get #isHeldByClients(): boolean {
    const { heldBytes, standingBytes } = this.#host;
    return heldBytes() + standingBytes() >= this.#maxBytes * HELD_FOR_NOTHING_SHARE;
  }

  #actSoon(): void {
    if (this.#isDue || this.#isStopped) return;
    this.#isDue = true;
    this.#host.runtime.nextTurn(() => {
      this.#isDue = false;
      this.#act();
    });
  }

  #act(): void {
    if (this.#mayCollect()) {
      const bytesBefore = this.#residentBytes;
      this.#collect();
      this.#measure();
      this.#judgeCollection(bytesBefore);
    }
    if (this.holdsBulk && this.#isWaitingInVain) this.#giveUp();
    if (this.#isStopped || !this.holdsBulk && !this.#isEvicting) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.look(), LOOK_AGAIN_MS);
  }

  #mayCollect(): boolean {
    if (!this.#isGivingBack) return false;
    const sinceMs = this.#host.readMs() - this.#collectedMs;
    if (sinceMs < this.#collectionMs * (1 / COLLECTING_SHARE - 1)) return false;
    if (this.#hasEvicted) return true;
    return this.#residentBytes - this.#leftBytes >= this.#maxBytes * FUTILE_SHARE ||
      sinceMs >= Math.max(this.#futileMs, MIN_FUTILE_MS);
  }

  #collect(): void {
    const { counters, readMs } = this.#host;
    counters.collections++;
    const beganMs = readMs();
    this.#host.giveBack();
    this.#collectedMs = readMs();
    this.#collectionMs = this.#collectedMs - beganMs;
  }

  #judgeCollection(bytesBefore: number): void {
    const bytes = this.#leftBytes = this.#residentBytes;
    this.#isFutile = bytesBefore - bytes < this.#maxBytes * FUTILE_SHARE;
    this.#futileMs = this.#isFutile
      ? Math.min(Math.max(this.#futileMs * 2, MIN_FUTILE_MS), MAX_FUTILE_MS)
      : 0;
    this.#hasEvicted = this.#isEvicting && this.#isHeldByClients &&
      this.#host.evict(bytes - this.#maxBytes * CEILING_STEPS.evicts.until);
    if (this.#hasEvicted) this.#note("evicts");
  }

  /** True if clients wait for memory that can't be freed, or have waited long enough. */
  get #isWaitingInVain(): boolean {
    const { heldBytes, readMs } = this.#host;
    if (this.#hasEvicted) return false;
    if (readMs() - this.#heldSinceMs >= MAX_HOLD_MS) return true;
    return this.#isFutile && heldBytes() < this.#maxBytes * HELD_FOR_NOTHING_SHARE;
  }

  /** Accepts the present memory as what the process needs. */
  #giveUp(): void {
    this.#note("gave_up");
    this.#takenBytes = this.#residentBytes + this.#maxBytes * FUTILE_SHARE * 2;
    this.#measure();
  }

  #note(step: CeilingEvent["step"]): void {
    if (!this.#taken.has(step)) this.#tell(step, true);
    this.#taken.set(step, this.#host.readMs());
  }

  #noteEnds(): void {
    const nowMs = this.#host.readMs();
    for (const [step, takenMs] of this.#taken) {
      if (nowMs - takenMs < OVER_MS || step === "gave_up" && this.#takenBytes > 0) continue;
      this.#taken.delete(step);
      this.#tell(step, false);
    }
  }

  #tell(step: CeilingEvent["step"], hasBegun: boolean): void {
    const residentBytes = this.#residentBytes;
    this.#host.onStep({ step, hasBegun, residentBytes, maxBytes: this.#maxBytes });
  }
}
