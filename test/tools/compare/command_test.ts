import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { PROJECT_ROOT } from "../../../cli/program.ts";
import { CommandProcess } from "../../support/processes/command_process.ts";
import { AgentsBed } from "../../bots/agents/agents_bed.ts";
import { compare, PATIENCE, startCompare, STEADY, withFolder, withServers } from "./comparison.ts";
import { around, sampleReport } from "./sample_report.ts";

const isDeno = "deno" in process.versions;

describe("the comparison's command", () => {
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
    assertMatch(
      stderr,
      /compare: this can't work: 900000 clients and their publisher, of one address, in 1 process/,
    );
    assertMatch(stderr, /\n {2}here: +--workers \d+\n/);
    assertMatch(stderr, /\ncompare: not started; the lines above say what to change\n$/);
  });

  it("ends with status 2 and one line when the command line is wrong", PATIENCE, async () => {
    for (const args of [["--nope"], ["many"], ["--target", "alone=bun"]]) {
      const { status, stdout, stderr } = await startCompare(args).ended;
      assertEquals([status, stdout], [2, ""]);
      assertMatch(stderr, /^compare: .*\n$/);
    }
  });

  it("tells what it can, and which version it is", PATIENCE, async () => {
    const help = await startCompare(["--help"]).ended;
    assertEquals([help.status, help.stderr], [0, ""]);
    assertStringIncludes(help.stdout, "--bots-runtime R");
    const { version } = JSON.parse(readFileSync(join(PROJECT_ROOT, "package.json"), "utf8"));
    const runtime = "deno" in process.versions ? "deno" : "bun";
    assertEquals(
      (await startCompare(["--version"]).ended).stdout,
      `${version} (${runtime} ${process.versions[runtime]})\n`,
    );
  });

  it("measures with the bots of agents, and says with which", PATIENCE, async () => {
    const bed = new AgentsBed();
    try {
      const agents = await bed.start([[], []]);
      const names = agents.map(({ name }) => name);
      const flags = ["--agents", names.join(","), "--key-file", bed.keyFile];
      await withServers([STEADY, STEADY], async (targets) => {
        const few = ["--runs", 1, "--rounds", 1];
        const { stdout, report } = await compare([6, ...targets, ...few, ...flags]);
        assertEquals(report!.options.agents, names);
        assertStringIncludes(stdout.replace(/\s+/g, " "), `bots of 2 agents (${names.join(", ")})`);
        for (const { agents, clock_error, rounds } of report!.runs) {
          assertEquals(
            agents!.map(({ agent, bots }) => [agent, bots]),
            names.map((name) => [name, 3]),
          );
          assertEquals(rounds.map(({ good, latencies_us }) => [good, latencies_us.length]), [
            [6, 6],
            [6, 6],
          ]);
          assertEquals(typeof clock_error!.error_ms, "number");
        }
      });
    } finally {
      bed.dispose();
    }
  });

  it("makes a report again from its JSON", PATIENCE, async () => {
    await withFolder(async (folder) => {
      const file = join(folder, "report.json");
      const report = sampleReport({ 1000: { Deno: around(100), Bun: around(80) } });
      writeFileSync(file, JSON.stringify(report));
      const { status, stdout } = await startCompare(["--from", file]).ended;
      const [, headline] = stdout.replace(/\n {2}(?=\S)/g, " ").split("\n");
      assertEquals([status, headline], [0, report.conclusions[0]]);
      assertEquals(readdirSync(folder).sort(), [
        ...["Bun-1000.hgrm", "Deno-1000.hgrm", "report.html", "report.json", "report.md"],
      ]);
      assertEquals(JSON.parse(readFileSync(file, "utf8")), report);
      for (const [text, word] of [["{}", "no report of a comparison"], ["{", "can't read"]]) {
        writeFileSync(file, text!);
        const refused = await startCompare(["--from", file]).ended;
        assertEquals([refused.status, refused.stdout], [1, ""]);
        assertStringIncludes(refused.stderr, word!);
      }
    });
  });

  it("says that the report can't be written before it measures anything", PATIENCE, async () => {
    const out = ["--out", "/dev/null/here"];
    const { status, stdout, stderr } = await startCompare([2, "--runs", 1, ...out]).ended;
    assertEquals([status, stdout], [1, ""]);
    assertMatch(stderr, /^compare: can't write the report: .*\/dev\/null.*\n$/);
  });

  it("has the permissions that it needs as a task", PATIENCE, async (test) => {
    if (!isDeno) return test.skip("only Deno has permissions");
    await withServers([STEADY, STEADY], async (targets) => {
      await withFolder(async (folder) => {
        const flags = ["--runs", "1", "--rounds", "1", "--ec2", "--out", join(folder, "new")];
        const child = spawn(
          process.execPath,
          ["task", "-q", "compare", "3", ...flags, ...targets],
          { cwd: PROJECT_ROOT, stdio: ["ignore", "pipe", "pipe"] },
        );
        const { status, stderr } = await new CommandProcess(child).ended;
        assertEquals([status, stderr.includes("NotCapable")], [0, false], stderr);
        const report = JSON.parse(readFileSync(join(folder, "new", "report.json"), "utf8"));
        assertEquals(typeof report.environment.memory_bytes, "number");
      });
    });
  });
});
