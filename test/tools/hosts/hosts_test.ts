import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { type CommandProcess, startCommand } from "../../support/processes/command_process.ts";
import { leftTo } from "../../support/processes/tested_runtimes.ts";
import { skipNats } from "../../support/processes/nats_server.ts";
import { until } from "../../support/until.ts";
import { REPEATS_TIMEOUT_MS, untilValid } from "../../bots/results/valid_run.ts";

/** Starts the command, with the programs of a folder only if one is given. */
function start(
  args: readonly (string | number)[],
  path?: string,
  env: Readonly<Record<string, string>> = {},
): CommandProcess {
  const programs = path === undefined ? {} : { PATH: path };
  return startCommand("tools/hosts/main.ts", args, { env: { ...programs, ...env } });
}

function namespacesOf(pid: number): string[] {
  const { stdout } = spawnSync("ip", ["netns", "list"], { encoding: "utf8" });
  return stdout.split("\n").filter((line) => line.startsWith(`hotwheels-${pid}-`));
}

/** The reason why namespaces can't be made here; `false` if they can. */
function whyNot(): string | false {
  if (process.platform !== "linux") return "network namespaces need Linux";
  const name = `hotwheels-test-${process.pid}`;
  const { status, error, stderr } = spawnSync("ip", ["netns", "add", name], { encoding: "utf8" });
  if (status === 0) spawnSync("ip", ["netns", "delete", name]);
  return status === 0 ? false : `may not make network namespaces: ${error?.message ?? stderr}`;
}

