import { assertEquals, assertGreater, assertMatch, assertStringIncludes } from "@std/assert";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { CompareReport } from "../../../bots/compare/report.ts";
import { unpackLatencies } from "../../../bots/compare/samples.ts";
import { runCommand } from "../../support/fixture.ts";
import { until } from "../../support/until.ts";
import { MetadataService } from "../metadata_service.ts";
import { RivalServer } from "../rival_server.ts";
import { type Script, ScriptedServer, stamp } from "../scripted_server.ts";
import { around, sampleReport } from "./sample_report.ts";

const PATIENCE = { timeout: 240_000 };

const root = fileURLToPath(import.meta.resolve("../../../"));
const isDeno = "deno" in process.versions;

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(
  args: readonly (string | number)[],
  env: Readonly<Record<string, string>> = {},
): { child: ChildProcess; said: () => string; ended: Promise<Ended> } {
  const [program, ...rest] = [...runCommand, "bots/compare.ts", ...args.map(String)];
  const child = spawn(program!, rest, { cwd: root, env: { ...process.env, ...env } });
  let stdout = "";
  let stderr = "";
  child.stdout!.on("data", (text) => stdout += text);
  child.stderr!.on("data", (text) => stderr += text);
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (status) => resolve({ status, stdout, stderr }));
  });
  return { child, said: () => stderr, ended };
}

