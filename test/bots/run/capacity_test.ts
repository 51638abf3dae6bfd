import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { spawn } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import { checkUp } from "../../../tools/doctor/checkup.ts";
import { Random } from "../../../tools/harness/random.ts";
import { findProgram, PROJECT_ROOT, type RuntimeName } from "../../../cli/program.ts";
import { directCommand } from "../../../tools/harness/server_process.ts";
import { readFacts } from "../../../host/facts.ts";
import { AddressTable } from "../../../server/access/address_table.ts";
import { CoarseClock } from "../../../server/timing/coarse_clock.ts";
import { maxConnectionsFor } from "../../../host/capacity.ts";
import { completeLimits } from "../../../server/serve.ts";
import { CommandProcess, type Ended } from "../../support/processes/command_process.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";

const PATIENCE = { timeout: 180_000 };

const NOTHING_KNOWN = readFacts({ env: () => "", script: () => "" });

/** The doctor's finding on the server's descriptors, with a limit for each process. */
function findingOn(n: number, workers: number, descriptorLimit: number) {
  const facts = { ...NOTHING_KNOWN, descriptorLimit };
  const findings = checkUp({ n, workers, role: "server", runtime: "bun" }, facts, null);
  return findings.find(({ about }) => about === "server's descriptors")!;
}

/** The least descriptor limit that the doctor calls fine. */
function leastFine(n: number, workers: number): number {
  let [fatal, fine] = [0, 2 * n + 1000];
  while (fine - fatal > 1) {
    const middle = Math.floor((fatal + fine) / 2);
    if (findingOn(n, workers, middle).isFine) fine = middle;
    else fatal = middle;
  }
  return fine;
}

/** The number of connections of one address that the server's processes admit, dealt out at random. */
function admitted(n: number, workers: number, descriptorLimit: number, random: Random): number {
  const ofOneProcess = maxConnectionsFor(descriptorLimit);
  const limits = completeLimits({ maxConnections: ofOneProcess * workers }, workers);
  // Limits hold for all processes together, descriptors for each.
  const table = new AddressTable(limits, new CoarseClock(1000));
  const counts = Array<number>(workers).fill(0);
  for (let at = 0; at < n; at++) {
    const process = random.below(workers);
    const hasRoom = counts[process]! < ofOneProcess;
    if (hasRoom && table.admit("10.0.0.1") === undefined) counts[process]!++;
  }
  return counts.reduce((sum, count) => sum + count, 0);
}

describe("what the doctor calls fine", () => {
  it("is enough for n bots and their publisher, all of one address", PATIENCE, () => {
    const seed = Math.floor(Math.random() * 1e6);
    const random = new Random(seed);
    const sizes = [1, 2, 9, 10, 11, 100, 319, 320, 321, 500, 2000, 20_000];
    for (let at = 0; at < 40; at++) sizes.push(1 + random.below(30_000));
    for (const n of sizes) {
      for (const workers of [1, 2, 1 + random.below(8)]) {
        const limit = leastFine(n, workers);
        const what = `${n} with ${workers} workers and ${limit} descriptors, seed ${seed}`;
        assertEquals(admitted(n + 1, workers, limit, random), n + 1, what);
        if (workers === 1) assert(admitted(n + 1, 1, limit - 1, random) <= n, `${what} less 1`);
      }
    }
  });

  it("is what its remedies lead to", () => {
    for (const n of [1, 7, 100, 500, 2000, 20_000, 100_000]) {
      for (const limit of [70, 256, 1024, 15_000]) {
        const { isFine, remedies } = findingOn(n, 1, limit);
        if (isFine) continue;
        const systemd = remedies.find(({ where }) => where === "systemd")!.what;
        assertEquals(systemd, `LimitNOFILE=${leastFine(n, 1)}`);
        const linux = remedies.find(({ where }) => where === "Linux")!.what;
        assertStringIncludes(linux, `ulimit -n ${leastFine(n, 1)} `);
        const here = remedies.find(({ where }) => where === "here")?.what;
        const workers = Number(/^--workers (\d+)$/.exec(here ?? "")?.[1] ?? 64);
        assertEquals(findingOn(n, workers, limit).isFine, here !== undefined, `${n} at ${limit}`);
        assert(!findingOn(n, workers - 1, limit).isFine);
      }
    }
  });
});

/** A command line in a shell whose processes may have so many descriptors. */
function limited(limit: number, command: readonly string[]): string[] {
  return ["sh", "-c", `ulimit -n ${limit} && exec "$@"`, "sh", ...command];
}

function run(command: readonly string[]): Promise<Ended> {
  const child = spawn(command[0]!, command.slice(1), {
    cwd: PROJECT_ROOT,
    env: process.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  return new CommandProcess(child).ended;
}

/** The doctor, or the bots, on a runtime. */
function commandOf(runtime: RuntimeName, name: "doctor" | "bots"): string[] {
  const { path } = findProgram(runtime);
  if (runtime === "deno") return [path, "task", "-q", name];
  return [path, "run", name === "bots" ? "bots/main.ts" : "tools/doctor/main.ts"];
}

describe("the doctor's remedy, followed", () => {
  const runtime: RuntimeName = "deno" in process.versions ? "deno" : "bun";
  const N = 500;

  it("lets all bots and their publisher in", { ...PATIENCE, skip: skipReason() }, async () => {
    const sick = await run(limited(N, [...commandOf(runtime, "doctor"), String(N)]));
    assertEquals(sick.status, 1, sick.stderr);
    const said = /server's descriptors[^]*?\n +Linux: +ulimit -n (\d+) /.exec(sick.stdout);
    await play(Number(said?.[1]), []);
  });

  it("does so with more workers too", { ...PATIENCE, skip: skipReason() }, async () => {
    const limit = 400;
    const sick = await run(limited(limit, [...commandOf(runtime, "doctor"), String(N)]));
    assertEquals(sick.status, 1, sick.stderr);
    const said = /server's descriptors[^]*?\n +here: +(--workers \d+)\n/.exec(sick.stdout);
    await play(limit, said![1]!.split(" "));
  });

  /** The doctor says fine, and then server and bots do as it says. */
  async function play(limit: number, flags: string[]): Promise<void> {
    const doctor = [...commandOf(runtime, "doctor"), String(N), ...flags];
    const well = await run(limited(limit, doctor));
    assertMatch(well.stdout, /\nfine +server's descriptors /);
    assertMatch(well.stdout, /\nfine +bots' descriptors /);
    assertEquals(well.status, 0, well.stdout);

    const tasked = [findProgram("deno").path, "task", "-q", "serve"];
    const start = runtime === "deno" ? tasked : directCommand("bun", findProgram("bun"));
    const server = await ServerCommand.listening(runtime, flags, limited(limit, start));
    try {
      const bots = [...commandOf(runtime, "bots"), String(N), "127.0.0.1", String(server.port)];
      // A busy machine may have made the run invalid, which is nothing to those who were let in.
      const { stdout, stderr } = await run(limited(limit, bots));
      assertStringIncludes(stdout, `n: ${N}, good: ${N}, bad: 0`, stderr);
    } finally {
      server.signal("SIGTERM");
      await server.exited();
    }
  }
});

/** A limit that the doctor can't see counts as enough. */
function skipReason(): string | false {
  return process.platform === "linux" ? false : "needs a limit that the doctor can see";
}