/** Calls the test with a PATH on which these programs are all there is. */
async function withPrograms(
  programs: Record<string, string>,
  test: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-hosts-"));
  try {
    for (const [name, body] of Object.entries(programs)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    }
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("hosts where it may not be done", () => {
  const taskset = `echo "pid 1's current affinity list: 0,1"`;
  const options = { timeout: 60_000, skip: process.platform === "linux" ? false : "needs Linux" };

  it("says so in one line, and ends with status 1", options, async () => {
    const refusing = `[ "$2" = list ] && exit 0
      echo 'mkdir /run/netns failed: Permission denied' >&2; exit 1`;
    await withPrograms({ ip: refusing, taskset }, async (folder) => {
      const { status, stdout, stderr } = await start([10], folder).ended;
      assertEquals([status, stdout], [1, ""]);
      assertMatch(
        stderr,
        /^hosts: can't make several hosts here: .*Permission denied; .*root.*\n$/,
      );
    });
  });

  it("asks first for descriptors that the server needs, and for no more", options, async () => {
    await withPrograms({ ip: "exit 0" }, async (folder) => {
      const few = await start([500], folder, { HOTWHEELS_NOFILE: "596" }).ended;
      assertEquals([few.status, few.stdout], [1, ""]);
      assertMatch(few.stderr, /^hosts: 500 clients and their publisher.*ulimit -n 597 .*\n$/);
      const enough = await start([500], folder, { HOTWHEELS_NOFILE: "597" }).ended;
      assertStringIncludes(enough.stderr, "taskset isn't installed");
    });
  });

  it("names the package where a program is missing", options, async () => {
    for (
      const [programs, missing] of [[{}, "iproute2"], [{ ip: "exit 0" }, "util-linux"]] as const
    ) {
      await withPrograms(programs, async (folder) => {
        const { status, stdout, stderr } = await start([10], folder).ended;
        assertEquals([status, stdout], [1, ""]);
        assertMatch(stderr, new RegExp(`^hosts: .*apt-get install -y ${missing}.*\n$`));
      });
    }
  });

  it("leaves nothing behind when it fails half-way", options, async () => {
    // Keeps the namespaces as files beside itself, and can't make a wire.
    const failing = `cd "$(dirname "$0")"
      case "$1 $2" in
        "netns list") for f in hotwheels-*; do [ -e "$f" ] && echo "$f"; done;;
        "netns add") : > "$3"; echo "$3" >> added;;
        "netns delete") rm "$3";;
        "netns pids") ;;
        *) echo "RTNETLINK answers: Operation not supported" >&2; exit 2;;
      esac`;
    const rm = 'for last; do :; done; exec /bin/rm "$last"';
    await withPrograms({ ip: failing, taskset, rm, dirname: 'echo "${1%/*}"' }, async (folder) => {
      const { status, stderr } = await start([10], folder).ended;
      assertEquals(status, 1);
      assertStringIncludes(stderr, "Operation not supported");
      const added = readFileSync(join(folder, "added"), "utf8").trim().split("\n");
      assertEquals(added.length, 2);
      for (const name of added) {
        assertThrows(() => readFileSync(join(folder, name)), Error, "ENOENT");
      }
    });
  });
});

describe("hosts", () => {
  const timeout = REPEATS_TIMEOUT_MS;
  const options = { timeout, skip: whyNot() };
  const onDeno = { timeout, skip: leftTo("deno") || options.skip };
  const onBun = { timeout, skip: leftTo("bun") || options.skip };

  it("plays the bounty on both, and leaves nothing behind", options, async () => {
    const child = start([50, "--rate", "100mbit"]);
    const { status, stdout } = await child.ended;
    assertEquals([0, 3].includes(status!), true, `status ${status}`);
    assertMatch(stdout, /^server at 198\.18\.0\.1, bots at 198\.18\.0\.2, .*100 Mbit\/s\n/);
    assertEquals(stdout.match(/^setup: .*, n: 50, good: 50, bad: 0, /gm)!.length, 2);
    for (const runtime of ["deno", "bun"]) {
      const held = "under 1 s, and the slo of 1000 ms is held: the last of 50 bots had the";
      const invalid = "INVALID: this run is no measure of the server, nor of the slo of 1000 ms";
      assertMatch(stdout, new RegExp(`\n${runtime}: (${held}|${invalid})`));
    }
    assertEquals(stdout.includes(": INVALID"), status === 3);
    assertEquals(namespacesOf(child.pid), []);
  });

  const withNats = (on: typeof options) => ({ ...on, skip: on.skip || skipNats });

  it("plays it on two machines that NATS joins, and says how far they are apart", {
    ...withNats(onBun),
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-hosts-"));
    const json = join(folder, "report.json");
    try {
      // A busy machine may need far more than 20 ms.
      const flags = ["--rounds", 3, "--apart", "5s", "--slo", "9s", "--json", json];
      const child = start([40, "--machines", 2, "--server", "bun", ...flags]);
      const { status, stdout, stderr } = await child.ended;
      assertEquals([0, 3].includes(status!), true, `status ${status}: ${stdout}${stderr}`);
      assertMatch(stdout, /^2 machines of 2 workers and their bots, joined by NATS, .* cores?/);
      assertMatch(stdout, /^setup: .*, n: 80, good: 80, bad: 0, /m);
      assertMatch(
        stdout.replaceAll(/\n +/g, " "),
        /\nbun: .*; the last of another machine had it -?[\d.]+ ms after the last of the first in /,
      );
      const report = JSON.parse(readFileSync(json, "utf8"));
      assertEquals([report.schema, report.machines, report.workers], ["hotwheels-hosts/1", 2, 2]);
      const [{ behind, bots, outcome }] = report.runs;
      assertEquals([outcome === "invalid", behind.held], [status === 3, true]);
      assertEquals(behind.last_ms.map((last: number[]) => last.length), [2, 2, 2]);
      assertEquals(bots.agents.map(({ good }: { good: number }) => good), [40, 40]);
      assertEquals(namespacesOf(child.pid), []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("leaves nothing of several machines behind on a signal", withNats(onDeno), async () => {
    const child = start([500, "--machines", 2, "--server", "bun", "--rounds", 1000]);
    const processes = () =>
      namespacesOf(child.pid).map((line) => line.split(" ", 1)[0]!).map((name) => [
        name.split("-").at(-1),
        spawnSync("ip", ["netns", "pids", name], { encoding: "utf8" }).stdout.trim() !== "",
      ]);
    await until("all hosts have processes", () => {
      const found = processes();
      return found.length === 5 && found.every(([, has]) => has);
    }, 60_000);
    child.signal("SIGTERM");
    assertEquals((await child.ended).status, 143);
    assertEquals(namespacesOf(child.pid), []);
  });

  it("compares both servers across the wire", onDeno, async () => {
    const out = mkdtempSync(join(tmpdir(), "hotwheels-hosts-"));
    try {
      const flags = [
        "--server",
        "bun",
        "--compare",
        "--",
        "--runs",
        1,
        "--rounds",
        1,
        "--out",
        out,
      ];
      const child = start([30, ...flags]);
      const { status } = await child.ended;
      assertEquals([0, 3].includes(status!), true, `status ${status}`);
      const report = JSON.parse(readFileSync(join(out, "report.json"), "utf8"));
      const arms = report.arms as { name: string; address: string }[];
      assertEquals(arms.map(({ name }) => name), ["deno", "bun"]);
      for (const { address } of arms) assertMatch(address, /^198\.18\.0\.1:\d+$/);
      assertEquals(namespacesOf(child.pid), []);
    } finally {
      rmSync(out, { recursive: true });
    }
  });

  it("waits for the comparison's report on Ctrl-C", onBun, async () => {
    const out = mkdtempSync(join(tmpdir(), "hotwheels-hosts-"));
    try {
      const flags = ["--compare", "--", "--runs", 50, "--rounds", 1, "--out", out];
      const child = startCommand("tools/hosts/main.ts", [30, "--server", "bun", ...flags], {
        detached: true,
      });
      await until("two runs are over", () => child.stderr.includes("run 2 of 100"), 60_000);
      // As a terminal does: to all processes.
      process.kill(-child.pid, "SIGINT");
      const { status, stderr } = await child.ended;
      assertEquals(status, 130, stderr);
      const report = JSON.parse(readFileSync(join(out, "report.json"), "utf8"));
      assertEquals(report.interrupted, { planned_runs: 100 });
      assertEquals(report.runs.filter(({ rounds }: { rounds: [] }) => rounds.length === 0), []);
      assertEquals(namespacesOf(child.pid), []);
    } finally {
      rmSync(out, { recursive: true });
    }
  });

  it("ends with status 1 when the bounty isn't held", onDeno, async () => {
    const { status, stdout } = await untilValid(async () => {
      const child = start([50, "--server", "bun", "--slo", "0.001ms"]);
      const ended = await child.ended;
      assertEquals(namespacesOf(child.pid), []);
      return ended;
    });
    assertEquals(status, 1);
    assertMatch(stdout, /\nbun: FAILED: the slo of 0.001 ms is missed: the last of 50 bots had/);
  });

  for (
    const [signal, expected, where] of [
      ["SIGINT", 130, onDeno],
      ["SIGTERM", 143, onBun],
      ["SIGHUP", 129, onDeno],
    ] as const
  ) {
    it(`leaves nothing behind on ${signal}`, where, async () => {
      const child = start([1000, "--rounds", 1000]);
      await until("the bounty has begun", () => child.stdout.includes("--- deno"), 60_000);
      assertEquals(namespacesOf(child.pid).length, 2);
      child.signal(signal);
      const { status } = await child.ended;
      assertEquals(status, expected);
      assertEquals(namespacesOf(child.pid), []);
    });
  }

  it("removes what a killed run left behind", onBun, async () => {
    const killed = start([1000, "--rounds", 1000]);
    await until("the bounty has begun", () => killed.stdout.includes("--- deno"), 60_000);
    const name = `hotwheels-${killed.pid}-server`;
    const processes = () =>
      spawnSync("ip", ["netns", "pids", name], { encoding: "utf8" }).stdout.trim().split("\n")
        .filter((line) => line !== "").map(Number);
    await until("the server has started", () => processes().length > 0);
    const left = processes();
    killed.signal("SIGKILL");
    await killed.exited;
    const { status } = await untilValid(() => start([20, "--server", "bun"]).ended);
    assertEquals(status, 0);
    assertEquals(namespacesOf(killed.pid), []);
    for (const pid of left) {
      // Nobody may have collected an orphan's status, so that it's still listed.
      const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
      assertMatch(stdout, /^(Z.*)?\s*$/, `process ${pid} still runs`);
    }
  });
});