/** The comparison, to its end, with a folder for its report. */
async function compare(
  args: readonly (string | number)[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended & { files: string[]; report: CompareReport | null }> {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-compare-"));
  try {
    const ended = await start([...args, "--out", folder], env).ended;
    const file = join(folder, "report.json");
    const report = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : null;
    return { ...ended, files: readdirSync(folder).sort(), report };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function withServers(
  scripts: readonly Script[],
  test: (targets: string[], servers: readonly ScriptedServer[]) => Promise<void>,
): Promise<void> {
  const servers = await Promise.all(scripts.map((script) => ScriptedServer.start(script)));
  try {
    const targets = servers.flatMap(({ port }, at) => [
      "--target",
      `${"abc"[at]}=127.0.0.1:${port}`,
    ]);
    await test(targets, servers);
  } finally {
    for (const server of servers) await server.stop();
  }
}

/** Sends each message so late. */
function late(ms: number): Script {
  return {
    onPublish({ message, subscribers }) {
      setTimeout(() => {
        const frame = stamp(message);
        for (const socket of subscribers) socket.write(frame);
      }, ms);
    },
  };
}

function verdictOn(report: CompareReport | null): string {
  return report!.sizes[0]!.comparisons.find(({ metric }) => metric === "max_ms")!.verdict;
}

describe("the comparison", () => {
  it(
    "starts this checkout's server on both runtimes, and measures all of it",
    PATIENCE,
    async () => {
      for (const botsRuntime of ["deno", "bun"]) {
        const flags = ["--runs", 1, "--rounds", 2, "--bots-runtime", botsRuntime];
        const { status, stdout, files, report } = await compare([30, ...flags]);
        assertEquals(status, 0);
        assertMatch(stdout, /\n30 subscribers\n +server +median/);
        assertEquals(files, [
          ...["Bun-30.hgrm", "Deno-30.hgrm", "report.html", "report.json", "report.md"],
        ]);
        const { runs, options, arms, environment } = report!;
        assertEquals(runs.map(({ arm }) => arm).sort(), ["Bun", "Deno"]);
        assertEquals(arms.map(({ runtime }) => runtime), ["deno", "bun"]);
        assertEquals([options.bots_runtime, options.rounds], [botsRuntime, 2]);
        assertEquals(environment.seed, options.seed);
        assertStringIncludes(environment.command_line.join(" "), "compare 30 --runs 1 --rounds 2");
        for (const { valid, metrics, rounds } of runs) {
          assertEquals([valid, rounds.length], [true, 3]);
          for (const value of Object.values(metrics)) assertEquals(typeof value, "number");
          assertGreater(metrics.peak_memory_bytes!, 10e6);
          for (const { good, latency_ms, latencies_us } of rounds) {
            const latencies = unpackLatencies(latencies_us);
            assertEquals([good, latencies.length], [30, 30]);
            assertEquals(Math.abs(latencies.at(-1)! - latency_ms!.max) < 0.001, true);
          }
        }
      }
    },
  );

  it("measures servers of several processes", PATIENCE, async () => {
    const targets = ["--target", "one=bun", "--target", "two=deno"];
    const { status, report } = await compare([
      ...[40, ...targets, "--workers", 2, "--runs", 1, "--rounds", 1],
    ]);
    assertEquals([status, report!.options.workers], [0, 2]);
    // Three processes have more than any one of them.
    for (const { metrics } of report!.runs) assertGreater(metrics.peak_memory_bytes!, 100e6);
  });

  it("finds a server that was held back", PATIENCE, async () => {
    await withServers([late(20), late(40)], async (targets) => {
      const { status, stdout, report } = await compare([
        20,
        ...targets,
        "--runs",
        6,
        "--rounds",
        1,
      ]);
      assertEquals([status, verdictOn(report)], [0, "slower"]);
      assertMatch(stdout, /^\nb takes \d\.\d\d times as long as a to reach the last of 20 /);
      assertEquals(report!.runs[0]!.metrics.cpu_s, null);
    });
  });

  it("finds no winner where the same server is measured twice", PATIENCE, async () => {
    await withServers([late(30)], async ([flag, target]) => {
      const same = [flag!, target!, flag!, target!.replace("a=", "same=")];
      const { status, report } = await compare([20, ...same, "--runs", 6, "--rounds", 1]);
      assertEquals(status, 0);
      const verdict = verdictOn(report);
      assertEquals(verdict === "no difference" || verdict === "inconclusive", true, verdict);
    });
  });

  it("measures servers that speak NATS and Redis", PATIENCE, async () => {
    const nats = await RivalServer.start("nats");
    const redis = await RivalServer.start("redis");
    try {
      const { status, report, files } = await compare([
        ...[10, "--runs", 1, "--target", `N=nats://127.0.0.1:${nats.port}`],
        ...["--target", `R=redis://127.0.0.1:${redis.port}`],
      ]);
      assertEquals(status, 0);
      assertEquals(report!.arms.map(({ dialect }) => dialect), ["nats", "redis"]);
      assertEquals(report!.runs.map(({ valid }) => valid), [true, true]);
      assertEquals(files.slice(0, 2), ["N-10.hgrm", "R-10.hgrm"]);
    } finally {
      await nats.stop();
      await redis.stop();
    }
  });

  it("sweeps over numbers of subscribers", PATIENCE, async () => {
    await withServers([{}, {}], async (targets) => {
      const { status, stdout, report } = await compare([
        ...[...targets, "--sweep", "5,10", "--runs", 1, "--rounds", 1],
      ]);
      assertEquals([status, report!.sizes.map(({ n }) => n)], [0, [5, 10]]);
      assertEquals(report!.runs.length, 4);
      assertMatch(stdout, /\n5 subscribers\n[\s\S]*\n10 subscribers\n/);
    });
  });

  it("doesn't count a run that lost a message, makes it again, and says so", PATIENCE, async () => {
    const losesOne: Script = {
      onPublish({ message, subscribers, round }) {
        const frame = stamp(message);
        for (const socket of round === 1 ? subscribers.slice(1) : subscribers) socket.write(frame);
      },
    };
    await withServers([losesOne, {}], async (targets) => {
      const { status, stdout, report } = await compare([
        ...[5, ...targets, "--runs", 1, "--rounds", 1, "--timeout", "500ms"],
      ]);
      assertEquals(status, 0);
      const lost = report!.runs.find(({ valid }) => !valid)!;
      assertStringIncludes(lost.invalid_because[0]!, "1 of 5 bots did not get each message");
      assertEquals([lost.arm, report!.runs.length], ["a", 4]);
      assertStringIncludes(stdout, "a: 1 valid run of 1 message, 1 invalid run");
      assertStringIncludes(stdout, `run ${lost.run}, a, isn't counted: 1 of 5 bots did not`);
    });
  });

  it(
    "ends with status 1 where valid runs can't be had, and reports all the same",
    PATIENCE,
    async () => {
      const deaf: Script = { onPublish() {} };
      await withServers([deaf, {}], async (targets) => {
        const { status, report, files } = await compare([
          ...[5, ...targets, "--runs", 1, "--rounds", 1, "--timeout", "300ms"],
        ]);
        assertEquals([status, report!.runs.length], [1, 6]);
        assertEquals(report!.sizes[0]!.arms.map(({ valid_runs }) => valid_runs), [0, 3]);
        assertEquals(files.includes("report.html"), true);
      });
    },
  );

  it("doesn't count a run whose server died", PATIENCE, async () => {
    const flags = ["--runs", 2, "--rounds", 1, "--target", "x=bun", "--target", "y=bun"];
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-compare-"));
    try {
      const { child, said, ended } = start([2000, ...flags, "--out", folder]);
      await until("the first pass is over", () => said().includes("run 2 of 4"), 60_000);
      let server: number | undefined;
      await until("there is a server", () => {
        server = descendants(child.pid!).find(({ command }) => /server\/main\.ts/.test(command))
          ?.pid;
        return server !== undefined;
      });
      process.kill(server!, "SIGKILL");
      const { status } = await ended;
      const { runs } = JSON.parse(readFileSync(join(folder, "report.json"), "utf8"));
      const dead = runs.filter(({ valid }: { valid: boolean }) => !valid);
      assertEquals([status, dead.length], [0, 1]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("makes the same runs in the same order from the same seed", PATIENCE, async () => {
    await withServers([{}, {}, {}], async (targets) => {
      const order = async () => {
        const flags = ["--runs", 1, "--rounds", 1, "--sweep", "2,3", "--seed", 11, "--json"];
        const { report, stdout } = await compare([...targets, ...flags]);
        assertEquals(JSON.parse(stdout), report);
        return report!.runs.map(({ arm, n }) => `${arm} ${n}`);
      };
      assertEquals(await order(), await order());
    });
  });

  it(
    "records what EC2 says, and counts no run during which it held packets up",
    PATIENCE,
    async () => {
      const service = await MetadataService.start();
      const folder = mkdtempSync(join(tmpdir(), "hotwheels-ethtool-"));
      // Counts its own calls: the second run's two readings differ, the others' don't.
      const ethtool = `#!/bin/sh
echo x >> "${folder}/calls"
calls=$(wc -l < "${folder}/calls")
echo "     conntrack_allowance_exceeded: 0"
echo "     pps_allowance_exceeded: $([ "$calls" -ge 5 ] && echo 3 || echo 0)"
`;
      writeFileSync(join(folder, "ethtool"), ethtool);
      chmodSync(join(folder, "ethtool"), 0o755);
      try {
        await withServers([{}, {}], async (targets) => {
          const { status, stdout, report } = await compare(
            [5, ...targets, "--runs", 2, "--rounds", 1, "--ec2"],
            {
              AWS_EC2_METADATA_SERVICE_ENDPOINT: service.endpoint,
              PATH: `${folder}:${process.env["PATH"]}`,
              HOTWHEELS_FACTS: "device=eth7",
            },
          );
          const { ec2 } = report!.environment;
          assertEquals(ec2!.instance_type, "t4g.small");
          assertEquals(ec2!.allowances_after!.pps_allowance_exceeded, 3);
          const invalid = report!.runs.filter(({ valid }) => !valid);
          assertEquals(invalid.map(({ run }) => run), [2]);
          assertStringIncludes(
            invalid[0]!.invalid_because[0]!,
            "pps_allowance_exceeded moved by 3",
          );
          assertEquals(status, 0);
          assertStringIncludes(stdout, "run 2,");
        });
      } finally {
        rmSync(folder, { recursive: true });
        await service.stop();
      }
    },
  );

  it("ends servers and bots on Ctrl-C", PATIENCE, async () => {
    const { child, said, ended } = start([50, "--runs", 50, "--out", "/nowhere"]);
    await until("the first run is over", () => said().includes("run 1 of 100"), 60_000);
    const started = () => descendants(child.pid!).filter(({ command }) => /main\.ts/.test(command));
    await until("there is a server", () => started().length > 0);
    const pids = started().map(({ pid }) => pid);
    process.kill(child.pid!, "SIGINT");
    const { status, stdout } = await ended;
    assertEquals([status, stdout], [130, ""]);
    await until("all have ended", () => pids.every((pid) => !isAlive(pid)));
  });

  it("ends with status 1 and one line where a server can't be measured", PATIENCE, async () => {
    await withServers([{}, {}], async (targets, [, second]) => {
      const { port } = second!;
      await second!.stop();
      const { status, stdout, stderr, files } = await compare([5, ...targets, "--runs", 1]);
      assertEquals([status, stdout, files], [1, "", []]);
      const lines = stderr.trim().split("\n");
      assertMatch(
        lines.at(-1)!,
        /^compare: b can't be measured with 5 bots: the bots could not begin/,
      );
      assertStringIncludes(lines.at(-1)!, `no server answers at 127.0.0.1:${port}`);
      second!.stop = async () => {};
    });
  });

  it("doesn't start what can't work, and says how to mend it", PATIENCE, async () => {
    const { status, stdout, stderr } = await compare([900_000, "--runs", 1]);
    assertEquals([status, stdout], [1, ""]);
    assertMatch(stderr, /compare: this can't work: 900000 connections in 1 process/);
    assertMatch(stderr, /\n {2}here: +--workers \d+\n/);
    assertMatch(stderr, /\ncompare: not started; see above for what mends it\n$/);
  });

  it("ends with status 2 and one line when the command line is wrong", PATIENCE, async () => {
    for (const args of [["--nope"], ["many"], ["--target", "alone=bun"]]) {
      const { status, stdout, stderr } = await start(args).ended;
      assertEquals([status, stdout], [2, ""]);
      assertMatch(stderr, /^compare: .*\n$/);
    }
  });

  it("tells what it can, and which version it is", PATIENCE, async () => {
    const help = await start(["--help"]).ended;
    assertEquals([help.status, help.stderr], [0, ""]);
    assertStringIncludes(help.stdout, "--bots-runtime R");
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    assertEquals((await start(["--version"]).ended).stdout, `${version}\n`);
  });

  it("makes a report again from its JSON", PATIENCE, async () => {
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-compare-"));
    try {
      const file = join(folder, "report.json");
      const report = sampleReport({ 1000: { Deno: around(100), Bun: around(80) } });
      writeFileSync(file, JSON.stringify(report));
      const { status, stdout } = await start(["--from", file]).ended;
      assertEquals([status, stdout.split("\n")[1]], [0, report.conclusions[0]]);
      assertEquals(readdirSync(folder).sort(), [
        ...["Bun-1000.hgrm", "Deno-1000.hgrm", "report.html", "report.json", "report.md"],
      ]);
      assertEquals(JSON.parse(readFileSync(file, "utf8")), report);
      for (const [text, word] of [["{}", "no report of a comparison"], ["{", "can't read"]]) {
        writeFileSync(file, text!);
        const refused = await start(["--from", file]).ended;
        assertEquals([refused.status, refused.stdout], [1, ""]);
        assertStringIncludes(refused.stderr, word!);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("says when the report can't be written", PATIENCE, async () => {
    await withServers([{}, {}], async (targets) => {
      const { status, stderr } = await start([
        ...[2, ...targets, "--runs", 1, "--rounds", 1, "--out", "/dev/null/here"],
      ]).ended;
      assertEquals(status, 1);
      assertMatch(stderr, /\ncompare: can't write the report: .*\n$/);
    });
  });

  it("has the permissions that it needs as a task", PATIENCE, async (test) => {
    if (!isDeno) return test.skip("only Deno has permissions");
    await withServers([{}, {}], async (targets) => {
      const folder = mkdtempSync(join(tmpdir(), "hotwheels-compare-"));
      const args = [...targets, "--out", join(folder, "new")];
      const child = spawn(process.execPath, [
        ...["task", "-q", "compare", "3", "--runs", "1", "--rounds", "1", "--ec2", ...args],
      ], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
      let stderr = "";
      child.stderr.on("data", (text) => stderr += text);
      const status = await new Promise((resolve) => child.once("close", resolve));
      assertEquals([status, stderr.includes("NotCapable")], [0, false], stderr);
      const report = JSON.parse(readFileSync(join(folder, "new", "report.json"), "utf8"));
      rmSync(folder, { recursive: true });
      assertEquals(typeof report.environment.memory_bytes, "number");
    });
  });
});

interface Listed {
  readonly pid: number;
  readonly command: string;
}

/** Children, and theirs, with their command lines. */
function descendants(pid: number): Listed[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid=,args="], { encoding: "utf8" });
  const all = stdout.split("\n").map((line) => /^ *(\d+) +(\d+) (.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, own, parent, command]) => ({
      pid: Number(own),
      parent: Number(parent),
      command: command!,
    }));
  const below = (root: number): Listed[] =>
    all.filter(({ parent }) => parent === root).flatMap((one) => [one, ...below(one.pid)]);
  return below(pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
