/**
 * The fan-out benchmark: the server as a real process, real sockets, a table of subscribers x
 * publishes x payload, both runtimes, one and several workers; see `--help`.
 *
 * @module
 */

import { findProgram, RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";
import { ServerProcess } from "../../tools/harness/server_process.ts";
import { median, nearestRank } from "../../bots/measures/statistics.ts";
import { answer, runCommand } from "../../cli/command.ts";
import { CommandLine, quote, UsageError, wholeNumber } from "../../cli/command_line.ts";
import { detectRuntime } from "../../runtime/detect.ts";
import { checkReportFile } from "../../cli/report_file.ts";
import type { Runtime } from "../../runtime/types.ts";
import { writeBenchReport } from "./bench_report.ts";
import { Audience, BenchPublisher, publishFrames } from "./fanout_client.ts";

const HELP = `Hotwheels fan-out benchmark: how long until the last subscriber has the last
message.

Usage:
  deno task -q bench:fanout [flags]
  bun run test/bench/fanout.ts [flags]

Flags:
  --cases LIST     subscribers x publishes x payload bytes, separated by commas
                   (default
                   ${"1000x1x4,10000x1x4,1000x1000x4,100x1000x1024,1000x100x4096"})
  --runtimes LIST  deno, bun or both (default deno,bun)
  --workers LIST   the numbers of workers (default 1,2)
  --passes N       fresh servers for each row, the rows' order drawn anew for
                   each pass (default 3)
  --rounds N       rounds with each server, after one that isn't counted
                   (default 3)
  --json FILE      write all rounds as JSON to FILE too
  -h, --help       print this
  --version        print the version

The subscribers live in one process on the runtime that runs this, the same for
all servers; they and the servers share the machine. Every message is counted;
one that is lost fails the run.
`;

/** One row of the table. */
interface Row {
  readonly runtime: RuntimeName;
  readonly workers: number;
  readonly subscribers: number;
  readonly publishes: number;
  readonly payloadBytes: number;
  /** For each counted round. */
  readonly rounds: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number }[];
}

if (import.meta.main) await runCommand("bench:fanout", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(
    args,
    ["cases", "runtimes", "workers", "passes", "rounds", "json"],
  );
  if (line.question !== undefined) return answer(line.question, HELP);
  const rows = tableOf(line);
  const passes = line.number("passes", 1, 1000) ?? 3;
  const rounds = line.number("rounds", 1, 1000) ?? 3;
  const file = line.text("json");
  checkReportFile(file ?? null, "--json");
  const runtime = await detectRuntime();
  for (let pass = 0; pass < passes; pass++) {
    for (const row of shuffled(rows)) {
      console.error(`pass ${pass + 1} of ${passes}: ${nameOf(row)}`);
      await measure(runtime, row, rounds);
    }
  }
  console.log(tableText(rows));
  if (file !== undefined) await writeBenchReport(file, "fanout", { rows });
  return 0;
}

type Flag = "cases" | "runtimes" | "workers" | "passes" | "rounds" | "json";

function tableOf(line: CommandLine<Flag, "help">): Row[] {
  const cases = (line.text("cases") ??
    "1000x1x4,10000x1x4,1000x1000x4,100x1000x1024,1000x100x4096").split(",").map(parseCase);
  const runtimes = (line.text("runtimes") ?? "deno,bun").split(",").map((name) => {
    const known = RUNTIME_NAMES.find((runtime) => runtime === name);
    if (known === undefined) {
      throw new UsageError(`--runtimes takes deno and bun, not ${quote(name)}`);
    }
    return known;
  });
  const workers = (line.text("workers") ?? "1,2").split(",").map((count) =>
    wholeNumber(count, "--workers", 1, 64)
  );
  return cases.flatMap((size) =>
    runtimes.flatMap((runtime) =>
      workers.map((workers): Row => ({ runtime, workers, ...size, rounds: [] }))
    )
  );
}

function parseCase(text: string): Pick<Row, "subscribers" | "publishes" | "payloadBytes"> {
  const parts = text.split("x");
  if (parts.length !== 3) {
    throw new UsageError(
      `--cases needs subscribers x publishes x bytes such as 1000x1x4, not ${quote(text)}`,
    );
  }
  const [subscribers = 0, publishes = 0, payloadBytes = 0] = parts.map((part) =>
    wholeNumber(part, "a number in --cases", 1, 1_000_000)
  );
  return { subscribers, publishes, payloadBytes };
}

async function measure(runtime: Runtime, row: Row, rounds: number): Promise<void> {
  const flags = ["--workers", String(row.workers), "--log-level", "error"];
  const server = await ServerProcess.start(row.runtime, findProgram(row.runtime), flags);
  try {
    const audience = new Audience("bench");
    await audience.join(runtime, server.port, row.subscribers);
    const publisher = await BenchPublisher.connect(runtime, server.port);
    const frames = publishFrames("bench", row.publishes, row.payloadBytes);
    for (let round = 0; round <= rounds; round++) {
      const { latenciesMs } = await audience.receive(
        row.publishes,
        () => publisher.publish(frames),
      );
      if (round === 0) continue;
      row.rounds.push({
        p50Ms: nearestRank(latenciesMs, 50),
        p99Ms: nearestRank(latenciesMs, 99),
        maxMs: nearestRank(latenciesMs, 100),
      });
    }
    publisher.close();
    audience.leave();
  } finally {
    await server.stopped();
  }
}

function nameOf({ runtime, workers, subscribers, publishes, payloadBytes }: Row): string {
  return `${runtime}, ${workers} ${
    workers === 1 ? "worker" : "workers"
  }, ${subscribers} x ${publishes} x ${payloadBytes} B`;
}

function tableText(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const maxMs = median(row.rounds.map((round) => round.maxMs));
    const perSecond = row.subscribers * row.publishes / maxMs * 1000;
    return [
      String(row.subscribers),
      String(row.publishes),
      String(row.payloadBytes),
      row.runtime,
      String(row.workers),
      median(row.rounds.map((round) => round.p50Ms)).toFixed(1),
      median(row.rounds.map((round) => round.p99Ms)).toFixed(1),
      maxMs.toFixed(1),
      Math.round(perSecond).toLocaleString("en-US"),
    ];
  });
  const head = [
    "subscribers",
    "publishes",
    "payload B",
    "runtime",
    "workers",
    "p50 ms",
    "p99 ms",
    "last ms",
    "deliveries/s",
  ];
  const widths = head.map((title, at) =>
    Math.max(title.length, ...lines.map((cells) => cells[at]?.length ?? 0))
  );
  const format = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => cell.padStart(widths[at] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((width) => `${"-".repeat(width + 1)}:`).join("|")}|`;
  return [format(head), rule, ...lines.map(format)].join("\n");
}

/** In random order, so that no row always runs beside the same other one. */
function shuffled<T>(values: readonly T[]): T[] {
  return values.map((value) => ({ value, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ value }) => value);
}
