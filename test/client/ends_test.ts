import { assertEquals, assertMatch } from "@std/assert";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { findProgram, PROJECT_ROOT } from "../../cli/program.ts";
import { bundle } from "../support/bundle.ts";
import { cannotRunNode } from "../support/client/node_suite.ts";
import { MachineBed } from "../support/client/machine_bed.ts";
import type { Ports } from "../support/client/bed.ts";
import { CommandProcess } from "../support/processes/command_process.ts";
import { TESTED_RUNTIMES } from "../support/processes/tested_runtimes.ts";

const PROGRAM = "test/client/fixtures/ends.ts";

for (const runtime of TESTED_RUNTIMES) {
  describe(`a program whose client has ended, with a server on ${runtime}`, () => {
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-ends-"));
    const bed = new MachineBed(runtime);
    let server: Ports;
    let closed: number;
    before(async () => {
      server = await bed.plain();
      closed = await bed.proxy(server.tcp);
      await bed.disturb(closed, "close");
    });
    after(async () => {
      await bed.dispose();
      rmSync(folder, { recursive: true });
    });

    function endsOf(command: readonly string[]): Promise<void> {
      return endsAll(command, [
        ["tcp", `hotwheels://127.0.0.1:${server.tcp}`, `hotwheels://127.0.0.1:${closed}`],
        ["ws", `ws://127.0.0.1:${server.ws}`, `ws://127.0.0.1:${closed}`],
      ]);
    }

    it(`has nothing left to do on ${runtime}`, { timeout: 60_000 }, async () => {
      const { path } = findProgram(runtime);
      await endsOf(
        runtime === "deno"
          ? [path, "run", "--no-check", "--allow-net", PROGRAM]
          : [path, "run", PROGRAM],
      );
    });

    it("has had no permission to connect, and is told so", {
      timeout: 60_000,
      skip: runtime === "bun" ? "it has no permissions" : false,
    }, async () => {
      const { tcp, ws } = server;
      const doors = [`hotwheels://127.0.0.1:${tcp}`, `ws://127.0.0.1:${ws}`];
      const { path } = findProgram("deno");
      // Without any, Deno's own way to start Deno would add all.
      const flags = ["--no-check", "--no-prompt", "--allow-net=127.0.0.1:1"];
      const args = ["run", ...flags, PROGRAM, "denied", ...doors];
      const child = spawn(path, args, { cwd: PROJECT_ROOT, stdio: ["ignore", "pipe", "pipe"] });
      const { status, stdout, stderr } = await new CommandProcess(child).ended;
      assertEquals(status, 0, stderr);
      assertMatch(
        stdout,
        /^(FinalError This program may not connect to [^\n]+ \(--allow-net\)\n){3}ended\n$/,
      );
    });

    it("may have used npm's ws in place of a global WebSocket", {
      timeout: 60_000,
      skip: runtime === "bun" ? "the tests on deno try it" : cannotRunNode,
    }, async () => {
      const program = join(folder, "class.mjs");
      const entry = "test/client/fixtures/web_socket_class.ts";
      writeFileSync(program, bundle(entry, { platform: "node" }));
      const ports = [server.ws, server.tcp].map((port) => `ws://127.0.0.1:${port}`);
      const child = spawn("node", [program, ...ports], {
        cwd: PROJECT_ROOT,
        stdio: ["ignore", "pipe", "pipe"],
      });
      const { stdout, stderr } = await new CommandProcess(child).ended;
      assertEquals(stdout, "1 ü\nUrlError\n", stderr);
    });

    it("has nothing left to do on Node", {
      timeout: 60_000,
      skip: runtime === "bun" ? "the tests on deno try it" : cannotRunNode,
    }, async () => {
      const program = join(folder, "ends.mjs");
      writeFileSync(program, bundle(PROGRAM, { platform: "node" }));
      const { tcp } = server;
      const doors = [["tcp", `hotwheels://127.0.0.1:${tcp}`, `hotwheels://127.0.0.1:${closed}`]];
      await endsAll(["node", program], doors);
    });
  });
}

/** Each way to end, one after the other in one process for each door. */
async function endsAll(command: readonly string[], doors: readonly string[][]): Promise<void> {
  const [program, ...args] = command;
  await Promise.all(doors.map(async ([door, ...urls]) => {
    const child = spawn(program!, [...args, "close,abort,waiting,refused", ...urls], {
      cwd: PROJECT_ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const { status, stdout } = await new CommandProcess(child).ended;
    assertEquals([door, status, stdout], [door, 0, "ended\n"]);
  }));
}
