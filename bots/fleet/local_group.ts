/**
 * A group of bots in this process.
 *
 * @module
 */

import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Runtime } from "../../runtime/types.ts";
import { Bot, type BotEvents, type Refusal } from "../client/bot.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { Dialler, endpoint } from "../client/endpoint.ts";
import { RampUp, type RampUpProgress } from "./ramp_up.ts";
import { clockMs } from "../measures/clock.ts";
import { LoopMeter, type LoopReading } from "../measures/loop_meter.ts";
import type { Tally } from "../measures/tally.ts";
import type { BotGroup, GroupPlan, GroupRound, SettleOutcome, SetupOutcome } from "./group.ts";
import { type GroupStorm, Reconnection, type StormProgress } from "./reconnection.ts";
import { Resumption } from "./resumption.ts";
import { RoundRecorder } from "./round_recorder.ts";

/** Milliseconds after which a client of 2009 gives up a connect. */
const CONNECT_TIMEOUT_MS = 3000;

/**
 * Milliseconds without progress until the rest is given up. It is longer than a connect with its second
 * SYN, so that only a server that stands still is given up.
 */
const STALL_MS = 10_000;

const PROGRESS_MS = 100;

/** Milliseconds. Quiet means: for `QUIET_MS` nothing arrives and no delay reaches `QUIET_DELAY_MS`. */
const QUIET_MS = 200;
const QUIET_DELAY_MS = 20;
const QUIET_STEP_MS = 50;
const SETTLE_PATIENCE_MS = 5000;

/** Milliseconds for an orderly close, after which the connection is dropped. */
const CLOSE_PATIENCE_MS = 3000;

/** The bots of this process, and the messages that they have received. */
export class LocalGroup implements BotGroup, BotEvents {
  readonly size: number;
  readonly pid: number = process.pid;
  readonly #runtime: Runtime;
  readonly #dialler: Dialler;
  readonly #dialect: Dialect;
  readonly #plan: GroupPlan;
  readonly #rampUp: RampUp;
  readonly #round: RoundRecorder;
  readonly #bots: (Bot | undefined)[];
  /** 1 for a bot that is subscribed and connected. */
  readonly #live: Uint8Array;
  #meter: LoopMeter | null = null;
  #reconnection: Reconnection | null = null;
  readonly #resumption: Resumption | null;
  #refusals: Tally = {};
  #firstRefusal: string | null = null;
  #open = 0;
  #arrivals = 0;
  #load: LoopReading | null = null;
  #allReceived = Promise.withResolvers<void>();
  #onAllClosed: () => void = () => {};
  #progressTimer: ReturnType<typeof setInterval> | undefined;

