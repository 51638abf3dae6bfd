/**
 * Many shapes of work, beside Redis and NATS; see `--help`.
 *
 * @module
 */

import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { childEnvironment, findProgram } from "../../cli/program.ts";
import { median } from "../../bots/measures/statistics.ts";
import { answer, runCommand } from "../../cli/command.ts";
import { CommandLine, quote, UsageError } from "../../cli/command_line.ts";
import { ProcessGroup } from "../../cli/process_group.ts";
import { wrapped } from "../../cli/plain_text.ts";
import { checkReportFile } from "../../cli/report_file.ts";
import type { ClientAnswer, ClientOrder } from "./workloads/client.ts";
import { writeBenchReport } from "./bench_report.ts";
import { type Contestant, parseContestants } from "./workloads/contestant.ts";
import { failureLines, jsonOf, type Result, tableOf } from "./workloads/results.ts";
import { describeWorkload, shrink, type Workload, WORKLOADS } from "./workloads/workload.ts";

const HELP = `Hotwheels benchmark: many shapes of work, beside Redis and NATS.

Usage:
  deno task -q bench:workloads [flags]
  bun run test/bench/workloads.ts [flags]

Flags:
  --workloads LIST  which of the workloads below (default all)
  --servers LIST    which servers, with a colon and the number of workers behind
                    ours (default redis,nats,bun,deno,bun:2,deno:2)
  --passes N        fresh servers of each for each workload, in an order drawn
                    anew for each pass (default 3)
  --rounds N        rounds with each server, after one that isn't counted
                    (default 3)
  --divide N        all sizes divided by N, for a quick look (default 1)
  --json FILE       write all passes as JSON to FILE too
  -h, --help        print this
  --version         print the version

Workloads, with 64 bytes of payload unless they say otherwise:
${WORKLOADS.flatMap(helpLines).join("\n")}

A round is timed from the first byte that is sent to the last message's arrival;
every message is counted, and a server that loses one has no figure. All clients
live in one process, on Bun, the same for all servers. They speak each server's
own protocol, and each server runs with its default settings. The table has the
rivals' milliseconds, and ours divided by the better rival's: medians over the
passes, with the middle 95 % of their resamples. A rival that isn't installed
(on Debian: apt-get install redis-server nats-server) has no column.
`;

function helpLines(workload: Workload): string[] {
  return wrapped(describeWorkload(workload), `  ${workload.name.padEnd(14)}  `, " ".repeat(18));
}

const CLIENT = fileURLToPath(import.meta.resolve("./workloads/client.ts"));

if (import.meta.main) await runCommand("bench:workloads", main);

async function main(args: readonly string[]): Promise<number> {
  const line = new CommandLine(
    args,
    ["workloads", "servers", "passes", "rounds", "divide", "json"],
  );
  if (line.question !== undefined) return answer(line.question, HELP);
  line.upTo(0, "there are only flags");
  const divisor = line.number("divide", 1, 1_000_000) ?? 1;
  const workloads = parseWorkloads(line.text("workloads")).map((one) => shrink(one, divisor));
  const contestants = parseContestants(
    line.text("servers") ?? "redis,nats,bun,deno,bun:2,deno:2",
    (program) => console.error(`${program} isn't installed: it's left out`),
  );
  const passes = line.number("passes", 1, 1_000) ?? 3;
  const rounds = line.number("rounds", 1, 1_000) ?? 3;
  const file = line.text("json");
  checkReportFile(file ?? null, "--json");
  const results = workloads.flatMap((workload) =>
    contestants.map((contestant): Result => (
      { workload, contestant, passesMs: [], failures: [] }
    ))
  );
  for (let pass = 1; pass <= passes; pass++) {
    for (const workload of workloads) {
      const own = results.filter((result) => result.workload === workload);
      for (const result of shuffled(own)) {
        console.error(
          `pass ${pass} of ${passes}: ${workload.name}, ${result.contestant.name}`,
        );
        await measure(result, rounds);
      }
    }
  }
  console.log(tableOf(results));
  for (const failure of failureLines(results)) console.error(failure);
  if (file !== undefined) {
    await writeBenchReport(file, "workloads", {
      client: `bun ${findProgram("bun").version}`,
      passes,
      rounds,
      workloads,
      results: jsonOf(results),
    });
  }
  return failureLines(results).length === 0 ? 0 : 1;
}

function parseWorkloads(list: string | undefined): readonly Workload[] {
  if (list === undefined) return WORKLOADS;
  return list.split(",").map((name) => {
    const known = WORKLOADS.find((workload) => workload.name === name);
    if (known !== undefined) return known;
    const names = WORKLOADS.map((workload) => workload.name).join(", ");
    throw new UsageError(`--workloads takes ${names}, not ${quote(name)}`);
  });
}

async function measure(
  { workload, contestant, passesMs, failures }: Result,
  rounds: number,
): Promise<void> {
  const said = await play(workload, contestant, rounds);
  if ("roundsMs" in said) passesMs.push(median(said.roundsMs));
  else failures.push(said.failure);
}

async function play(
  workload: Workload,
  contestant: Contestant,
  rounds: number,
): Promise<ClientAnswer> {
  const server = await contestant.start(workload);
  try {
    const { port } = server;
    const order: ClientOrder = { workload, wire: contestant.wire, port, rounds, warmUps: 1 };
    const command = [findProgram("bun").path, "run", CLIENT, JSON.stringify(order)];
    const { child } = ProcessGroup.spawn(command, {
      env: childEnvironment(),
      stdio: ["ignore", "pipe", "inherit"],
    });
    for await (const line of createInterface({ input: child.stdout! })) {
      return JSON.parse(line) as ClientAnswer;
    }
    return { failure: "made the client end without a word" };
  } finally {
    await server.stop();
  }
}

/** In random order, so that no server always runs behind the same other one. */
function shuffled<T>(values: readonly T[]): T[] {
  return values.map((value) => ({ value, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ value }) => value);
}
