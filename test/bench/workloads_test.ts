import { assertEquals, assertMatch } from "@std/assert";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { childEnvironment, findProgram, PROJECT_ROOT } from "../../cli/program.ts";
import { CommandProcess, type Ended } from "../support/processes/command_process.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";
import { WIRES } from "./workloads/wires.ts";

function bench(...flags: readonly string[]): Promise<Ended> {
  const command = ["run", "--quiet", "--no-prompt", "--unstable-net", "--allow-all"];
  const args = [...command, "test/bench/workloads.ts", ...flags];
  const options = { cwd: PROJECT_ROOT, env: { ...childEnvironment(), NO_COLOR: "1" } };
  return new CommandProcess(spawn(findProgram("deno").path, args, options)).ended;
}

describe("the benchmark of workloads", () => {
  for (const runtime of TESTED_RUNTIMES) {
    it(`counts every message of each kind of work, on ${runtime}`, async () => {
      const folder = mkdtempSync(join(tmpdir(), "hotwheels-workloads-"));
      try {
        const file = join(folder, "report.json");
        const kinds = "1-to-1,ping-pong,100x100-topics,subscribe-5000";
        const { status, stdout, stderr } = await bench(
          ...["--workloads", kinds, "--servers", runtime, "--divide", "50"],
          ...["--passes", "1", "--rounds", "1", "--json", file],
        );
        assertEquals(status, 0, stderr);
        assertEquals(stdout.match(/ ms \(/g)?.length, 4, stdout);
        const { schema, results } = JSON.parse(readFileSync(file, "utf8"));
        assertEquals(schema, "hotwheels-workloads-bench/1");
        for (const { passes_ms, failures } of results) {
          assertEquals([passes_ms.length, failures], [1, []]);
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }

  it("says what it doesn't know, and what it does", async () => {
    for (
      const [flag, value, known] of [
        ["--workloads", "none", /takes 1-to-1, ping-pong, .*, not "none"/],
        ["--servers", "kafka", /takes deno, bun, .*, not "kafka"/],
        ["--servers", "redis:2", /takes deno, bun, .*, not "redis:2"/],
      ] as const
    ) {
      const { status, stderr } = await bench(flag, value);
      assertEquals(status, 2);
      assertMatch(stderr, known);
    }
  });

  it("knows when each server has subscribed it, however its answer is split", () => {
    const answers = {
      janus: ["\x01", "ACK\x01", "ACK\x01"],
      redis: ["*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", "*2\r\n$4\r\npo", "ng\r\n$0\r\n\r\n"],
      nats: ["INFO {}\r\n", "PO", "NG\r\n"],
    } as const;
    for (const [name, parts] of Object.entries(answers)) {
      const wire = WIRES[name as keyof typeof answers];
      const known = parts.map((_, at) => wire.isSubscribed(parts.slice(0, at + 1).join(""), 2));
      assertEquals(known, [false, false, true], name);
    }
  });
});
