/**
 * The port for WebSockets beside TCP and beside others' WebSockets; see `--help`.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { measure } from "../../bots/measure.ts";
import { median } from "../../bots/measures/statistics.ts";
import { type BotsOptions, parseCommand } from "../../bots/run/options.ts";
import { answer, runCommand } from "../../cli/command.ts";
import { CommandLine, EnvironmentError, quote, UsageError } from "../../cli/command_line.ts";
import { ProcessGroup } from "../../cli/process_group.ts";
import { findProgram, PROJECT_ROOT, type RuntimeName } from "../../cli/program.ts";
import { checkReportFile } from "../../cli/report_file.ts";
import { detectRuntime } from "../../runtime/detect.ts";
import { directCommand } from "../../tools/harness/server_process.ts";
import { until } from "../support/until.ts";
import { writeBenchReport } from "./bench_report.ts";

const HELP = `Hotwheels benchmark: subscribers by WebSocket beside subscribers on TCP, and
beside servers in a few lines on ws (Node) and on Bun's own WebSockets.

Usage:
  deno task -q bench:websockets [flags]
  bun run test/bench/web_sockets.ts [flags]

Flags:
  --servers LIST   some of bun, deno, ws and bun.serve (default all)
  --subscribers N  how many (default 19000)
  --rounds R       messages in each pass, after one that isn't counted
                   (default 5)
  --passes N       fresh servers, in turn (default 3)
  --json FILE      write all passes as JSON to FILE too
  -h, --help       print this
  --version        print the version

The project's bots are the subscribers, on the runtime that runs this, and share
the machine with the servers. Memory is what the server's process has grown by
when all are subscribed.
`;

/** A server that is measured. */
interface Contestant {
  /** Its name among `--servers`. */
  readonly server: string;
  readonly name: string;
  readonly command: readonly string[];
  /** The bots' address for it, from its first line. */
  target(line: string): string;
}

/** What a pass has measured. */
interface Pass {
  readonly setupMs: number;
  readonly p50Ms: number;
  readonly lastMs: number;
  readonly bytesEach: number;
}

const FLAGS = ["--host", "127.0.0.1", "--port", "0", "--ws-port", "0", "--log-level", "error"];

function ours(runtime: RuntimeName): Contestant[] {
  const command = [...directCommand(runtime, findProgram(runtime)), ...FLAGS];
  return [
    {
      server: runtime,
      name: `Hotwheels on ${runtime}, TCP`,
      command,
      target: (line) => / on (\S+) \(/.exec(line)![1]!,
    },
    {
      server: runtime,
      name: `Hotwheels on ${runtime}, WebSocket`,
      command,
      target: (line) => /ws:\/\/[^\s),]+/.exec(line)![0],
    },
  ];
}

const CONTESTANTS: readonly Contestant[] = [
  ...ours("bun"),
  ...ours("deno"),
  {
    server: "ws",
    name: "ws on Node",
    command: ["node", "test/bench/web_sockets/ws_server.mjs"],
    target: (line) => `ws://127.0.0.1:${line}`,
  },
  {
    server: "bun.serve",
    name: "Bun.serve",
    command: [findProgram("bun").path, "run", "test/bench/web_sockets/bun_server.ts"],
    target: (line) => `ws://127.0.0.1:${line}`,
  },
];

if (import.meta.main) await runCommand("bench:websockets", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(args, ["servers", "subscribers", "rounds", "passes", "json"]);
  if (line.question !== undefined) return answer(line.question, HELP);
  line.upTo(0, "there are only flags");
  const subscribers = line.number("subscribers", 1, 1_000_000) ?? 19_000;
  const rounds = line.number("rounds", 1, 1000) ?? 5;
  const passes = line.number("passes", 1, 1000) ?? 3;
  const file = line.text("json");
  checkReportFile(file ?? null, "--json");
  const contestants = contestantsOf(line.text("servers"));
  const results = new Map<Contestant, Pass[]>(contestants.map((one) => [one, []]));
  for (let pass = 0; pass < passes; pass++) {
    for (const one of pass % 2 === 0 ? contestants : contestants.toReversed()) {
      console.error(`pass ${pass + 1} of ${passes}: ${one.name}`);
      results.get(one)!.push(await measureOne(one, subscribers, rounds));
    }
  }
  console.log("medians                            setup ms  p50 ms  last ms  kB each");
  for (const [{ name }, runs] of results) {
    const of = (figure: keyof Pass) => median(runs.map((run) => run[figure]));
    console.log(
      name.padEnd(34) + of("setupMs").toFixed(0).padStart(9) + of("p50Ms").toFixed(1).padStart(8) +
        of("lastMs").toFixed(1).padStart(9) + (of("bytesEach") / 1000).toFixed(1).padStart(9),
    );
  }
  if (file !== undefined) {
    const servers = [...results].map(([{ name }, runs]) => ({
      name,
      passes: runs.map(({ setupMs, p50Ms, lastMs, bytesEach }) => ({
        setup_ms: setupMs,
        p50_ms: p50Ms,
        last_ms: lastMs,
        bytes_each: bytesEach,
      })),
    }));
    await writeBenchReport(file, "websockets", { subscribers, rounds, servers });
  }
  return 0;
}

function contestantsOf(list: string | undefined): readonly Contestant[] {
  if (list === undefined) return CONTESTANTS;
  const wanted = list.split(",");
  const known = new Set(CONTESTANTS.map(({ server }) => server));
  for (const server of wanted) {
    if (known.has(server)) continue;
    throw new UsageError(
      `--servers must list some of ${[...known].join(", ")}, not ${quote(server)}`,
    );
  }
  return CONTESTANTS.filter(({ server }) => wanted.includes(server));
}

async function measureOne(
  { command, target }: Contestant,
  n: number,
  rounds: number,
): Promise<Pass> {
  const group = ProcessGroup.spawn([...command], {
    cwd: PROJECT_ROOT,
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    let said = "";
    group.child.stdout!.on("data", (text) => said += text);
    await until("the server listens", () => said.includes("\n") || group.child.exitCode !== null);
    if (!said.includes("\n")) throw new EnvironmentError(`${command.join(" ")} didn't start`);
    const pid = group.child.pid!;
    const before = residentBytes(pid);
    let bytesEach = NaN;
    const options = optionsFor(n, target(said.split("\n")[0]!), rounds);
    const report = await measure(await detectRuntime(), options, [], {
      onFindings: () => {},
      onStart: () => ({ update() {}, stop() {} }),
      onSubscribed: () => {
        bytesEach = (residentBytes(pid) - before) / n;
        return Promise.resolve();
      },
    });
    if (report.bad > 0) throw new EnvironmentError(`${report.bad} of ${n} lost a message`);
    const counted = report.rounds.slice(1).map((round) => round.end_to_end_ms!);
    const of = (pick: (one: typeof counted[0]) => number) => median(counted.map(pick));
    return {
      setupMs: report.setup_ms,
      p50Ms: of(({ p50 }) => p50),
      lastMs: of(({ max }) => max),
      bytesEach,
    };
  } finally {
    group.signal("SIGTERM");
    await group.gone;
  }
}

function optionsFor(n: number, address: string, rounds: number): BotsOptions {
  const command = parseCommand([`${n}`, address, "--rounds", `${rounds + 1}`]);
  if (command.does !== "run") throw new TypeError(`the bots ${command.does}`);
  return { ...command.options, processes: 1 };
}

function residentBytes(pid: number): number {
  const { stdout } = spawnSync("ps", ["-o", "rss=", "-p", `${pid}`], { encoding: "utf8" });
  return Number(stdout) * 1024;
}
