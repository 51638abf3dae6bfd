/**
 * The command line of two-hosts.
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
import { MAX_BOTS } from "../../bots/run/limits.ts";
import { RUNTIME_NAMES, type RuntimeName } from "../../cli/program.ts";

/** The options of a run of two-hosts. */
export interface TwoHostsOptions {
  /** The number of bots. */
  readonly n: number;
  /** The servers, one after another. */
  readonly servers: readonly RuntimeName[];
  readonly botsRuntime: RuntimeName;
  readonly link: LinkOptions;
  /** The number of messages that are published to the bots of each server. */
  readonly rounds: number;
  /** Milliseconds within which the last bot must have each message. */
  readonly sloMs: number;
  /** Runs the comparison too. */
  readonly compares: boolean;
  /** Further arguments of the comparison. */
  readonly compareArguments: readonly string[];
}

/** The wire between the hosts. */
export interface LinkOptions {
  /** Milliseconds that each packet takes, each way. */
  readonly delayMs: number | null;
  /** Bits a second, each way. */
  readonly bitsPerSecond: number | null;
}

/** The parsed command line. */
export type TwoHostsCommand =
  | { readonly does: "run"; readonly options: TwoHostsOptions }
  | Question;

const MAX_ROUNDS = 10_000;

/** The text of `--help`. */
export const HELP = `Hotwheels two-hosts: server and bots on one machine as if on two, each held to
one core.

Usage (Linux, as root):
  deno task -q two-hosts [n] [flags] [-- flags of compare]
  bun run tools/two_hosts/main.ts [n] [flags] [-- flags of compare]

  n                how many bots (default 20000)

Flags:
  --server NAME    deno, bun or both, one after another (default both)
  --bots-runtime NAME
                   the runtime of the bots (default bun, where they cost least)
  --delay TIME     the delay of each packet, each way, such as 1ms (needs the
                   kernel's netem)
  --rate RATE      the wire's bandwidth, each way, such as 100mbit or 1gbit
  --rounds R       publish R messages, one after another (default 1)
  --slo TIME       the time within which the last bot must have each message
                   (default 1s)
  --compare        run the comparison too, against both servers at once; the
                   flags after -- are the comparison's
  -h, --help       print this
  --version        print the version

The server and the bots get a network namespace each, with a wire (a veth pair)
between them. They are removed at the end, also after an error or a signal.
If a run is killed, the next one removes what it left behind.

The exit status is 0 when every bot received every message within --slo; 1 when
not, or when this can't be done here; 2 when the command line is wrong; 3 when a
run is invalid, which makes it no measure of the server.
`;

/**
 * Reads the command line.
 *
 * @param args The arguments after the script's name.
 * @throws {UsageError} if an argument isn't as {@linkcode HELP} describes it.
 */
export function parseTwoHosts(args: readonly string[]): TwoHostsCommand {
  const cut = args.includes("--") ? args.indexOf("--") : args.length;
  const line = new CommandLine(
    args.slice(0, cut),
    ["server", "bots-runtime", "delay", "rate", "rounds", "slo"],
    ["compare"],
  );
  if (line.question !== undefined) return line.question;
  const [n] = line.upTo(1, "n is all");
  const compares = line.has("compare");
  const compareArguments = args.slice(cut + 1);
  if (compareArguments.length > 0 && !compares) {
    throw new UsageError(`${quote(compareArguments[0]!)} behind -- needs --compare`);
  }
  const size = n === undefined ? 20_000 : wholeNumber(n, "n", 1, MAX_BOTS);
  if (compares) comparisonOf(size, compareArguments);
  const server = line.choice("server", [...RUNTIME_NAMES, "both"]) ?? "both";
  const options: TwoHostsOptions = {
    n: size,
    servers: server === "both" ? RUNTIME_NAMES : [server],
    botsRuntime: line.choice("bots-runtime", RUNTIME_NAMES) ?? "bun",
    link: {
      delayMs: line.duration("delay") ?? null,
      bitsPerSecond: rate(line.text("rate")),
    },
    rounds: line.number("rounds", 1, MAX_ROUNDS) ?? 1,
    sloMs: line.duration("slo") ?? 1000,
    compares,
    compareArguments,
  };
  return { does: "run", options };
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
