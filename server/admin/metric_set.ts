import { Counter, Gauge, Histogram, type MetricValueWithName, Registry } from "prom-client";
import type { HistogramCounts } from "../telemetry/histogram.ts";
import type { Counts } from "../telemetry/report.ts";

/** The value of a metric, or of each of its labels' values. */
type Samples = number | readonly (readonly [label: string, value: number])[];

/** A histogram whose counts are set, not observed one by one. */
class FilledHistogram extends Histogram {
  readonly #bounds: readonly number[];
  #counts: HistogramCounts | undefined;

  constructor(name: string, help: string, bounds: readonly number[], registry: Registry) {
    super({ name, help, buckets: [...bounds], registers: [registry] });
    this.#bounds = bounds;
  }

  fill(counts: HistogramCounts | undefined): void {
    this.#counts = counts;
  }

  /** The registry calls this, and `get` of the base class does. */
  getForPromString() {
    const { buckets = [], sum = 0, count = 0 } = this.#counts ?? {};
    let upTo = 0;
    const values: MetricValueWithName<"le">[] = this.#bounds.map((bound, index) => {
      upTo += buckets[index] ?? 0;
      return { labels: { le: bound }, value: upTo, metricName: `${this.name}_bucket` };
    });
    values.push(
      { labels: { le: "+Inf" }, value: count, metricName: `${this.name}_bucket` },
      { labels: {}, value: sum, metricName: `${this.name}_sum` },
      { labels: {}, value: count, metricName: `${this.name}_count` },
    );
    const { name, help } = this;
    return Promise.resolve({ name, help, type: "histogram", aggregator: "sum", values });
  }

  declare readonly name: string;
  declare readonly help: string;
}

/** Metrics named `hotwheels_`, whose values are set each time that they are asked for. */
export class MetricSet {
  readonly registry: Registry = new Registry();
  readonly #fillers: ((counts: Counts | undefined) => void)[] = [];

  /** All of them as Prometheus's text. @param counts `undefined` before a process has told any. */
  text(counts: Counts | undefined): Promise<string> {
    for (const fill of this.#fillers) fill(counts);
    return this.registry.metrics();
  }

  /** Adds a number that rises and falls. `label` is the name of the label that its samples have. */
  gauge(name: string, help: string, valueOf: () => Samples, label?: string): void {
    const gauge = new Gauge({ ...this.#settings(name, help), ...labelled(label) });
    this.#fillers.push(() => {
      gauge.reset();
      const samples = valueOf();
      if (typeof samples === "number") gauge.set(samples);
      else for (const [value, number] of samples) gauge.set({ [label!]: value }, number);
    });
  }

  /** Adds a number that only grows. */
  counter(
    name: string,
    help: string,
    valueOf: (counts: Counts) => Samples,
    label?: string,
  ): void {
    const counter = new Counter({ ...this.#settings(name, help), ...labelled(label) });
    this.#fillers.push((counts) => {
      counter.reset();
      // Before a worker has told anything.
      if (counts === undefined) return;
      const samples = valueOf(counts);
      if (typeof samples === "number") counter.inc(samples);
      else for (const [value, number] of samples) counter.inc({ [label!]: value }, number);
    });
  }

  /** Adds a histogram with buckets up to `bounds`. */
  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    countsOf: (counts: Counts) => HistogramCounts,
  ): void {
    const histogram = new FilledHistogram(`hotwheels_${name}`, help, bounds, this.registry);
    this.#fillers.push((counts) => histogram.fill(counts && countsOf(counts)));
  }

  #settings(name: string, help: string) {
    return { name: `hotwheels_${name}`, help, registers: [this.registry] };
  }
}

function labelled(label: string | undefined) {
  return label === undefined ? {} : { labelNames: [label] };
}
