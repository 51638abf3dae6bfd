import { BufferPool } from "../../protocol/framing/buffer_pool.ts";
import type { Runtime } from "../../runtime/types.ts";
import { memoryIsShort, type Refusal } from "../access/admission.ts";
import { defendBudget } from "./budget_defence.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { Counters } from "../counters.ts";
import { Eviction } from "./eviction.ts";
import { Gate } from "../flow/gate.ts";
import { InputDefence } from "./input_defence.ts";
import { type Limits } from "../limits.ts";
import { CONNECTION_BYTES } from "../limits/costs.ts";
import { BUFFER_TRIM_INTERVAL_MS, UNFINISHED_CRITICAL_SHARE } from "../limits/memory.ts";
import { MemoryBudget } from "../flow/memory_budget.ts";
import { type CeilingEvent, MemoryCeiling } from "./memory_ceiling.ts";
import type { Session } from "../session/session.ts";
import type { SessionTable } from "../session/session_table.ts";

/** The parts of the server that the defence of memory uses. */
export interface MemoryDefenceHost {
  readonly runtime: Runtime;
  readonly limits: Pick<Limits, "maxTotalPendingBytes" | "maxMemoryBytes">;
  readonly sessions: SessionTable<Session>;
  readonly counters: Counters;
  readonly clock: CoarseClock;
  /** A monotonic clock, in milliseconds. */
  readonly readMs: () => number;
  /** Gives up so many bytes of the history, at once. */
  giveUpHistory(bytes: number): void;
  /** See {@linkcode CeilingEvent}. */
  onMemory(event: CeilingEvent): void;
}

/** Bounds the server's memory, both what is counted of it and what the process really has. */
export class MemoryDefence {
  readonly budget: MemoryBudget;
  readonly input: InputDefence;
  readonly ceiling: MemoryCeiling;
  /** Publishers wait here while too much waits for readers, or the process has too much memory. */
  readonly gate: Gate;
  /** Buffers for frames that arrive in pieces. */
  readonly buffers: BufferPool;
  readonly #host: MemoryDefenceHost;
  readonly #eviction: Eviction;
  #trimmedMs = 0;

  constructor(host: MemoryDefenceHost) {
    this.#host = host;
    const { runtime, limits, sessions, counters, clock, readMs } = host;
    this.budget = new MemoryBudget(limits.maxTotalPendingBytes, {
      onTight: () => runtime.nextTurn(() => defendBudget(sessions, this.budget)),
      onRelaxed: () => this.#openGate(),
      onInputCritical: () => this.input.onCritical(),
      onInputRelaxed: () => this.input.onRelaxed(),
      onHistoryTooLarge: (bytes) => host.giveUpHistory(bytes),
    });
    this.input = new InputDefence({
      runtime,
      sessions,
      budget: this.budget,
      clock,
      isMemoryShort: () => this.ceiling.holdsBulk,
    });
    this.gate = new Gate(runtime, "memory");
    this.buffers = new BufferPool(limits.maxTotalPendingBytes * UNFINISHED_CRITICAL_SHARE);
    this.#eviction = new Eviction({
      runtime,
      sessions,
      budget: this.budget,
      onEvicted: () => counters.memoryEvictions++,
    });
    this.ceiling = new MemoryCeiling(limits.maxMemoryBytes, {
      runtime,
      counters,
      readMs,
      heldBytes: () => this.budget.heldBytes,
      standingBytes: () => this.budget.standingBytes + sessions.size * CONNECTION_BYTES,
      giveBack: () => {
        this.buffers.clear();
        // Half of it first: the garbage may be more than enough. All of it before clients have to wait.
        const { historyBytes } = this.budget;
        host.giveUpHistory(this.ceiling.holdsBulk ? historyBytes : historyBytes / 2);
        runtime.giveBack();
      },
      hold: () => this.input.holdAll(),
      letGo: () => {
        this.input.onRelaxed();
        this.#openGate();
      },
      evict: (bytes) => this.#evict(bytes),
      onStep: (event) => host.onMemory(event),
    });
  }

  /** True while all publishers wait, whatever their topics' readers do. */
  get isPublishingHeld(): boolean {
    return this.budget.isTight || this.ceiling.holdsAll;
  }

  /** Refuses a new connection if memory is short, and counts that. */
  refuse(): Refusal | undefined {
    if (!this.ceiling.refuses) return undefined;
    this.#host.counters.memoryRefusals++;
    return memoryIsShort();
  }

  /** Acts if memory is short. To be called about once a sweep. */
  sweep(): void {
    const { budget } = this;
    const { nowMs } = this.#host.clock;
    this.ceiling.look();
    this.input.sweep();
    if (nowMs - this.#trimmedMs >= BUFFER_TRIM_INTERVAL_MS) {
      this.buffers.trim();
      this.#trimmedMs = nowMs;
    }
    if (budget.isStandingFull) this.#evictSubscribers();
    if (budget.isTight || budget.isExceeded) defendBudget(this.#host.sessions, budget);
  }

  /** Stops the timers. */
  stop(): void {
    this.input.stop();
    this.ceiling.stop();
  }

  #openGate(): void {
    if (!this.isPublishingHeld) this.gate.open();
  }

  #evict(bytes: number): boolean {
    const { budget } = this;
    const goal = budget.heldBytes + budget.standingBytes - bytes;
    return this.#eviction.begin({
      bytesOf: (session) => session.bulkInputBytes + session.standingBytes,
      countsOutput: true,
      isNeeded: () => budget.heldBytes + budget.standingBytes > goal,
      detail: "Memory is short, and this client holds much of it",
    });
  }

  #evictSubscribers(): void {
    this.#eviction.begin({
      bytesOf: (session) => session.standingBytes,
      countsOutput: false,
      isNeeded: () => this.budget.isStandingTight,
      detail: "Memory is too short for so many subscriptions",
    });
  }
}
