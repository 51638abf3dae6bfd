import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { spawn } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { EnvironmentError } from "../../../cli/command_line.ts";
import { demandDescriptors, unknownLimit } from "../../../server/preflight.ts";
import { withEnvironment } from "../../support/environment.ts";
import { runCommand } from "../../support/processes/fixture.ts";

const PATIENCE = { timeout: 60_000 };

const root = fileURLToPath(import.meta.resolve("../../../"));

/** The server's standard error until it listens, on a machine with these limits. */
function said(limits: Record<string, string>, ...flags: string[]): Promise<string> {
  const [program, ...before] = runCommand;
  const unstable = "deno" in process.versions ? ["--unstable-net"] : [];
  const args = [...before, ...unstable, "server/main.ts", "--host", "127.0.0.1", "--port", "0"];
  const child = spawn(program!, [...args, "--log-level", "error", ...flags], {
    cwd: root,
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...limits },
  });
  let stderr = "";
  child.stderr.on("data", (text) => stderr += text);
  child.stdout.once("data", () => process.kill(child.pid!, "SIGTERM"));
  return new Promise((resolve) => child.once("close", () => resolve(stderr)));
}

describe("the server's command", () => {
  const roomy = { HOTWHEELS_NOFILE: "20000", HOTWHEELS_FACTS: "somaxconn=4096" };

  it("has nothing to say where all fits, or nothing is asked for", PATIENCE, async () => {
    assertEquals(await said(roomy, "--max-connections", "19936"), "");
    assertEquals(await said({ ...roomy, HOTWHEELS_NOFILE: "256" }), "");
  });

  it("says when it can't have as many descriptors as connections", PATIENCE, async () => {
    assertMatch(
      await said(roomy, "--max-connections", "19937"),
      /^hotwheels: 19937 connections in 1 process need 20001 descriptors in each, and 20000 are allowed; to mend it: .*20001.*\n$/,
    );
    if (process.platform !== "linux") return;
    const flags = ["--max-connections", "30000", "--workers"];
    assertEquals(await said(roomy, ...flags, "2"), "");
    assertMatch(await said({ ...roomy, HOTWHEELS_NOFILE: "10000" }, ...flags, "2"), /^hotwheels: /);
  });

  it("says when few clients may wait to be accepted", PATIENCE, async () => {
    assertMatch(
      await said({ ...roomy, HOTWHEELS_FACTS: "somaxconn=128" }),
      /^hotwheels: .*have 128 wait; .*; to mend it: sudo sysctl -w .*somaxconn=4096\n$/,
    );
  });
});

describe("the check of a process's descriptors", () => {
  const demand = (allowed: number, workers: number) => {
    return withEnvironment({ HOTWHEELS_NOFILE: `${allowed}` }, () => demandDescriptors(workers));
  };

  it("refuses fewer than one client needs, and says how many that are", async () => {
    const words = "the server needs 65 descriptors at least, and 64 are allowed; raise the limit";
    await assertRejects(() => demand(64, 1), EnvironmentError, words);
    await demand(65, 1);
    const { message } = await assertRejects(() => demand(65, 3), EnvironmentError);
    const [, least] = /^each of 3 workers needs (\d+) descriptors at least, and 65 /.exec(message)!;
    await demand(Number(least), 3);
    await assertRejects(() => demand(Number(least) - 1, 3), EnvironmentError, "each of 3 workers");
  });

  it("says how few connections are accepted where the limit isn't known", () => {
    const words = "the descriptor limit isn't known here, so that at most";
    assertEquals(unknownLimit(1), `${words} 960 connections are accepted`);
    assertEquals(unknownLimit(2), `${words} 1920 connections are accepted`);
  });
});
