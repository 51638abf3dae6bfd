import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { ProcessGroup } from "../../cli/process_group.ts";
import { isRunning, startCommand } from "../support/processes/command_process.ts";
import { until } from "../support/until.ts";

const FIXTURE = "test/cli/fixtures/process_group.ts";

function start(how: string) {
  return startCommand(FIXTURE, [how], { detached: true });
}

async function pidsOf(stdout: () => string): Promise<number[]> {
  await until("both run", () => stdout().endsWith("\n"), 30_000);
  return stdout().trim().split(" ").map(Number);
}

describe("a group of processes", () => {
  for (const [how, status] of [["exit", 0], ["throw", 1], ["crash", 1]] as const) {
    it(`ends with the process that started it: ${how}`, { timeout: 60_000 }, async () => {
      const command = start(how);
      const ended = await command.ended;
      assertEquals(ended.status, status, ended.stderr);
      const pids = await pidsOf(() => ended.stdout);
      await until("both have ended", () => !pids.some(isRunning));
    });
  }

  for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
    it(`ends with the process that started it: ${signal}`, { timeout: 60_000 }, async () => {
      const command = start("wait");
      const pids = await pidsOf(() => command.stdout);
      assertEquals(pids.every(isRunning), true);
      command.signal(signal);
      assertEquals((await command.ended).status, status);
      await until("both have ended", () => !pids.some(isRunning));
    });
  }

  it("is gone when its last process is, not its first", { timeout: 60_000 }, async () => {
    const group = ProcessGroup.spawn(["sh", "-c", "sleep 1.5 & exit 7"], { stdio: "ignore" });
    const beganMs = performance.now();
    const status = await new Promise((resolve) => group.child.once("exit", resolve));
    assertEquals(status, 7);
    await group.gone;
    assertEquals(performance.now() - beganMs > 1_000, true);
    group.signal("SIGKILL");
  });

  it("is gone where there is no such program", { timeout: 60_000 }, async () => {
    const group = ProcessGroup.spawn(["/no/such/program"], { stdio: "ignore" });
    group.child.on("error", () => {});
    await group.gone;
    group.signal("SIGTERM");
  });
});
