import { assert, assertEquals } from "@std/assert";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { childEnvironment, DENO_TASK, findProgram, PROJECT_ROOT } from "../../cli/program.ts";
import { CommandProcess } from "../support/processes/command_process.ts";

/** A benchmark's task, flags that make it small, its report's name, and the member that has the figures. */
const BENCHMARKS = [
  ["bench", ["--ms", "1"], "parts", "results"],
  ["bench:fanout", ["--cases", "10x1x4", "--passes", "1", "--rounds", "1"], "fanout", "rows"],
  ["bench:beside", ["--subscribers", "20", "--samples", "2", "--passes", "1"], "beside", "series"],
  [
    "bench:stalled",
    ["--subscribers", "20", "--rounds", "1", "--passes", "1"],
    "stalled",
    "servers",
  ],
  [
    "bench:websockets",
    ["--servers", "bun", "--subscribers", "20", "--rounds", "1", "--passes", "1"],
    "websockets",
    "servers",
  ],
] as const;

describe("each benchmark's report", () => {
  for (const [task, flags, schema, member] of BENCHMARKS) {
    it(`is there for machines: ${task}`, { timeout: 120_000 }, async () => {
      const folder = mkdtempSync(join(tmpdir(), "hotwheels-bench-"));
      try {
        const file = join(folder, "report.json");
        const args = [...DENO_TASK, task, ...flags, "--json", file];
        const options = { cwd: PROJECT_ROOT, env: childEnvironment() };
        const child = spawn(findProgram("deno").path, args, options);
        const { status, stdout, stderr } = await new CommandProcess(child).ended;
        assertEquals(status, 0, stderr);
        assert(stdout.length > 0);
        const report = JSON.parse(readFileSync(file, "utf8"));
        assertEquals(report.schema, `hotwheels-${schema}-bench/1`);
        assert(report[member].length > 0);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
