/**
 * The command line of hosts.
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
import { type CompareOptions, parseCommand } from "../compare/options.ts";
import { MAX_BOTS, MAX_WORKERS } from "../../bots/run/limits.ts";
import { RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";

/** The options of a run of hosts. */
export interface HostsOptions {
  /** The number of bots of each machine. */
  readonly n: number;
  /** The number of servers, which are a cluster if there are several. */
  readonly machines: number;
  /** The processes of each server. */
  readonly workers: number;
  /** The servers, one after another. */
  readonly servers: readonly RuntimeName[];
  readonly botsRuntime: RuntimeName;
  readonly link: LinkOptions;
  /** The number of messages that are published to the bots of each server. */
  readonly rounds: number;
  /** Milliseconds within which the last bot must have each message. */
  readonly sloMs: number;
  /** Milliseconds by which the last bot of another machine may be later than the last of the first. */
  readonly apartMs: number;
  /** Runs the comparison too. */
  readonly compares: boolean;
  /** Further arguments of the comparison. */
  readonly compareArguments: readonly string[];
  /** The file for the JSON report; `null` for none. */
  readonly json: string | null;
}

/** The wires between the hosts. */
export interface LinkOptions {
  /** Milliseconds that each packet takes, each way. */
  readonly delayMs: number | null;
  /** Bits a second, each way. */
  readonly bitsPerSecond: number | null;
}

/** The parsed command line. */
export type HostsCommand =
  | { readonly does: "run"; readonly options: HostsOptions }
  | Question;

const VALUE_FLAGS = [
  "machines",
  "workers",
  "server",
  "bots-runtime",
  "delay",
  "rate",
  "rounds",
  "slo",
  "apart",
  "json",
] as const;

type Line = CommandLine<typeof VALUE_FLAGS[number], "compare">;

const MAX_ROUNDS = 10_000;

/** With so many, and their bots and NATS, a machine has enough to do. */
const MAX_MACHINES = 8;

/** Milliseconds. */
const DEFAULT_APART_MS = 20;

/** With one machine, and with several. */
const DEFAULTS = {
  one: { n: 20_000, workers: 1, rounds: 1 },
  several: { n: 8_000, workers: 2, rounds: 10 },
} as const;

/** The text of `--help`. */
export const HELP = `Hotwheels hosts: servers and bots on one machine as if each had a host of its
own, with wires between them.

Usage (Linux, as root):
  deno task -q hosts [n] [flags] [-- flags of compare]
  bun run tools/hosts/main.ts [n] [flags] [-- flags of compare]

  n                how many bots each machine has (default 20000; 8000 with
                   several machines)

Flags:
  --machines M     start M servers, each with bots of its own, and NATS, by
                   which they are a cluster; publish on the first, and say how
                   much later the last bots of the others have each message
                   (default 1; nats-server must be installed for more)
  --workers W      the processes of each server (default 1; 2 with several
                   machines)
  --server NAME    deno, bun or both, one after another (default both)
  --bots-runtime NAME
                   the runtime of the bots (default bun, where they cost least)
  --delay TIME     the delay of each packet, each way, such as 1ms (needs the
                   kernel's netem)
  --rate RATE      the wires' bandwidth, each way, such as 100mbit or 1gbit
  --rounds R       publish R messages, one after another (default 1; 10 with
                   several machines)
  --slo TIME       the time within which the last bot must have each message
                   (default 1s)
  --apart TIME     with several machines, the time by which the last bot of
                   another one may be later than the last of the first, in the
                   median of the messages (default 20ms)
  --compare        run the comparison too, against both servers at once; the
                   flags after -- are the comparison's; for one machine
  --json FILE      write the report as JSON to FILE too; - for standard output,
                   which sends the text to standard error
  -h, --help       print this
  --version        print the version

Each server, its bots and NATS get a network namespace each, with wires (veth
pairs) between them, and cores of their own as far as there are enough: else
servers and NATS share one half of the cores, and bots the other. With several
machines the bots are agents (see bots --help), and all servers have the same
address, as behind a load balancer: the bots of a machine reach its own server
by it. The namespaces are removed at the end, also after an error or a signal.
If a run is killed, the next one removes what it left behind.

The exit status is 0 when every bot received every message within --slo, and the
machines weren't further --apart; 1 when not, or when this can't be done here; 2
when the command line is wrong; 3 when a run is invalid, which makes it no
measure of the server.
`;

