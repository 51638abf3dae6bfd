/**
 * Measures how busy the bots' own process is. That decides whether a run measured the server or the bots.
 *
 * @module
 */

import process from "node:process";
import type { Connection, Listener, Runtime } from "../../runtime/types.ts";
import { nearestRank } from "./statistics.ts";

/** The load of one process over a measured window. */
export interface LoopReading {
  /** The length of the window, in milliseconds. */
  readonly wallMs: number;
  /** CPU time of the whole process over wall time: 1 is one core. */
  readonly cpuShare: number;
  /** The delay of timers that were due. */
  readonly timerLagMs: Delay;
  /**
   * The time that an arrived byte waited until the event loop gave it to its handler: the bots' process
   * itself adds this to each latency at that moment. `null` if it can't be measured, because the process
   * may not listen on the loopback interface.
   */
  readonly readDelayMs: Delay | null;
}

/** Delays in milliseconds; the percentile is by nearest rank. 0 without a sample. */
export interface Delay {
  readonly p99: number;
  readonly max: number;
}

/** Milliseconds between two samples. Two hundred timers and reads a second cost next to nothing. */
const TICK_MS = 5;

const oneByte = new Uint8Array(1);

/**
 * Watches the event loop with a timer and a canary: a connection of the process to itself, over which it
 * sends one byte at a time and measures how long it takes to read it.
 *
 * The canary waits in the same queues as the bots' messages: the kernel's list of readable sockets and
 * the runtime's list of pending callbacks. So it notices what a timer can't: a process that runs its
 * timers on time, and yet is thousands of messages behind.
 */
export class LoopMeter {
  #canary: Canary | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueMs = 0;
  #lags: number[] = [];
  #startMs = 0;
  #startCpu = process.cpuUsage();
  #worstSinceAskedMs = 0;

  private constructor() {}

  /** Starts the timer and the canary. */
  static async open(runtime: Runtime): Promise<LoopMeter> {
    const meter = new LoopMeter();
    meter.#canary = await Canary.open(runtime);
    meter.#schedule();
    return meter;
  }

  /** Begins a window, and forgets all earlier samples. */
  begin(): void {
    this.#lags = [];
    this.#canary?.begin();
    this.#startMs = performance.now();
    this.#startCpu = process.cpuUsage();
  }

  /** Ends the window. A delay that is still growing counts with its value so far. */
  end(): LoopReading {
    const now = performance.now();
    const wallMs = now - this.#startMs;
    const cpu = process.cpuUsage(this.#startCpu);
    return {
      wallMs,
      cpuShare: wallMs > 0 ? (cpu.user + cpu.system) / 1000 / wallMs : 0,
      timerLagMs: delayOf([...this.#lags, Math.max(now - this.#dueMs, 0)]),
      readDelayMs: this.#canary === null ? null : delayOf(this.#canary.end(now)),
    };
  }

  /** The worst delay of either kind since the last call, or since the beginning, in milliseconds. */
  takeWorstMs(): number {
    const worst = Math.max(this.#worstSinceAskedMs, this.#canary?.takeWorstMs() ?? 0);
    this.#worstSinceAskedMs = 0;
    return worst;
  }

  /** Stops the timer and the canary. May be called more than once. */
  close(): void {
    clearTimeout(this.#timer);
    this.#canary?.close();
  }

  #schedule(): void {
    this.#dueMs = performance.now() + TICK_MS;
    this.#timer = setTimeout(() => this.#tick(), TICK_MS);
  }

  #tick(): void {
    // Timers count whole milliseconds on some runtimes, and may be a fraction early.
    const lagMs = Math.max(performance.now() - this.#dueMs, 0);
    this.#lags.push(lagMs);
    this.#worstSinceAskedMs = Math.max(this.#worstSinceAskedMs, lagMs);
    this.#canary?.send();
    this.#schedule();
  }
}

/** A connection of this process to itself. */
class Canary {
  #listener: Listener | null = null;
  #sender: Connection | null = null;
  #accepted: Connection | null = null;
  #sentMs: number | null = null;
  #delays: number[] = [];
  #worstMs = 0;

  static async open(runtime: Runtime): Promise<Canary | null> {
    const canary = new Canary();
    try {
      const listener = await runtime.listen(
        { transport: "tcp", hostname: "127.0.0.1", port: 0 },
        (connection) => canary.#accept(connection),
      );
      canary.#listener = listener;
      canary.#sender = await runtime.connect({ ...listener.address, timeoutMs: 3000 }, () => quiet);
      return canary;
    } catch {
      canary.close();
      return null;
    }
  }

  #accept(connection: Connection) {
    this.#accepted = connection;
    return {
      ...quiet,
      onData: () => {
        if (this.#sentMs === null) return;
        const delayMs = performance.now() - this.#sentMs;
        this.#sentMs = null;
        this.#delays.push(delayMs);
        this.#worstMs = Math.max(this.#worstMs, delayMs);
      },
    };
  }

  send(): void {
    if (this.#sentMs !== null || this.#sender === null || this.#sender.unsentBytes > 0) return;
    this.#sentMs = performance.now();
    this.#sender.write(oneByte);
  }

  begin(): void {
    this.#delays = [];
  }

  end(nowMs: number): number[] {
    return this.#sentMs === null ? this.#delays : [...this.#delays, nowMs - this.#sentMs];
  }

  takeWorstMs(): number {
    const worst = this.#worstMs;
    this.#worstMs = 0;
    return worst;
  }

  close(): void {
    this.#sender?.destroy();
    this.#accepted?.destroy();
    this.#listener?.close();
  }
}

const quiet = { onData() {}, onDrain() {}, onEnd() {}, onClose() {} };

function delayOf(samples: readonly number[]): Delay {
  if (samples.length === 0) return { p99: 0, max: 0 };
  const sorted = Float64Array.from(samples).sort();
  return { p99: nearestRank(sorted, 99), max: sorted[sorted.length - 1]! };
}
