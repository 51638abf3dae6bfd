import { Bench } from "tinybench";

/** Something to measure without sockets. */
export interface Case {
  readonly name: string;
  /** What one call of `run` does so many times. */
  readonly unit: string;
  readonly count: number;
  readonly run: () => void;
}

/** Runs the cases, and prints for each the median time of one unit. */
export async function runCases(title: string, cases: readonly Case[]): Promise<void> {
  console.log(`\n${title}`);
  const bench = new Bench({ time: 1000, warmupTime: 500 });
  for (const { name, run } of cases) bench.add(name, run);
  await bench.run();
  for (const [index, { name, unit, count }] of cases.entries()) {
    const result = bench.tasks[index]?.result;
    if (result?.state !== "completed") throw new Error(`${name}: ${result?.state}`);
    const nanoseconds = (result.latency.p50 * 1e6) / count;
    console.log(`${nanoseconds.toFixed(0).padStart(7)} ns a ${unit} (median)  ${name}`);
  }
}