/**
 * Reads the command line.
 *
 * @param args The arguments after the script's name.
 * @throws {UsageError} if an argument isn't as {@linkcode HELP} describes it.
 */
export function parseHosts(args: readonly string[]): HostsCommand {
  const cut = args.includes("--") ? args.indexOf("--") : args.length;
  const line: Line = new CommandLine(args.slice(0, cut), VALUE_FLAGS, ["compare"]);
  if (line.question !== undefined) return line.question;
  const [n] = line.upTo(1, "n is all");
  const machines = line.number("machines", 1, MAX_MACHINES) ?? 1;
  const defaults = machines === 1 ? DEFAULTS.one : DEFAULTS.several;
  const compares = line.has("compare");
  const compareArguments = args.slice(cut + 1);
  if (compareArguments.length > 0 && !compares) {
    throw new UsageError(`${quote(compareArguments[0]!)} behind -- needs --compare`);
  }
  const most = Math.floor(MAX_BOTS / machines);
  const size = n === undefined ? defaults.n : wholeNumber(n, "n", 1, most);
  if (compares) comparisonOf(size, compareArguments);
  checkMachines(line, machines);
  const server = line.choice("server", [...RUNTIME_NAMES, "both"]) ?? "both";
  const options: HostsOptions = {
    n: size,
    machines,
    workers: line.number("workers", 1, MAX_WORKERS) ?? defaults.workers,
    servers: server === "both" ? RUNTIME_NAMES : [server],
    botsRuntime: line.choice("bots-runtime", RUNTIME_NAMES) ?? "bun",
    link: {
      delayMs: line.duration("delay") ?? null,
      bitsPerSecond: rate(line.text("rate")),
    },
    rounds: line.number("rounds", 1, MAX_ROUNDS) ?? defaults.rounds,
    sloMs: line.duration("slo") ?? 1000,
    apartMs: line.duration("apart") ?? DEFAULT_APART_MS,
    compares,
    compareArguments,
    json: line.text("json") ?? null,
  };
  return { does: "run", options };
}

function checkMachines(line: Line, machines: number): void {
  if (machines === 1 && line.text("apart") !== undefined) {
    throw new UsageError("--apart is for --machines 2 or more; give that too");
  }
  if (machines > 1 && line.has("compare")) {
    throw new UsageError("--compare measures servers of one machine each; leave --machines out");
  }
}

/**
 * Parses the arguments of a comparison of two running servers.
 *
 * @throws {UsageError} if it isn't one.
 */
export function comparisonOf(n: number, compareArguments: readonly string[]): CompareOptions {
  const targets = RUNTIME_NAMES.flatMap((name) => ["--target", `${name}=localhost:1`]);
  const command = parseCommand([String(n), ...targets, ...compareArguments]);
  if (command.does === "run") return command.options;
  throw new UsageError("the flags after -- must make a comparison, and not ask for help");
}

const BITS = { kbit: 1e3, mbit: 1e6, gbit: 1e9 } as const;

function rate(text: string | undefined): number | null {
  if (text === undefined) return null;
  const match = /^(\d+(?:\.\d+)?)(kbit|mbit|gbit)$/.exec(text);
  const bits = match === null ? NaN : Number(match[1]) * BITS[match[2] as keyof typeof BITS];
  if (bits >= 1e5 && bits <= 1e12) return Math.round(bits);
  throw new UsageError(
    `--rate must be 100kbit to 1000gbit, such as 100mbit or 1gbit, not ${quote(text)}`,
  );
}
