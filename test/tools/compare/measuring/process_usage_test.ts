import { assertEquals, assertGreater, assertGreaterOrEqual } from "@std/assert";
import { spawn, spawnSync } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { readProcessUsage, usageOf } from "../../../../tools/compare/measuring/process_usage.ts";
import { parseProcesses } from "../../../../tools/harness/process_table.ts";
import { until } from "../../../support/until.ts";

const SCRIPT = fileURLToPath(
  import.meta.resolve("../../../../tools/harness/process_table.sh"),
);

function script(pid: number): string {
  return spawnSync("sh", [SCRIPT, String(pid)], { encoding: "utf8" }).stdout;
}

describe("a process's usage", () => {
  it("is its own and its descendants', added up", () => {
    const text =
      "7 cpu_ms=1500 peak_kib=300 resident_kib=200\n9 cpu_ms=250 peak_kib=50 resident_kib=40\n";
    assertEquals(usageOf(parseProcesses(text)), {
      cpuSeconds: 1.75,
      residentBytes: 240 * 1024,
      peakBytes: 350 * 1024,
    });
  });

  it("has no peak where the system doesn't keep it, and is nothing where there is no process", () => {
    assertEquals(usageOf(parseProcesses("7 cpu_ms=1500 resident_kib=200\n")), {
      cpuSeconds: 1.5,
      residentBytes: 200 * 1024,
      peakBytes: null,
    });
    assertEquals(usageOf(parseProcesses("")), null);
  });

  it("is what the process really uses", () => {
    const before = readProcessUsage(process.pid)!;
    // Another process's time, up to a tick and what passes between the two readings.
    const own = process.cpuUsage();
    const until = performance.now() + 300;
    while (performance.now() < until);
    const burnt = process.cpuUsage(own);
    const after = readProcessUsage(process.pid)!;
    const seconds = (burnt.user + burnt.system) / 1e6;
    assertGreaterOrEqual(after.cpuSeconds - before.cpuSeconds, seconds - 0.03);
    assertGreater(after.residentBytes, 10e6);
    if (after.peakBytes !== null) assertGreaterOrEqual(after.peakBytes, before.residentBytes);
  });

  it("takes in a child's, and the child's child's", async () => {
    const child = spawn("sh", ["-c", "sh -c 'echo; sleep 100; :' & wait"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const listed = () => script(child.pid!).trim().split("\n");
    // The sleeper comes a moment after its shell's word, and grows for another.
    await until("all three are there, and asleep", () => {
      const lines = listed();
      return lines.length === 3 && lines.join() === listed().join();
    });
    const lines = listed();
    const all = readProcessUsage(child.pid!)!;
    for (const line of lines) process.kill(Number(line.split(" ", 1)[0]), "SIGKILL");
    const each = lines.map((line) => usageOf(parseProcesses(`${line}\n`))!.residentBytes);
    assertEquals(all.residentBytes, each.reduce((sum, bytes) => sum + bytes));
  });

  it("is nothing where there is no such process", () => {
    const { pid } = spawnSync("true");
    assertEquals(readProcessUsage(pid!), null);
  });
});
