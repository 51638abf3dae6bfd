/**
 * How busy the bots' own process is, which decides whether what it measured was the server.
 *
 * @module
 */

import process from "node:process";
import type { Connection, Listener, Runtime } from "../../runtime/types.ts";
import { nearestRank } from "./statistics.ts";

/** One process's load over a measured window. */
export interface LoopReading {
  /** How long the window was, in milliseconds. */
  readonly wallMs: number;
  /** CPU time of the whole process over wall time: 1 is one core. */
  readonly cpuShare: number;
  /** How late the event loop ran a timer that was due. */
  readonly timerLagMs: Delay;
  /**
   * How long a byte that had arrived waited until the event loop brought it to its handler: the time
   * that the bots' process itself adds to each latency at that moment. `null` where it can't be
   * measured, because the process may not listen on the loopback interface.
   */
  readonly readDelayMs: Delay | null;
}

/** Delays in milliseconds; the percentile is by nearest rank. 0 without a sample. */
export interface Delay {
  readonly p99: number;
  readonly max: number;
}

/** How often a sample is taken. Two hundred timers and reads a second cost next to nothing. */
const TICK_MS = 5;

const oneByte = new Uint8Array(1);

/**
 * Watches the event loop with a timer of its own and a canary: a connection of the process to itself,
 * on which it sends one byte at a time and takes the time until it reads it.
 *
 * The canary waits in the same queues as the bots' messages: the kernel's list of readable sockets and
 * the runtime's of pending callbacks. So it sees what a timer can't: a process that serves timers in
 * time, and yet is thousands of messages behind.
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

  /** Starts to watch. */
  static async open(runtime: Runtime): Promise<LoopMeter> {
    const meter = new LoopMeter();
    meter.#canary = await Canary.open(runtime);
    meter.#schedule();
    return meter;
  }

  /** Begins a window. What was sampled before is forgotten. */
  begin(): void {
    this.#lags = [];
    this.#canary?.begin();
    this.#startMs = performance.now();
    this.#startCpu = process.cpuUsage();
  }

  /** Ends the window; a delay that is still growing counts with what it has grown to. */
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

  /** The worst delay of any kind since this was last asked, or since the beginning. */
  takeWorstMs(): number {
    const worst = Math.max(this.#worstSinceAskedMs, this.#canary?.takeWorstMs() ?? 0);
    this.#worstSinceAskedMs = 0;
    return worst;
  }

  /** Stops to watch; idempotent. */
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
