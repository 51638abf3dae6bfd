import { nearestRank } from "../../../bots/measures/statistics.ts";

/** What a bystander's messages took, in milliseconds. */
export interface LatencyVerdict {
  readonly messages: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
  /** Messages that aren't judged: the process that served the bystander was stopped meanwhile. */
  readonly excused: number;
}

/** How long a bystander's messages may take, in milliseconds. */
export interface LatencyBounds {
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** A time in which the server was kept from serving. */
interface Excuse {
  readonly fromMs: number;
  readonly toMs: number;
}

/** How long a busy machine kept a server's processes from running between two moments. */
interface Wait extends Excuse {
  readonly waitedMs: number;
}

/** What piled up while a process was stopped takes a moment. */
const CATCH_UP_MS = 1_000;

/** Waits are known by the second: they say nothing of a message that took less than this. */
const MIN_WAIT_MS = 500;

/** Collects what messages took. Times are milliseconds since 1970. */
export class Latency {
  readonly #sentMs: number[] = [];
  readonly #tookMs: number[] = [];
  readonly #excuses: Excuse[] = [];
  readonly #waits: Wait[] = [];

  add(sentMs: number, tookMs: number): void {
    this.#sentMs.push(sentMs);
    this.#tookMs.push(tookMs);
  }

  /** Judges no message that was under way between these moments, or a moment later. */
  excuse(fromMs: number, toMs: number): void {
    this.#excuses.push({ fromMs, toMs: toMs + CATCH_UP_MS });
  }

  /**
   * Takes from what messages took in this time what the server waited for a processor: that's the
   * machine's doing.
   *
   * @param waitedMs Of all the server's processes together.
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

  /** What a message took, without what the machine kept the server from running meanwhile. */
  #ownMs(at: number): number {
    const tookMs = this.#tookMs[at]!;
    if (tookMs < MIN_WAIT_MS) return tookMs;
    const sentMs = this.#sentMs[at]!;
    const receivedMs = sentMs + tookMs;
    let ownMs = tookMs;
    for (const { fromMs, toMs, waitedMs } of this.#waits) {
      const sharedMs = Math.min(toMs, receivedMs) - Math.max(fromMs, sentMs);
      // A process can't have waited for longer than the time there was.
      if (sharedMs > 0) ownMs -= Math.min(waitedMs, sharedMs);
    }
    return ownMs;
  }

  #isExcused(at: number): boolean {
    const sentMs = this.#sentMs[at]!;
    const receivedMs = sentMs + this.#tookMs[at]!;
    return this.#excuses.some(({ fromMs, toMs }) => sentMs < toMs && receivedMs > fromMs);
  }
}

/** What of a verdict is beyond the bounds, as lines for people. */
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
