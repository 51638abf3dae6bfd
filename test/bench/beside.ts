/**
 * What a small topic's latency is beside a large one; see `--help`.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { findProgram, RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";
import { ServerProcess } from "../../tools/harness/server_process.ts";
import { median, nearestRank } from "../../bots/measures/statistics.ts";
import { startChild } from "../../cli/child.ts";
import { answer, runCommand } from "../../cli/command.ts";
import { CommandLine } from "../../cli/command_line.ts";
import { checkReportFile } from "../../cli/report_file.ts";
import { detectRuntime } from "../../runtime/detect.ts";
import { writeBenchReport } from "./bench_report.ts";
import type { CrowdOrder } from "./crowd.ts";
import { Audience, BenchPublisher, publishFrames } from "./fanout_client.ts";

const HELP = `Hotwheels benchmark: the latency of a topic with one subscriber beside a large
one.

Usage:
  deno task -q bench:beside [flags]
  bun run test/bench/beside.ts [flags]

Flags:
  --subscribers N  subscribers of the large topic (default 15000)
  --samples N      messages to the small topic, one every 10 ms (default 500)
  --passes N       fresh servers for each runtime, in turn (default 3)
  --json FILE      write all passes as JSON to FILE too
  -h, --help       print this
  --version        print the version

The large topic's subscribers live in a process of their own, which publishes
the next message as soon as all have the last. The idle row is the same small
topic while nobody publishes to the large one.
`;

const PAUSE_MS = 10;

if (import.meta.main) await runCommand("bench:beside", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, ["subscribers", "samples", "passes", "json"]);
  if (line.question !== undefined) return answer(line.question, HELP);
  const subscribers = line.number("subscribers", 1, 1_000_000) ?? 15_000;
  const samples = line.number("samples", 1, 1_000_000) ?? 500;
  const passes = line.number("passes", 1, 1000) ?? 3;
  const file = line.text("json");
  checkReportFile(file ?? null, "--json");
  const results = new Map<string, Float64Array[]>();
  for (let pass = 0; pass < passes; pass++) {
    for (const runtime of RUNTIME_NAMES) {
      for (const [name, latencies] of await measure(runtime, subscribers, samples)) {
        results.set(name, [...results.get(name) ?? [], latencies]);
      }
    }
  }
  console.log("medians of the passes, ms             p50      p99      max");
  for (const [name, runs] of results) {
    const at = (percent: number) =>
      median(runs.map((run) => nearestRank(run, percent))).toFixed(2).padStart(9);
    console.log(`${name.padEnd(32)}${at(50)}${at(99)}${at(100)}`);
  }
  if (file !== undefined) {
    const series = [...results].map(([name, runs]) => ({
      name,
      passes: runs.map((run) => ({
        p50_ms: nearestRank(run, 50),
        p99_ms: nearestRank(run, 99),
        max_ms: nearestRank(run, 100),
      })),
    }));
    await writeBenchReport(file, "beside", { subscribers, samples, series });
  }
  return 0;
}

async function measure(
  name: RuntimeName,
  subscribers: number,
  samples: number,
): Promise<[string, Float64Array][]> {
  const runtime = await detectRuntime();
  const server = await ServerProcess.start(name, findProgram(name), ["--log-level", "error"]);
  const crowd = await startChild(runtime, import.meta.resolve("./crowd.ts"), ["--allow-net"]);
  try {
    const audience = new Audience("small");
    await audience.join(runtime, server.port, 1);
    const publisher = await BenchPublisher.connect(runtime, server.port);
    const sample = async () => {
      const frames = publishFrames("small", 1, 4);
      const latencies = new Float64Array(samples);
      for (let i = 0; i < samples; i++) {
        const round = await audience.receive(1, () => publisher.publish(frames));
        latencies[i] = round.latenciesMs[0] ?? NaN;
        await sleep(PAUSE_MS);
      }
      return latencies.sort();
    };
    const idle = await sample();
    const order: CrowdOrder = { port: server.port, subscribers };
    const ready = new Promise((resolve) => crowd.once("message", resolve));
    crowd.send(order);
    await ready;
    const busy = await sample();
    return [[`${name}, idle`, idle], [`${name}, beside ${subscribers}`, busy]];
  } finally {
    crowd.disconnect();
    await server.stopped();
  }
}
