/**
 * The churn's command; see `--help`.
 *
 * @module
 */

import process from "node:process";
import manifest from "../../package.json" with { type: "json" };
import { answer, runCommand } from "../../cli/command.ts";
import { CommandLine, wholeNumber } from "../../cli/command_line.ts";
import { checkReportFile } from "../../cli/report_file.ts";
import { churn, type ChurnRun, FEWEST_TO_JUDGE, MAX_GROWTH } from "./churn.ts";
import { Cleanup } from "../harness/cleanup.ts";
import { MAX_WORKERS } from "../../bots/run/limits.ts";
import { wrapped } from "../../cli/plain_text.ts";
import { findProgram, RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";
import { writeReport } from "../soak/write_report.ts";
import { startServer } from "../soak/start_server.ts";

const HELP = `Hotwheels churn: makes and closes connections, and checks that the server's
memory stays where it was.

Usage:
  hotwheels churn [n] [flags]
  deno task -q churn [n] [flags]
  bun run tools/churn/main.ts [n] [flags]

  n             how many connections are counted (default 200000); half as many
                come before them
  --runtime R   deno or bun: start this checkout's server on R (default: on
                both, one after the other)
  --workers N   the server's processes (default 1)
  --json FILE   write the report as JSON to FILE too; - for standard output,
                which sends the text to standard error
  -h, --help    print this
  --version     print the version

A quarter of the connections each is reset as soon as it is connected, when it
is greeted, and when it is subscribed; the last publishes, and leaves in order.
They come from two thousand loopback addresses, so that no address runs out of
ports. A runtime takes the memory that a load needs step by step, and keeps it;
the connections before the count let it do so. After every quarter of the count
all pauses, and the server's resident memory is read. At the end it may be a
tenth above its value after the first quarter. With fewer than ${FEWEST_TO_JUDGE}
connections growth can't be told from warming up, and memory isn't judged.

Ctrl-C, SIGTERM and SIGHUP end the server and report the servers whose churn is
over; a second signal ends everything at once.

The exit status is 0 when memory stayed and no connection failed; 1 when not;
2 when the command line is wrong; 128 plus the signal's number after a signal.
`;

const DEFAULT_CONNECTIONS = 200_000;
const MAX_CONNECTIONS = 100_000_000;
const MB = 1e6;

if (import.meta.main) await runCommand("churn", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, ["runtime", "workers", "json"]);
  if (line.question !== undefined) return answer(line.question, HELP);
  const [n] = line.upTo(1, "n is all");
  const connections = n === undefined
    ? DEFAULT_CONNECTIONS
    : wholeNumber(n, "n", 100, MAX_CONNECTIONS);
  const workers = line.number("workers", 1, MAX_WORKERS) ?? 1;
  const runtime = line.choice("runtime", RUNTIME_NAMES);
  const runtimes = runtime === undefined ? RUNTIME_NAMES : [runtime];
  const json = line.text("json") ?? null;
  checkReportFile(json, "--json");
  for (const name of runtimes) findProgram(name);

  const cleanup = new Cleanup();
  cleanup.listen(() => {
    console.error("churn: ending what runs; a second signal ends at once");
  });
  const over: ChurnRun[] = [];
  let runs: readonly ChurnRun[] = [];
  try {
    const all = churnEach(
      runtimes,
      { connections, workers, cleanup },
      (run) => over.push(run),
    );
    await Promise.race([all, cleanup.interrupted]);
    // Runs that end after the signal don't count.
    runs = [...over];
  } finally {
    await cleanup.endAll();
  }
  const { status } = cleanup;
  if (status !== null && runs.length === 0) {
    console.error("churn: no server's churn was over, so there is nothing to report");
    return status;
  }
  const passed = status === null && runs.every((run) => run.passed);
  const interrupted = status !== null;
  const report = { hotwheels_version: manifest.version, workers, interrupted, passed, runs };
  writeReport(report, runs.map(runText).join("\n"), json);
  return status ?? (passed ? 0 : 1);
}

interface ChurnPlan {
  readonly connections: number;
  readonly workers: number;
  readonly cleanup: Cleanup;
}

async function churnEach(
  runtimes: readonly RuntimeName[],
  { connections, workers, cleanup }: ChurnPlan,
  onRun: (run: ChurnRun) => void,
): Promise<void> {
  for (const name of runtimes) {
    const server = await startServer(name, workers, "open", cleanup);
    const run = await churn(server, connections, (share) => {
      showProgress(`${name}: ${(share * 100).toFixed(0)} % of ${connections} connections`);
    });
    showProgress("");
    onRun(run);
  }
}

function showProgress(text: string): void {
  if (process.stderr.isTTY === true) process.stderr.write(`\r\x1b[K${text}`);
}

function runText(run: ChurnRun): string {
  const { server, runtime_version, connections, took_s, failed, plateaus, ratio, stop } = run;
  const percent = (ratio - 1) * 100;
  return [
    `--- ${server} ${runtime_version}: ${connections} connections in ${took_s.toFixed(0)} s, ` +
    `${failed} failed`,
    ...plateaus.map(({ connections, resident_bytes, descriptors }) =>
      `after ${String(connections).padStart(9)}: ${(resident_bytes / MB).toFixed(1)} MB, ` +
      `${descriptors} descriptors`
    ),
    ...(stop === null ? [] : [`stopped with status ${stop.status}`]),
    `verdict: ${run.passed ? "passed" : "FAILED"}: memory ${percent < 0 ? "" : "+"}` +
    `${percent.toFixed(1)} % from the first quarter to the last` +
    (run.judged
      ? `; +${((MAX_GROWTH - 1) * 100).toFixed(0)} % is allowed`
      : ", not judged: too few connections"),
  ].flatMap((line) => wrapped(line, "", "  ")).join("\n");
}
