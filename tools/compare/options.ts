/**
 * The command line of the comparison.
 *
 * @module
 */

import { resolve } from "node:path";
import {
  CommandLine,
  type Question,
  quote,
  UsageError,
  wholeNumber,
} from "../../cli/command_line.ts";
import { MAX_BOTS, MAX_DATA_BYTES, MAX_WORKERS } from "../../bots/run/limits.ts";
import {
  isThisMachine,
  type LeaderFlags,
  leaderFlags,
  leaderOptions,
} from "../../bots/run/agent_options.ts";
import { RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";
import { type Arm, parseArms } from "./arm.ts";
import { MAX_SEED } from "../harness/random.ts";
import { MIN_RUNS } from "./results/verdict.ts";

/** The options of a comparison. */
export interface CompareOptions {
  readonly arms: readonly Arm[];
  /** The numbers of subscribers, ascending. Each has all of its runs. */
  readonly sizes: readonly number[];
  /** The number of valid runs of each arm. */
  readonly runs: number;
  /** The number of messages in each run, without the warm-up. */
  readonly rounds: number;
  /** The number of processes of each started server. */
  readonly workers: number;
  readonly botsRuntime: RuntimeName;
  /** The message's `data`. */
  readonly data: string;
  /** Milliseconds that a bot waits for a message. */
  readonly timeoutMs: number;
  /** The seed; `null` for a random one. */
  readonly seed: number | null;
  /** The folder of the reports; `null` for one that is named after the current time. */
  readonly out: string | null;
  /** Prints the JSON report in place of the table. */
  readonly json: boolean;
  /** Records what EC2 says about this instance. */
  readonly ec2: boolean;
  /** The agents that have the bots, files with their whole paths; `null` for this machine. */
  readonly agents: LeaderFlags | null;
}

/** The parsed command line. */
export type CompareCommand =
  | { readonly does: "run"; readonly options: CompareOptions }
  /** Builds the reports again from the JSON report in `file`. */
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
  "agents",
  "agents-ca",
  "key-file",
  "seed",
  "out",
  "from",
] as const;

const SWITCHES = ["json", "ec2", "agents-tls"] as const;

type Line = CommandLine<typeof VALUE_FLAGS[number], typeof SWITCHES[number]>;

/** The text of `--help`. */
export const HELP = `Hotwheels compare: measures which server reaches its last subscriber sooner, by
how much, and how certain that is.

Usage:
  hotwheels compare [n] [flags]
  deno task -q compare [n] [flags]
  bun run tools/compare/main.ts [n] [flags]

  n                   how many subscribers (default ${DEFAULT_SIZE}, or the most of
                      --sweep)

Flags:
  --target NAME=WHERE a server to compare; give two or more. WHERE is deno or
                      bun (this checkout's server, started afresh for each run),
                      or the address of a running server: host:port for one
                      that speaks Janus, nats://host:port or redis://host:port.
                      The others are compared with the first. Without it:
                      Deno=deno and Bun=bun
  --runs R            valid runs of each (default ${DEFAULT_RUNS}; a verdict takes ${MIN_RUNS} or more)
  --rounds R          messages in each run (default ${DEFAULT_ROUNDS}), after one that doesn't
                      count
  --sweep LIST        compare with each of these numbers of subscribers, such as
                      1000,5000,10000
  --workers N         processes of each server that is started (default 1)
  --bots-runtime R    deno or bun: the runtime of the bots, the same for all
                      servers (default bun, on which they cost least)
  --size BYTES        the message's data (default: 4 bytes, as in 2009)
  --timeout TIME      how long a bot waits for a message, such as 5s (default
                      5s)
  --agents HOST:PORT,...
                      share the bots among these agents, which must reach the
                      servers (see hotwheels bots --help); they run on what the
                      agents run on. This machine publishes
  --key-file FILE     the file with the agents' key
  --agents-tls        speak TLS with the agents
  --agents-ca FILE    accept this certificate authority of theirs too (PEM)
  --seed N            draw the order of the runs and the resamples from N, so
                      that they can be repeated
  --out DIR           the folder for the reports (default reports/ and the time
                      in UTC)
  --json              print report.json instead of the table
  --from FILE         measure nothing, but build the reports again from this
                      report.json, in its folder unless --out names another
  --ec2               record what EC2 says about this instance, and don't count
                      runs during which EC2 held packets up
  -h, --help          print this
  --version           print the version

Each run starts its server, connects n bots, subscribes them, waits until all is
quiet, publishes, and measures the time until each bot has the message. Servers
take turns, in an order drawn anew for each pass. A run that lost a message or
stood still, or whose bots were too busy to measure half of its messages, is
marked, not counted, and repeated, up to half as many times as there are runs.

A difference is a ratio of medians over runs, a server's over the first one's,
so that below 1 is better; with the 95 % interval of 20,000 resamples. It is
called one (faster, slower; less, more) when the interval lies wholly beyond 5 %
and even the 99.9 % interval doesn't hold 1; "no difference" when the interval
lies wholly within 5 %; else "inconclusive", with the condition that it lacks.

DIR gets report.html, report.md, report.json (with every measured latency) and,
for each server, .hgrm files for HdrHistogram's plotter.

Ctrl-C, SIGTERM and SIGHUP end the servers and report the runs that are over; a
second signal ends everything at once.

The exit status is 0 when each server had all its valid runs; 1 when not, or
when something couldn't be measured at all; 2 when the command line is wrong;
128 plus the signal's number after a signal.

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
 * @param args The arguments after the script's name.
 * @throws {UsageError} if an argument isn't as {@linkcode HELP} describes it.
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
      agents: agentsOf(line, arms),
    },
  };
}

/** The bots' processes read the files again, and start elsewhere. */
function agentsOf(line: Line, arms: readonly Arm[]): LeaderFlags | null {
  const flags = leaderFlags(line);
  if (flags === null) {
    if (line.text("key-file") === undefined) return null;
    throw new UsageError("--key-file is for --agents; give those too");
  }
  const { places } = leaderOptions(flags);
  const elsewhere = places.find(({ host }) => !isThisMachine(host));
  if (elsewhere !== undefined && arms.some(({ runtime }) => runtime !== null)) {
    throw new UsageError(
      `the agent at ${elsewhere.name} can't reach servers that are started here; name running ` +
        "ones, such as --target a=10.0.0.7:8081 --target b=10.0.0.7:8082",
    );
  }
  const { authority } = flags;
  return {
    ...flags,
    keyFile: resolve(flags.keyFile),
    ...authority === undefined ? {} : { authority: resolve(authority) },
  };
}

/** Refuses other flags beside `--from`: a finished measurement can't be changed. */
function checkNothingElse(line: Line): void {
  const flags = VALUE_FLAGS.filter((flag) => flag !== "from" && flag !== "out")
    .filter((flag) => line.all(flag).length > 0);
  const switches = SWITCHES.filter((flag) => flag !== "json" && line.has(flag));
  const others = [...flags, ...switches].map((flag) => `--${flag}`);
  const [found] = [...line.positionals, ...others];
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
