import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
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
import { checkFolder } from "../../tools/compare/write_reports.ts";
import { EnvironmentError } from "../../cli/command_line.ts";
import { checkReportFile } from "../../cli/report_file.ts";
import { startCommand } from "../support/processes/command_process.ts";
import { ScriptedServer } from "../bots/run/scripted_server.ts";

const PATIENCE = { timeout: 60_000 };

function withFolder(test: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-report-file-"));
  try {
    test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("a look whether a report can be written", () => {
  it("leaves nothing behind, and a file that is there as it is", () => {
    withFolder((folder) => {
      const [there, new_] = [join(folder, "there.json"), join(folder, "new.json")];
      writeFileSync(there, "old");
      for (const path of [there, new_, "-", null]) checkReportFile(path, "--json");
      assertEquals(readdirSync(folder), ["there.json"]);
      assertEquals(readFileSync(there, "utf8"), "old");
    });
  });

  it("says what can't be written, and which flag asks for it", () => {
    withFolder((folder) => {
      mkdirSync(join(folder, "folder"));
      for (const path of ["folder", "no/such/folder.json"]) {
        const look = () => checkReportFile(join(folder, path), "--json");
        const { message } = assertThrows(look, EnvironmentError);
        assertMatch(message, new RegExp(`^can't write the report: .*${path}.*; see --json$`));
      }
    });
  });

  it("is not taken for the end by who reads from a pipe", () => {
    withFolder((folder) => {
      const pipe = join(folder, "pipe");
      if (spawnSync("mkfifo", [pipe]).status !== 0) return;
      // Opening it would wait for a reader.
      checkReportFile(pipe, "--json");
    });
  });

  const plan = { arms: [{ name: "Deno" }], sizes: [10] };

  it("finds a comparison's folder that can be made, and doesn't keep it", () => {
    withFolder((folder) => {
      checkFolder(join(folder, "a", "b"), plan);
      assertEquals(readdirSync(folder), []);
      mkdirSync(join(folder, "c"));
      checkFolder(join(folder, "c"), plan);
      assertEquals(readdirSync(folder), ["c"]);
    });
  });

  it("finds each of a comparison's files that can't be written", () => {
    for (const name of ["report.json", "report.md", "report.html", "Deno-10.hgrm"]) {
      withFolder((folder) => {
        mkdirSync(join(folder, name));
        const look = () => checkFolder(folder, plan);
        const { message } = assertThrows(look, EnvironmentError);
        assertMatch(message, /^can't write the report: .*; see --out$/);
        assertEquals(readdirSync(folder), [name]);
      });
    }
  });
});

describe("a report that can't be written", () => {
  const nowhere = join(tmpdir(), "no", "such", "folder.json");
  const commands: Readonly<Record<string, [string, ...(string | number)[]]>> = {
    soak: ["tools/soak/main.ts", "--minutes", 0.02, "--workers", 1, "--runtime", "bun"],
    churn: ["tools/churn/main.ts", 100, "--runtime", "bun"],
    "bench:fanout": [
      ...["test/bench/fanout.ts", "--cases", "2x1x4", "--workers", 1, "--runtimes", "bun"],
      ...["--passes", 1, "--rounds", 1],
    ] as [string, ...(string | number)[]],
  };
  for (const [name, [script, ...args]] of Object.entries(commands)) {
    it(`is told by ${name} before it measures anything`, PATIENCE, async () => {
      const ended = await startCommand(script, [...args, "--json", nowhere]).ended;
      assertEquals([ended.status, ended.stdout], [1, ""]);
      assertMatch(ended.stderr, new RegExp(`^${name}: can't write the report: .*; see --json\n$`));
    });
  }

  it("is told by the bots before they connect", PATIENCE, async () => {
    const server = await ScriptedServer.start();
    try {
      for (const flags of [[], ["--storm"]]) {
        const args = [2, "127.0.0.1", server.port, "--json", nowhere, ...flags];
        const { status, stdout, stderr } = await startCommand("bots/main.ts", args).ended;
        assertEquals([status, stdout, server.connections], [1, "", 0]);
        assertMatch(stderr, /^bots: can't write the report: .*; see --json\n$/);
      }
    } finally {
      await server.stop();
    }
  });

  it("is told by compare before it starts a server", PATIENCE, async () => {
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-report-file-"));
    mkdirSync(join(folder, "report.html"));
    try {
      const args = [2, "--runs", 1, "--out", folder];
      const { status, stdout, stderr } = await startCommand("tools/compare/main.ts", args).ended;
      assertEquals([status, stdout], [1, ""]);
      assertMatch(stderr, /^compare: can't write the report: .*report\.html.*; see --out\n$/);
      assertEquals(existsSync(join(folder, "report.json")), false);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  const options = { ...PATIENCE, skip: process.platform === "linux" ? false : "needs Linux" };
  it("is told by hosts before the bounty, like flags that are wrong", options, async () => {
    for (
      const [flag, status, says] of [
        ["--out", 1, /^hosts: can't write the report: .*; see --out\n$/],
        ["--nope", 2, /^hosts: .*--nope.*\n$/],
      ] as const
    ) {
      const args = [2, "--server", "bun", "--compare", "--", flag, "/dev/null/here"];
      const ended = await startCommand("tools/hosts/main.ts", args).ended;
      assertEquals([ended.status, ended.stdout], [status, ""]);
      assertMatch(ended.stderr, says);
    }
  });
});