  constructor(runtime: Runtime, dialect: Dialect, plan: GroupPlan) {
    this.size = plan.size;
    this.#runtime = runtime;
    this.#dialler = new Dialler(runtime, dialect);
    this.#dialect = dialect;
    this.#plan = plan;
    this.#bots = new Array(plan.size);
    this.#live = new Uint8Array(plan.size);
    this.#round = new RoundRecorder(plan.size, dialect, () => this.#endWindow());
    this.#resumption = plan.resumption === null ? null : new Resumption(plan.size, plan.resumption);
    this.#rampUp = new RampUp({
      size: plan.size,
      maxConnecting: plan.maxConnecting,
      retries: plan.retries,
      stallMs: STALL_MS,
      connect: (index) => this.#connect(index),
      abandon: (index) => this.#bots[index]?.abandon(),
    });
  }

  async #connect(index: number): Promise<void> {
    const { addresses } = this.#plan;
    const hostname = addresses[index % addresses.length]!;
    await this.#dialler.connect(
      endpoint(hostname, this.#plan, CONNECT_TIMEOUT_MS),
      (connection) => {
        this.#open++;
        const bot = new Bot(connection, this.#dialect, this, this.#round.expectation, index);
        this.#bots[index] = bot;
        return bot;
      },
    );
  }

  async setUp(onProgress: (progress: RampUpProgress) => void): Promise<SetupOutcome> {
    this.#meter = await LoopMeter.open(this.#runtime);
    const beganAtMs = performance.timeOrigin + performance.now();
    const outcome = await this.#reporting(onProgress, this.#rampUp.run());
    return {
      ...outcome,
      refusals: this.#takeRefusals(),
      firstRefusal: this.#firstRefusal,
      beganAtMs,
      endedAtMs: performance.timeOrigin + outcome.endedAtMs,
    };
  }

  async gather(onProgress: (progress: RampUpProgress) => void): Promise<number> {
    const { missing } = this.#rampUp;
    if (missing > 0) await this.#reporting(onProgress, this.#rampUp.complete());
    return missing;
  }

  async #reporting<T>(
    onProgress: (progress: RampUpProgress) => void,
    work: Promise<T>,
  ): Promise<T> {
    this.#progressTimer = setInterval(() => onProgress(this.#rampUp.progress), PROGRESS_MS);
    const outcome = await work;
    clearInterval(this.#progressTimer);
    onProgress(this.#rampUp.progress);
    return outcome;
  }

  async settle(): Promise<SettleOutcome> {
    collectGarbage();
    const startMs = performance.now();
    let quietSinceMs = startMs;
    let arrivals = this.#arrivals;
    this.#meter!.takeWorstMs();
    for (;;) {
      await sleep(QUIET_STEP_MS);
      const now = performance.now();
      if (this.#meter!.takeWorstMs() >= QUIET_DELAY_MS || this.#arrivals !== arrivals) {
        quietSinceMs = now;
        arrivals = this.#arrivals;
      }
      const isQuiet = now - quietSinceMs >= QUIET_MS;
      if (isQuiet || now - startMs >= SETTLE_PATIENCE_MS) {
        return { settledMs: now - startMs, isQuiet };
      }
    }
  }

  // deno-lint-ignore require-await
  async readClock(): Promise<number> {
    return clockMs();
  }

  // deno-lint-ignore require-await
  async begin(): Promise<void> {
    this.#load = null;
    this.#allReceived = Promise.withResolvers();
    this.#meter!.begin();
    this.#round.begin(this.#live);
  }

  received(): Promise<void> {
    return this.#allReceived.promise;
  }

  // deno-lint-ignore require-await
  async collect(): Promise<GroupRound> {
    if (this.#load === null) this.#endWindow();
    return {
      ...this.#round.end(),
      refusals: this.#takeRefusals(),
      disconnected: this.size - this.#live.reduce((sum, live) => sum + live, 0),
      cameBack: this.#rampUp.cameBack,
      load: this.#load!,
    };
  }

  // deno-lint-ignore require-await
  async startStorm(): Promise<void> {
    this.#rampUp.stop();
    this.#reconnection = new Reconnection({
      size: this.size,
      connect: (index) => this.#connect(index),
      abandon: (index) => this.#bots[index]?.abandon(),
    });
  }

  // deno-lint-ignore require-await
  async cut(): Promise<void> {
    this.#abandonAll();
  }

  // deno-lint-ignore require-await
  async stormProgress(): Promise<StormProgress> {
    const resumption = this.#resumption;
    const behind = resumption === null
      ? 0
      : this.#live.reduce((sum, live, at) => sum + (live && resumption.isBehind(at) ? 1 : 0), 0);
    return { ...this.#reconnection!.progress, behind };
  }

  // deno-lint-ignore require-await
  async endStorm(): Promise<GroupStorm> {
    const outages = this.#reconnection!.end();
    this.#reconnection = null;
    return { ...outages, resumption: this.#resumption?.end(this.#live) ?? null };
  }

  async leave(): Promise<void> {
    this.#rampUp.stop();
    let writes = 0;
    for (const bot of this.#bots) {
      if (bot === undefined) continue;
      bot.leave();
      if (++writes % this.#runtime.writesPerTurn === 0) {
        await new Promise<void>((resolve) => this.#runtime.nextTurn(resolve));
      }
    }
    const timer = setTimeout(() => this.#abandonAll(), CLOSE_PATIENCE_MS);
    if (this.#open > 0) await new Promise<void>((resolve) => this.#onAllClosed = resolve);
    clearTimeout(timer);
    this.#meter?.close();
  }

  abandon(): void {
    this.#rampUp.stop();
    clearInterval(this.#progressTimer);
    this.#abandonAll();
    this.#meter?.close();
  }

  #abandonAll(): void {
    for (const bot of this.#bots) bot?.abandon();
  }

  subscribeOf(index: number): Uint8Array | null {
    return this.#resumption?.subscribe(index) ?? null;
  }

  takes(index: number, frame: Uint8Array): boolean {
    if (this.#resumption?.take(index, frame) !== true) return false;
    this.#arrivals++;
    return true;
  }

  onGreeted(index: number): void {
    this.#rampUp.onGreeted(index);
  }

  onSubscribed(index: number): void {
    this.#live[index] = 1;
    this.#rampUp.onSubscribed(index);
    this.#reconnection?.onSubscribed(index);
    this.#resumption?.onSubscribed(index);
  }

  onRefused(index: number, { reason, text, retryAfterMs }: Refusal): void {
    this.#firstRefusal ??= text;
    this.#reconnection?.onTold(index, reason, retryAfterMs);
    this.#refusals[reason] = (this.#refusals[reason] ?? 0) + 1;
    this.#rampUp.onRefused(index);
  }

  onExpected(index: number): void {
    this.#arrivals++;
    this.#round.onExpected(index);
  }

  onOther(index: number, frame: Uint8Array, isMessage: boolean): void {
    this.#arrivals++;
    this.#round.onOther(index, frame, isMessage);
  }

  onClosed(index: number): void {
    this.#bots[index] = undefined;
    this.#reconnection?.onClosed(index, this.#live[index] === 1);
    this.#live[index] = 0;
    this.#round.onClosed(index);
    if (--this.#open === 0) this.#onAllClosed();
    this.#rampUp.onClosed(index);
  }

  #endWindow(): void {
    this.#load = this.#meter!.end();
    this.#allReceived.resolve();
  }

  #takeRefusals(): Tally {
    const refusals = this.#refusals;
    this.#refusals = {};
    return refusals;
  }
}

/**
 * Collects garbage before the measured window, if the runtime allows it (`--expose-gc`), so that no
 * collection falls into the window. With 19,000 sockets a full one holds Deno up for 50 to 150 ms.
 */
function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}
