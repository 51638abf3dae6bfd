import type { Runtime } from "../../runtime/types.ts";
import type { Counters } from "../counters.ts";
import {
  CEILING_STEPS,
  type CeilingStep,
  FUTILE_SHARE,
  HELD_FOR_NOTHING_SHARE,
  MAX_HOLD_MS,
  MAX_PUBLISHERS_HOLD_MS,
} from "../limits.ts";

/** How often memory is looked at while clients wait because it's short. */
const LOOK_AGAIN_MS = 50;

/** Bytes that clients may send between two looks at least: some milliseconds' worth. */
const MIN_BYTES_PER_LOOK = 1024 * 1024;

/** What arrives may cost several times as much: a buffer that grows is there twice, then garbage. */
const COST_OF_A_BYTE = 4;

/** A collection takes no more than this part of the time. */
const COLLECTING_SHARE = 1 / 5;

/** How long to wait before another collection where the last one brought nothing. */
const MIN_FUTILE_MS = 1_000;
const MAX_FUTILE_MS = 64_000;

/** A step that isn't taken for so long is over, for the one who reads the log. */
const OVER_MS = 10_000;

/** What the ceiling knows of the server, and what it has it do. */
export interface CeilingHost {
  readonly runtime: Pick<Runtime, "residentBytes" | "nextTurn">;
  readonly counters: Counters;
  /** A monotonic clock, in milliseconds. */
  readonly readMs: () => number;
  /** Bytes that connections make the server hold, as far as they are counted. */
  readonly heldBytes: () => number;
  /** Bytes that are the connections' themselves, with all that stands for them. */
  readonly standingBytes: () => number;
  /** Frees what is kept for later, collects garbage, and gives the system what memory it can. */
  giveBack(): void;
  /** Reads nothing more of clients that send much. */
  hold(): void;
  /** Reads those on that were made to wait. */
  letGo(): void;
  /**
   * Begins to end those that hold most.
   *
   * @param bytes How much is to be freed.
   * @returns Whether anybody holds enough to be worth it.
   */
  evict(bytes: number): boolean;
  /** A step has begun, or is over. */
  onStep(event: CeilingEvent): void;
}

/** A step that the server has begun to take because memory is short, or doesn't take any more. */
export interface CeilingEvent {
  /** `gave_up`: memory doesn't fall for all that is done, so that nobody is made to wait for it. */
  readonly step: CeilingStep | "gave_up";
  /** True where the step begins, false where it ends. */
  readonly hasBegun: boolean;
  /** Bytes that the process has. */
  readonly residentBytes: number;
  /** Bytes that it may have. */
  readonly maxBytes: number;
}

/**
 * Keeps what the process takes of the machine's memory below a limit, garbage and all. Near it the
 * server does more and more: it gives memory back, waits with reading clients that send much, then with
 * all publishers, ends those that hold most, and refuses connections.
 *
 * Those that wait, wait for a collection or an eviction, which end by themselves. Where these bring
 * nothing, or not soon enough, what is there counts as taken for good: nobody waits any more until still
 * more is taken.
 */
export class MemoryCeiling {
  /** {@linkcode Counters.bytesIn} at which {@linkcode look} is due before the next sweep. */
  lookAtBytes = 0;
  /** Whether clients that send much, or haven't said anything yet, aren't to be read. */
  holdsBulk = false;
  /** Whether no publisher is to be read between its messages. */
  holdsAll = false;
  /** Whether new connections are to be refused. */
  refuses = false;
  readonly #maxBytes: number;
  readonly #host: CeilingHost;
  #residentBytes = 0;
  #isEvicting = false;
  #isAllShort = false;
  #allSinceMs = 0;
  #readUntilMs = -Infinity;
  #isGivingBack = false;
  /** The least that the process had since the last collection. */
  #leftBytes = 0;
  #collectedMs = -Infinity;
  #collectionMs = 0;
  /** Whether the last collection brought next to nothing, and how long to wait before another one then. */
  #isFutile = false;
  #futileMs = 0;
  /** Whether somebody has been ended since the last collection, which is to show what that brought. */
  #hasEvicted = false;
  /** What the process may have without anybody being made to wait: it couldn't be freed. */
  #takenBytes = 0;
  #heldSinceMs = 0;
  #isDue = false;
  #isStopped = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When each step was taken last, of those that the log has as begun. */
  readonly #taken = new Map<CeilingEvent["step"], number>();

  constructor(maxBytes: number, host: CeilingHost) {
    this.#maxBytes = maxBytes;
    this.#host = host;
  }

  /**
   * Looks at what the process has, and decides who is read. To be called about once a sweep, and when
   * {@linkcode lookAtBytes} have arrived; from inside a read, too: all that takes time follows on a turn
   * of its own.
   */
  look(): void {
    this.#measure();
    if (this.#isGivingBack || this.holdsBulk || this.#isEvicting) this.#actSoon();
    if (this.#taken.size > 0) this.#noteEnds();
  }

  /** Ends what it does by the clock. */
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

  /** Lets publishers wait for a moment, and then none for as long: they may never be kept from all turns. */
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

  /** Whether a step is to be taken, and notes when it is. */
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

  /** Whether what clients make the server keep is a good part of it, so that more of them cost more. */
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

  /** Whether clients wait for what doesn't come, or have waited long enough. */
  get #isWaitingInVain(): boolean {
    const { heldBytes, readMs } = this.#host;
    if (this.#hasEvicted) return false;
    if (readMs() - this.#heldSinceMs >= MAX_HOLD_MS) return true;
    return this.#isFutile && heldBytes() < this.#maxBytes * HELD_FOR_NOTHING_SHARE;
  }

  /** Takes what is there for what the process needs. */
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
