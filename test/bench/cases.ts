import { Bench } from "tinybench";

/** Something to measure without sockets. */
export interface Case {
  readonly name: string;
  /** The operation that one call of `run` repeats. */
  readonly unit: string;
  readonly count: number;
  readonly run: () => void;
}

/** What a case has taken. */
export interface CaseResult {
  readonly name: string;
  readonly unit: string;
  /** The median time of one unit, in nanoseconds. */
  readonly median_ns: number;
}

/**
 * Runs the cases, and prints for each the median time of one unit.
 *
 * @param ms How long each is measured; half of that it runs before, to warm up.
 */
export async function runCases(
  title: string,
  cases: readonly Case[],
  ms: number,
): Promise<CaseResult[]> {
  console.log(`\n${title}`);
  const bench = new Bench({
    time: ms,
    iterations: Math.min(ms, 64),
    warmupTime: ms / 2,
    warmupIterations: Math.min(ms, 16),
  });
  for (const { name, run } of cases) bench.add(name, run);
  await bench.run();
  return cases.map(({ name, unit, count }, index) => {
    const result = bench.tasks[index]?.result;
    if (result?.state !== "completed") throw new Error(`${name}: ${result?.state}`);
    const nanoseconds = (result.latency.p50 * 1e6) / count;
    console.log(`${nanoseconds.toFixed(0).padStart(7)} ns a ${unit} (median)  ${name}`);
    return { name, unit, median_ns: nanoseconds };
  });
}
