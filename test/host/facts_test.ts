import { assert, assertEquals, assertMatch } from "@std/assert";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type FactSource, readAllFacts, readFacts, type SystemFacts } from "../../host/facts.ts";
import { usableMemory } from "../../host/usable_memory.ts";

const SCRIPT = fileURLToPath(import.meta.resolve("../../host/facts.sh"));

function closed(): never {
  throw new Error("closed");
}

/** The facts of a machine of which these statements are known. */
function factsFrom(statements: string): SystemFacts {
  return readFacts({ env: () => statements, script: closed });
}

/** The memory that the script finds where these files are there, of the system's control groups. */
function memoryIn(memberships: string, limits: Record<string, string>): number | undefined {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-groups-"));
  try {
    for (const [path, limit] of Object.entries(limits)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), `${limit}\n`);
    }
    writeFileSync(join(folder, "memberships"), memberships);
    const script = readFileSync(SCRIPT, "utf8")
      .replace("groups=/sys/fs/cgroup", `groups=${folder}`)
      .replace("memberships=/proc/self/cgroup", `memberships=${folder}/memberships`);
    const said = execFileSync("sh", ["-c", script, SCRIPT], { encoding: "utf8" });
    return usableMemory(/HOTWHEELS_FACTS=(\S*)/.exec(said)?.[1]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The script's output for statements, on a system that has these programs and no `/proc`. */
function scriptWith(programs: Record<string, string>, ...args: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-facts-"));
  try {
    for (const [name, body] of Object.entries(programs)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    }
    const script = readFileSync(SCRIPT, "utf8").replace("proc=/proc/sys", `proc=${folder}/none`);
    return execFileSync("sh", ["-c", script, SCRIPT, ...args], {
      encoding: "utf8",
      env: { PATH: `${folder}:/usr/bin:/bin` },
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("the system's facts", () => {
  it("come from the environment first, which a sandboxed program can read", () => {
    const facts = factsFrom("port_range=1024+65535,somaxconn=128,congestion_control=bbr");
    assertEquals(facts.portRange, { first: 1024, last: 65_535 });
    assertEquals([facts.maxBacklog, facts.congestionControl], [128, "bbr"]);
  });

  it("come from the script else, which is told how much is wanted", () => {
    const asked: string[][] = [];
    const source: FactSource = {
      env: () => undefined,
      script(args) {
        asked.push([...args]);
        return `HOTWHEELS_NOFILE=7 HOTWHEELS_FACTS=somaxconn=4096,file_max=99\n`;
      },
    };
    assertEquals(readFacts(source).maxBacklog, 4096);
    assertEquals(readAllFacts(source).maxOpenFiles, 99);
    assertEquals(asked, [[], ["all"]]);
  });

  it("give bytes where the kernel counts in pages", () => {
    const facts = factsFrom("tcp_mem=21000+28000+42000,page_bytes=4096");
    assertEquals(facts.tcpMemory, {
      pressureBytes: 28_000 * 4096,
      maxBytes: 42_000 * 4096,
      pageBytes: 4096,
    });
    assertEquals(factsFrom("tcp_mem=21000+28000+42000").tcpMemory, null);
    assertEquals(factsFrom("tcp_mem=21000+28000,page_bytes=4096").tcpMemory, null);
  });

  it("know a firewall that follows connections from one that isn't there", () => {
    const facts = factsFrom("conntrack_count=3,conntrack_max=65536");
    assertEquals(facts.conntrack, { used: 3, max: 65_536 });
    assertEquals(factsFrom("conntrack_count=3").conntrack, null);
  });

  it("know whether the clock is set by a service, and how wrong it can be", () => {
    const clock = (statements: string) => factsFrom(statements).clock;
    assertEquals(clock("chrony=-0.25+0.5+0.125+Normal"), {
      isSynchronized: true,
      maxErrorMs: 625,
    });
    assertEquals(clock("chrony=0.0+1.0+1.0+Not+synchronised,ntp_synchronized=yes"), {
      isSynchronized: false,
      maxErrorMs: null,
    });
    assertEquals(clock("ntp_synchronized=yes"), { isSynchronized: true, maxErrorMs: null });
    assertEquals(clock("ntp_synchronized=no"), { isSynchronized: false, maxErrorMs: null });
    assertEquals([clock("ntp_synchronized=maybe"), clock("")], [null, null]);
    assertEquals(clock("chrony=506+Cannot+talk+to+daemon"), null);
  });

  it("are nothing where no way is open, or what is there makes no sense", () => {
    const facts = readAllFacts({ env: closed, script: closed });
    assertEquals([facts.portRange, facts.maxBacklog, facts.commit], [null, null, null]);
    for (const text of ["", "+", "60999+32768", "32768", "unlimited", "1+2+3", "-1+5"]) {
      assertEquals(factsFrom(`port_range=${text}`).portRange, null, text);
    }
    for (const text of ["", "many", "4k", "-1"]) {
      assertEquals(factsFrom(`somaxconn=${text}`).maxBacklog, null, text);
    }
  });

  it("have the memory of the smallest group that this process is in, or the machine's", {
    skip: process.platform !== "linux",
  }, () => {
    const machine = memoryIn("0::/\n", {}) ?? 0;
    assert(machine > 64_000_000);
    const unified = "0::/system.slice/hotwheels.service\n";
    const limits = {
      "memory.max": "max",
      "system.slice/memory.max": "60000000",
      "system.slice/hotwheels.service/memory.max": "50000000",
    };
    assertEquals(memoryIn(unified, limits), 50_000_000);
    assertEquals(memoryIn(unified, { ...limits, "system.slice/memory.max": "40000000" }), 40e6);
    assertEquals(memoryIn("0::/\n", limits), machine);
    const old = "4:memory:/docker/1\n0::/\n";
    assertEquals(memoryIn(old, { "memory/docker/1/memory.limit_in_bytes": "30000000" }), 30e6);
    // Inside of a container the path is another one.
    assertEquals(memoryIn(old, { "memory/memory.limit_in_bytes": "20000000" }), 20e6);
    const unlimited = { "memory/memory.limit_in_bytes": "9223372036854771712" };
    assertEquals(memoryIn(old, unlimited), machine);
    assertEquals(usableMemory("memory_bytes=123,page_bytes=4096"), 123);
  });

  it("are there for this machine", () => {
    const facts = readFacts();
    assert(facts.cores >= 1);
    assertMatch(facts.os, /^[A-Z]/);
    assert(facts.memoryBytes !== null && facts.memoryBytes > 2 ** 20);
    assert(facts.portRange !== null && facts.maxBacklog !== null);
  });
});

describe("the script that finds them", () => {
  it("prints one line of variables for env", () => {
    for (const args of [[], ["all"]]) {
      const said = execFileSync("sh", [SCRIPT, ...args], { encoding: "utf8" });
      assertMatch(said, /^HOTWHEELS_NOFILE=(\d+|unlimited) HOTWHEELS_FACTS=(\w+=[^\s,]+,?)+\n$/);
    }
  });

  it("knows macOS's settings", () => {
    const said = scriptWith({
      sysctl: `case $2 in
        net.inet.ip.portrange.first) echo 49152;;
        net.inet.ip.portrange.last) echo 65535;;
        kern.ipc.somaxconn) echo 128;;
        kern.maxfiles) echo 245760;;
        kern.maxfilesperproc) echo 122880;;
      esac`,
    });
    const facts = factsFrom(/HOTWHEELS_FACTS=(\S*)/.exec(said)![1]!);
    assertEquals(facts.portRange, { first: 49_152, last: 65_535 });
    assertEquals(facts.maxBacklog, 128);
    assertEquals([facts.maxOpenFiles, facts.maxDescriptorLimit], [245_760, 122_880]);
    assertEquals([facts.conntrack, facts.tcpMemory], [null, null]);
  });

  it("asks the services that set the clock, and the routes for the device", () => {
    const said = scriptWith({
      chronyc: "echo A9FEA97B,169.254.169.123,4,1795435717.9,0.000001,0.0,0.0,1.5,0,0.1," +
        "0.0002,0.0003,16.1,Normal",
      timedatectl: "echo no",
      ip: "echo default via 10.0.0.1 dev ens5 proto dhcp src 10.0.0.7 metric 512",
      lscpu: "echo 'Model name:   Neoverse-V1'",
    }, "all");
    const facts = factsFrom(/HOTWHEELS_FACTS=(\S*)/.exec(said)![1]!);
    assertEquals(facts.clock?.isSynchronized, true);
    assertEquals(facts.clock?.maxErrorMs?.toFixed(3), "0.401");
    assertEquals(facts.device, "ens5");
    assertMatch(said, /,cpu_model=Neoverse-V1,/);
  });

  it("takes no complaint for an answer", () => {
    const said = scriptWith({ chronyc: "echo 506 Cannot talk to daemon", ip: "exit 1" }, "all");
    assertEquals(/chrony|device/.test(said), false, said);
  });

  it("says which commit this is, and whether the files are its own", () => {
    const git = (modified: string) =>
      `case "$*" in *rev-parse*) echo 0123abc;; *status*) printf '${modified}';; esac`;
    assertMatch(scriptWith({ git: git("") }, "all"), /commit=0123abc(,|\n)/);
    assertMatch(scriptWith({ git: git(" M a.ts") }, "all"), /commit=0123abc-modified(,|\n)/);
  });
});
