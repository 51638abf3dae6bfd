/**
 * What a tenth that reads nothing costs the other nine tenths; see `--help`.
 *
 * @module
 */

import { findProgram, RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";
import { ServerProcess } from "../../tools/harness/server_process.ts";
import { median, nearestRank } from "../../bots/measures/statistics.ts";
import { answer, runCommand } from "../../cli/command.ts";
import { CommandLine } from "../../cli/command_line.ts";
import { checkReportFile } from "../../cli/report_file.ts";
import { detectRuntime } from "../../runtime/detect.ts";
import { writeBenchReport } from "./bench_report.ts";
import { Audience, BenchPublisher, publishFrames } from "./fanout_client.ts";

/** The kernel holds some 4 MiB for a peer that reads nothing. */
const FILL_MIB = 6;

const HELP = `Hotwheels benchmark: nine tenths of a topic's subscribers, beside a tenth that
reads nothing.

Usage:
  deno task -q bench:stalled [flags]
  bun run test/bench/stalled.ts [flags]

Flags:
  --subscribers N  subscribers of the topic, of whom a tenth stalls (default
                   10000)
  --rounds N       messages before they stall, and again while they do (default
                   20)
  --passes N       fresh servers for each runtime, in turn (default 3)
  --json FILE      write all passes as JSON to FILE too
  -h, --help       print this
  --version        print the version

The tenth stops to read and is sent ${FILL_MIB} MiB each, more than the kernel holds for
it, so that each one's writes stand still in the server. It isn't closed for
that while this measures: the server runs with long deadlines. All latencies are
the other nine tenths'.
`;

const FILL_PAYLOAD_BYTES = 60 * 1024;

/** Rounds at the start of each series that aren't counted. */
const WARM_UP_ROUNDS = 3;

const SERVER_FLAGS = ["--log-level", "error", "--write-deadline", "600s"]
  .concat("--soft-pending-time", "600s");

interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

if (import.meta.main) await runCommand("bench:stalled", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, ["subscribers", "rounds", "passes", "json"]);
  if (line.question !== undefined) return answer(line.question, HELP);
  const subscribers = line.number("subscribers", 10, 1_000_000) ?? 10_000;
  const rounds = line.number("rounds", 1, 1_000_000) ?? 20;
  const passes = line.number("passes", 1, 1000) ?? 3;
  const file = line.text("json");
  checkReportFile(file ?? null, "--json");
  const results = new Map<RuntimeName, { before: Percentiles[]; during: Percentiles[] }>();
  for (let pass = 0; pass < passes; pass++) {
    for (const runtime of RUNTIME_NAMES) {
      const { before, during } = results.get(runtime) ?? { before: [], during: [] };
      const measured = await measure(runtime, subscribers, rounds);
      before.push(...measured.before);
      during.push(...measured.during);
      results.set(runtime, { before, during });
    }
  }
  console.log("medians of all rounds, ms             p50      p99      max");
  for (const [runtime, { before, during }] of results) {
    console.log(row(`${runtime}, all read`, before, (ms) => ms.toFixed(2)));
    console.log(row(`${runtime}, a tenth stalls`, during, (ms) => ms.toFixed(2)));
    const of = (key: keyof Percentiles) => middle(during, key) / middle(before, key);
    const ratios = [{ p50: of("p50"), p99: of("p99"), max: of("max") }];
    console.log(row("  ratio", ratios, (ratio) => ratio.toFixed(3)));
  }
  if (file !== undefined) {
    const servers = [...results].map(([runtime, { before, during }]) => ({
      runtime,
      all_read_ms: before,
      a_tenth_stalls_ms: during,
    }));
    await writeBenchReport(file, "stalled", { subscribers, passes, rounds, servers });
  }
  return 0;
}

function row(name: string, rounds: readonly Percentiles[], show: (value: number) => string) {
  const columns = (["p50", "p99", "max"] as const).map((key) => show(middle(rounds, key)));
  return name.padEnd(32) + columns.map((column) => column.padStart(9)).join("");
}

function middle(rounds: readonly Percentiles[], key: keyof Percentiles): number {
  return median(rounds.map((round) => round[key]));
}

async function measure(name: RuntimeName, subscribers: number, rounds: number) {
  const runtime = await detectRuntime();
  const server = await ServerProcess.start(name, findProgram(name), SERVER_FLAGS);
  const readers = new Audience("crowd");
  const stalling = new Audience("crowd", "fill");
  try {
    const tenth = Math.floor(subscribers / 10);
    await readers.join(runtime, server.port, subscribers - tenth);
    await stalling.join(runtime, server.port, tenth);
    const publisher = await BenchPublisher.connect(runtime, server.port);
    const frames = publishFrames("crowd", 1, 4);
    const series = async () => {
      const all: Percentiles[] = [];
      for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
        const { latenciesMs } = await readers.receive(1, () => publisher.publish(frames));
        const at = (percent: number) => nearestRank(latenciesMs, percent);
        if (round >= 0) all.push({ p50: at(50), p99: at(99), max: at(100) });
      }
      return all;
    };
    const before = await series();
    stalling.stall();
    await fill(runtime, server.port);
    const during = await series();
    return { before, during };
  } finally {
    readers.leave();
    stalling.leave();
    await server.stopped();
  }
}

/** Sends those who stall more than the kernel holds for them, and waits until the server has it. */
async function fill(runtime: Awaited<ReturnType<typeof detectRuntime>>, port: number) {
  const publisher = await BenchPublisher.connect(runtime, port);
  const witness = new Audience("fill");
  await witness.join(runtime, port, 1);
  const count = Math.ceil(FILL_MIB * 1024 * 1024 / FILL_PAYLOAD_BYTES);
  const frames = publishFrames("fill", count, FILL_PAYLOAD_BYTES);
  await witness.receive(count, () => publisher.publish(frames));
  witness.leave();
  publisher.close();
}
