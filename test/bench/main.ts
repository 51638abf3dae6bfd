/**
 * What the parts cost by themselves, without sockets; see `--help`.
 *
 * @module
 */

import { answer, runCommand } from "../../cli/command.ts";
import { CommandLine } from "../../cli/command_line.ts";
import { checkReportFile } from "../../cli/report_file.ts";
import { writeBenchReport } from "./bench_report.ts";
import { runCases } from "./cases.ts";
import { fanOutCases } from "./fan_out_bench.ts";
import { PROTOCOL_CASES } from "./protocol_bench.ts";

const HELP = `Hotwheels benchmark: what the parts cost by themselves, without sockets.

Usage:
  deno task -q bench
  bun run test/bench/main.ts

Flags:
  --ms n       milliseconds for which each case is measured (default 1000)
  --json FILE  write the results as JSON to FILE too
  -h, --help   print this
  --version    print the version

It times the wire format, and topics and sessions on a runtime in memory. For
the whole server with real sockets, see deno task bench:fanout.
`;

const DEFAULT_MS = 1000;

if (import.meta.main) await runCommand("bench", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, ["ms", "json"]);
  if (line.question !== undefined) return answer(line.question, HELP);
  line.upTo(0, "there are only flags");
  const ms = line.number("ms", 1, 60_000) ?? DEFAULT_MS;
  const file = line.text("json");
  checkReportFile(file ?? null, "--json");
  const results = [
    ...await runCases("The wire format", PROTOCOL_CASES, ms),
    ...await runCases("Topics and sessions, on the runtime in memory", await fanOutCases(), ms),
  ];
  if (file !== undefined) await writeBenchReport(file, "parts", { results });
  return 0;
}
