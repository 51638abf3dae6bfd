import { nearestRank } from "../../../bots/measures/statistics.ts";

/** The latency of a bystander's messages, in milliseconds. */
export interface LatencyVerdict {
  readonly messages: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
  /** Messages that aren't judged, because their worker was stopped meanwhile. */
  readonly excused: number;
}

/** The highest allowed latency of a bystander's messages, in milliseconds. */
export interface LatencyBounds {
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** A time during which the server was stopped. */
interface Excuse {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The time that the server's processes waited for a processor between two moments. */
interface Wait extends Excuse {
  readonly waitedMs: number;
}

/** Milliseconds to handle the messages that piled up while a process was stopped. */
const CATCH_UP_MS = 1_000;

/**
 * Waits are measured once a second, so they don't explain the delay of a message that took less than
 * this.
 */
const MIN_WAIT_MS = 500;

/** Collects latencies. Times are milliseconds since 1970. */
export class Latency {
  readonly #sentMs: number[] = [];
  readonly #tookMs: number[] = [];
  readonly #excuses: Excuse[] = [];
  readonly #waits: Wait[] = [];

  add(sentMs: number, tookMs: number): void {
    this.#sentMs.push(sentMs);
    this.#tookMs.push(tookMs);
  }

  /** Excludes messages that were on their way between these moments, or shortly after. */
  excuse(fromMs: number, toMs: number): void {
    this.#excuses.push({ fromMs, toMs: toMs + CATCH_UP_MS });
  }

  /**
   * Subtracts the time that the server waited for a processor from the latencies in this time: the
   * machine caused it.
   *
   * @param waitedMs The sum over all the server's processes.
   */
  addWait(fromMs: number, toMs: number, waitedMs: number): void {
    this.#waits.push({ fromMs, toMs, waitedMs });
  }

  get count(): number {
    return this.#tookMs.length;
  }

  get verdict(): LatencyVerdict | null {
    const judged = Float64Array.from(
      this.#tookMs.flatMap((_, at) => this.#isExcused(at) ? [] : [this.#ownMs(at)]),
    ).sort();
    if (judged.length === 0) return null;
    return {
      messages: judged.length,
      p50_ms: nearestRank(judged, 50),
      p99_ms: nearestRank(judged, 99),
      max_ms: judged.at(-1)!,
      excused: this.#tookMs.length - judged.length,
    };
  }

  /** A message's latency, without the server's waits for a processor. */
  #ownMs(at: number): number {
    const tookMs = this.#tookMs[at]!;
    if (tookMs < MIN_WAIT_MS) return tookMs;
    const sentMs = this.#sentMs[at]!;
    const receivedMs = sentMs + tookMs;
    let ownMs = tookMs;
    for (const { fromMs, toMs, waitedMs } of this.#waits) {
      const sharedMs = Math.min(toMs, receivedMs) - Math.max(fromMs, sentMs);
      // A process can't wait longer than the time that both share.
      if (sharedMs > 0) ownMs -= Math.min(waitedMs, sharedMs);
    }
    // Several servers may have waited in the same time.
    return Math.max(ownMs, 0);
  }

  #isExcused(at: number): boolean {
    const sentMs = this.#sentMs[at]!;
    const receivedMs = sentMs + this.#tookMs[at]!;
    return this.#excuses.some(({ fromMs, toMs }) => sentMs < toMs && receivedMs > fromMs);
  }
}

/** The parts of a verdict that exceed the bounds, as lines for people. */
export function tooLate(
  { p99_ms, max_ms }: LatencyVerdict,
  { p99Ms, maxMs }: LatencyBounds,
): string[] {
  const said = (what: string, ms: number, bound: number) =>
    ms <= bound ? [] : [`bystander: ${what} took ${ms.toFixed(0)} ms, more than ${bound} ms`];
  return [
    ...said("1 message in 100", p99_ms, p99Ms),
    ...said("the slowest message", max_ms, maxMs),
  ];
}
