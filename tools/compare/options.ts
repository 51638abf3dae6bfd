/**
 * The command line of the comparison.
 *
 * @module
 */

import {
  CommandLine,
  type Question,
  quote,
  UsageError,
  wholeNumber,
} from "../../cli/command_line.ts";
import { MAX_BOTS, MAX_DATA_BYTES, MAX_WORKERS } from "../../bots/run/limits.ts";
import { RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";
import { type Arm, parseArms } from "./arm.ts";
import { MAX_SEED } from "../harness/random.ts";
import { MIN_RUNS } from "./results/verdict.ts";

/** What a comparison does. */
export interface CompareOptions {
  readonly arms: readonly Arm[];
  /** How many subscribers, ascending, each with all of its runs. */
  readonly sizes: readonly number[];
  /** How many valid runs each arm is to have. */
  readonly runs: number;
  /** How many messages each run has, the warm-up aside. */
  readonly rounds: number;
  /** How many processes each server that is started has. */
  readonly workers: number;
  readonly botsRuntime: RuntimeName;
  /** The message's `data`. */
  readonly data: string;
  /** How long a bot waits for a message, in milliseconds. */
  readonly timeoutMs: number;
  /** `null`: any. */
  readonly seed: number | null;
  /** The folder that the reports go to; `null`: one that is named after the moment. */
  readonly out: string | null;
  /** Whether the JSON report goes to standard output, in place of the table. */
  readonly json: boolean;
  /** Whether this machine is an EC2 instance that should say what it is. */
  readonly ec2: boolean;
}

/** What the command line asks for. */
export type CompareCommand =
  | { readonly does: "run"; readonly options: CompareOptions }
  /** Makes the reports again from the JSON one in `file`. */
  | {
    readonly does: "report";
    readonly file: string;
    readonly options: Pick<CompareOptions, "out" | "json">;
  }
  | Question;

const DEFAULT_SIZE = 5000;
const MAX_SIZES = 20;
const DEFAULT_RUNS = 10;
const DEFAULT_ROUNDS = 5;
const MAX_TIMES = 1000;

const VALUE_FLAGS = [
  "target",
  "runs",
  "rounds",
  "workers",
  "bots-runtime",
  "sweep",
  "size",
  "timeout",
  "seed",
  "out",
  "from",
] as const;

const SWITCHES = ["json", "ec2"] as const;

type Line = CommandLine<typeof VALUE_FLAGS[number], typeof SWITCHES[number]>;

/** What `--help` prints. */
export const HELP =
  `Hotwheels compare: which server reaches its last subscriber sooner, by how much,
and how sure is that?

Usage:
  deno task -q compare [n] [flags]
  bun run tools/compare/main.ts [n] [flags]

  n                   how many subscribers (default ${DEFAULT_SIZE}, or the most of
                      --sweep)

Flags:
  --target NAME=WHERE what to compare; give it twice or more. WHERE is deno or
                      bun (this checkout's server, started afresh for each run),
                      or where a server runs: host:port for one that speaks
                      Janus, nats://host:port, redis://host:port. The first is
                      what the others are held against. Without it: Deno=deno
                      and Bun=bun
  --runs R            valid runs of each (default ${DEFAULT_RUNS}; a verdict takes ${MIN_RUNS} or more)
  --rounds R          messages in each run (default ${DEFAULT_ROUNDS}), after one that doesn't
                      count
  --sweep LIST        do it for each of these numbers of subscribers, such as
                      1000,5000,10000
  --workers N         processes of each server that is started (default 1)
  --bots-runtime R    deno or bun: what the bots run on, for all servers alike
                      (default bun, on which they cost least)
  --size BYTES        the message's data (default: 4 bytes, as in 2009)
  --timeout TIME      how long a bot waits for a message, such as 5s (default
                      5s)
  --seed N            draw the order of the runs and the resamples from N, to
                      have them again
  --out DIR           where the reports go (default reports/, and the moment in
                      UTC)
  --json              print report.json instead of the table
  --from FILE         measure nothing: make the reports again from this
                      report.json, beside it unless --out says otherwise
  --ec2               record what EC2 says of this instance, and count no run
                      during which it held packets up
  -h, --help          print this
  --version           print the version

Each run starts its server, connects n bots, subscribes them, waits until all is
quiet, publishes, and takes the time until each bot has the message. Servers
take turns, in an order drawn anew for each pass. A run that lost a message or
stood still, or whose bots were too busy to measure half of its messages, is
marked, not counted, and made again, up to half as many times as there are runs.

A difference is a ratio of medians over runs, a server's over the first one's,
so that below 1 is better; with the 95 % interval of 20,000 resamples. It is
called one (faster, slower; less, more) when the interval lies wholly beyond 5 %
and even the 99.9 % interval doesn't hold 1; "no difference" when the interval
lies wholly within 5 %; else "inconclusive", with the condition that it lacks.

DIR gets report.html, report.md, report.json (with every latency that was taken)
and, for each server, .hgrm files for HdrHistogram's plotter.

Ctrl-C, SIGTERM and SIGHUP end the servers and report the runs that are over; a
second signal ends everything at once.

The exit status is 0 when each server had all its valid runs; 1 when not, or
when something couldn't be measured at all; 2 when the command line is wrong;
128 and the signal's number after a signal.

Examples:
  deno task -q compare 5000
  deno task -q compare --sweep 1000,5000,10000 --seed 7 --out reports/mine
  bun run tools/compare/main.ts 2000 --target old=10.0.0.7:8081 \\
    --target new=10.0.0.7:8082
  deno task -q compare 5000 --target Bun=bun \\
    --target nats=nats://localhost --target redis=redis://localhost
`;

/**
 * Reads the command line.
 *
 * @param args What follows the script's name.
 * @throws {UsageError} if anything isn't as {@linkcode HELP} has it.
 */
export function parseCommand(args: readonly string[]): CompareCommand {
  const line: Line = new CommandLine(args, VALUE_FLAGS, SWITCHES);
  if (line.question !== undefined) return line.question;

  const file = line.text("from");
  if (file !== undefined) {
    checkNothingElse(line);
    const options = { out: line.text("out") ?? null, json: line.has("json") };
    return { does: "report", file, options };
  }
  const [n] = line.upTo(1, "servers are named by --target");
  const arms = parseArms(line.all("target"));
  const workers = line.number("workers", 1, MAX_WORKERS);
  if (workers !== undefined && arms.every(({ runtime }) => runtime === null)) {
    throw new UsageError("--workers is for servers that are started, and all targets run already");
  }
  return {
    does: "run",
    options: {
      arms,
      sizes: sizesOf(n, line.text("sweep")),
      runs: line.number("runs", 1, MAX_TIMES) ?? DEFAULT_RUNS,
      rounds: line.number("rounds", 1, MAX_TIMES) ?? DEFAULT_ROUNDS,
      workers: workers ?? 1,
      botsRuntime: line.choice("bots-runtime", RUNTIME_NAMES) ?? "bun",
      data: "x".repeat(line.number("size", 1, MAX_DATA_BYTES) ?? 0) || "test",
      timeoutMs: line.duration("timeout") ?? 5000,
      seed: line.number("seed", 0, MAX_SEED) ?? null,
      out: line.text("out") ?? null,
      json: line.has("json"),
      ec2: line.has("ec2"),
    },
  };
}

/** What was measured can't be asked for again in another way. */
function checkNothingElse(line: Line): void {
  const flags = VALUE_FLAGS.filter((flag) => flag !== "from" && flag !== "out")
    .filter((flag) => line.all(flag).length > 0);
  const [other] = [...line.positionals, ...flags.map((flag) => `--${flag}`)];
  const found = other ?? (line.has("ec2") ? "--ec2" : undefined);
  if (found === undefined) return;
  throw new UsageError(
    `--from measures nothing, so it goes only with --out and --json, not with ` +
      quote(found),
  );
}

function sizesOf(n: string | undefined, sweep: string | undefined): number[] {
  const sizes = (sweep?.split(",") ?? []).map((size) => numberOf(size, "a number in --sweep"));
  if (n !== undefined) sizes.push(numberOf(n, "n"));
  if (sizes.length === 0) sizes.push(DEFAULT_SIZE);
  const ascending = [...new Set(sizes)].sort((a, b) => a - b);
  if (ascending.length > MAX_SIZES) {
    throw new UsageError(`--sweep has more than ${MAX_SIZES} numbers of subscribers`);
  }
  return ascending;
}

function numberOf(text: string, name: string): number {
  return wholeNumber(text, name, 1, MAX_BOTS);
}
