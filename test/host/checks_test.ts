import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { checkClock } from "../../host/clock_check.ts";
import {
  checkBotsDescriptors,
  checkOpenFiles,
  checkServerCapacity,
  checkServerDescriptors,
} from "../../host/descriptor_checks.ts";
import { readFacts, type SystemFacts } from "../../host/facts.ts";
import { type Finding, findingLine, remedyLines } from "../../host/finding.ts";
import { BOTS_COSTS, checkMemory, checkTcpMemory, SERVER_COSTS } from "../../host/memory_checks.ts";
import {
  checkBacklog,
  checkConntrack,
  checkPorts,
  checkQueueMigration,
  checkSynBacklog,
} from "../../host/network_checks.ts";

const MB = 1_000_000;

const UNKNOWN: SystemFacts = {
  ...readFacts({ env: () => "", script: () => "" }),
  descriptorLimit: null,
  memoryBytes: null,
  freeMemoryBytes: null,
};

function facts(known: Partial<SystemFacts>): SystemFacts {
  return { ...UNKNOWN, ...known };
}

function remedy({ remedies }: Finding, where: string): string | undefined {
  return remedies.find((remedy) => remedy.where === where)?.what;
}

describe("a check of the system", () => {
  it("takes what isn't known for enough", () => {
    const findings = [
      checkServerDescriptors({ n: 1e6, processes: 1 }, UNKNOWN),
      checkBotsDescriptors({ n: 1e6, processes: 1 }, UNKNOWN),
      checkServerCapacity({ n: 1e6, processes: 1 }, UNKNOWN),
      checkOpenFiles(1e6, UNKNOWN),
      checkPorts({ n: 1e6, addresses: 1, spread: 1 }, UNKNOWN),
      checkBacklog(1e6, UNKNOWN),
      checkSynBacklog(1e6, UNKNOWN),
      checkQueueMigration(UNKNOWN),
      checkMemory({ n: 1e6, parts: [{ cost: SERVER_COSTS["deno"], processes: 1 }] }, UNKNOWN),
      checkTcpMemory(1e6, UNKNOWN),
      checkClock(false, null),
    ];
    for (const { about, isFine, isFatal, says, remedies } of findings) {
      assertEquals([isFine, isFatal, remedies], [true, false, []], about);
      assertStringIncludes(says, "not known here");
    }
  });

  it("knows the server's descriptors, and every way to more of them", () => {
    const limits = facts({ descriptorLimit: 1024, maxDescriptorLimit: 1_048_576 });
    assert(checkServerDescriptors({ n: 960, processes: 1 }, limits).isFine);
    const finding = checkServerDescriptors({ n: 961, processes: 1 }, limits);
    assert(finding.isFatal && !finding.isFine);
    assertStringIncludes(
      finding.says,
      "961 connections in 1 process need 1025 descriptors in each",
    );
    assertEquals(remedy(finding, "here"), "--workers 2");
    assertEquals(remedy(finding, "systemd"), "LimitNOFILE=1025");
    assertEquals(remedy(finding, "Linux"), "ulimit -n 1025 || sudo prlimit --pid $$ --nofile=1025");
    assertStringIncludes(remedy(finding, "macOS")!, "kern.maxfilesperproc=1025");
    assert(checkServerDescriptors({ n: 961, processes: 2 }, limits).isFine);
  });

  it("raises what bounds the limit where that is in the way", () => {
    const limits = facts({ descriptorLimit: 1024, maxDescriptorLimit: 65_536 });
    const finding = checkBotsDescriptors({ n: 100_000, processes: 1 }, limits);
    assertMatch(
      remedy(finding, "Linux")!,
      /^sudo sysctl -w fs\.nr_open=100064 && ulimit -n 100064 /,
    );
  });

  it("knows how many files the whole system may have open", () => {
    const limits = facts({ maxOpenFiles: 40_192 });
    assert(checkOpenFiles(40_192, limits).isFine);
    const finding = checkOpenFiles(40_257, limits);
    assert(finding.isFatal);
    assertStringIncludes(finding.says, "40257 are needed, and 40192 are allowed");
    assertEquals(remedy(finding, "Linux"), "sudo sysctl -w fs.file-max=80514");
  });

  it("knows when handshakes are dropped for want of SYN cookies", () => {
    assert(checkSynBacklog(256, facts({ synBacklog: 128, synCookies: true })).isFine);
    assert(checkSynBacklog(256, facts({ synBacklog: 342, synCookies: false })).isFine);
    const finding = checkSynBacklog(256, facts({ synBacklog: 340, synCookies: false }));
    assertEquals([finding.isFine, finding.isFatal], [false, false]);
    assertStringIncludes(remedy(finding, "Linux")!, "net.ipv4.tcp_syncookies=1");
  });

  it("knows what a firewall can still follow", () => {
    assert(checkConntrack(1e6, facts({ conntrack: null })).isFine);
    assert(checkConntrack(900, facts({ conntrack: { used: 100, max: 1000 } })).isFine);
    const finding = checkConntrack(901, facts({ conntrack: { used: 100, max: 1000 } }));
    assertEquals([finding.isFine, finding.isFatal], [false, false]);
    assertEquals(remedy(finding, "Linux"), "sudo sysctl -w net.netfilter.nf_conntrack_max=2002");
  });

  it("adds up the memory of server, bots and kernel", () => {
    const need = {
      n: 20_000,
      parts: [
        { cost: SERVER_COSTS["bun"], processes: 1 },
        { cost: BOTS_COSTS["bun"], processes: 2 },
      ],
    };
    // 3 processes of 60 MB, 20,000 times 3 kB twice, and 20,000 sockets of 5.5 kB twice.
    const exactly = facts({ memoryBytes: 2000 * MB, freeMemoryBytes: 520 * MB });
    assert(checkMemory(need, exactly).isFine);
    assertStringIncludes(checkMemory(need, exactly).says, "about 520 MB are needed");
    const tight = checkMemory(need, facts({ memoryBytes: 2000 * MB, freeMemoryBytes: 519 * MB }));
    assertEquals([tight.isFine, tight.isFatal], [false, false]);
    const small = checkMemory(need, facts({ memoryBytes: 512 * MB, freeMemoryBytes: 400 * MB }));
    assert(small.isFatal);
  });

  it("knows when a message for each is more than TCP may hold", () => {
    const tcpMemory = { pressureBytes: 20_000 * 4096, maxBytes: 30_000 * 4096, pageBytes: 4096 };
    assert(checkTcpMemory(20_000, facts({ tcpMemory })).isFine);
    const finding = checkTcpMemory(20_001, facts({ tcpMemory }));
    assertEquals([finding.isFine, finding.isFatal], [false, false]);
    assertEquals(remedy(finding, "Linux"), 'sudo sysctl -w net.ipv4.tcp_mem="20001 30002 40002"');
  });

  it("asks for a synchronised clock only where there are two", () => {
    const wild = { isSynchronized: false, maxErrorMs: null };
    assert(checkClock(true, wild).isFine);
    assertEquals(checkClock(false, wild).isFine, false);
    assertStringIncludes(remedy(checkClock(false, wild), "Linux")!, "chrony");
    assert(checkClock(false, { isSynchronized: true, maxErrorMs: null }).isFine);
    assert(checkClock(false, { isSynchronized: true, maxErrorMs: 0.4 }).isFine);
    assertEquals(checkClock(false, { isSynchronized: true, maxErrorMs: 80 }).isFine, false);
  });
});

describe("a check of what becomes of a worker's queue", () => {
  it("names the setting where the kernel would hand it over", () => {
    assert(checkQueueMigration(facts({ migratesQueues: true })).isFine);
    const finding = checkQueueMigration(facts({ migratesQueues: false }));
    assertEquals([finding.isFine, finding.isFatal], [false, false]);
    assertEquals(remedy(finding, "Linux"), "sudo sysctl -w net.ipv4.tcp_migrate_req=1");
  });
});

describe("a finding", () => {
  const finding = checkBacklog(256, facts({ maxBacklog: 128 }));

  it("becomes one line with the remedy for the system that it's read on", () => {
    assertMatch(
      findingLine(finding, "Linux"),
      /have 128 wait; .*sysctl -w net\.core\.somaxconn=4096$/,
    );
    assertMatch(findingLine(finding, "Darwin"), /sysctl -w kern\.ipc\.somaxconn=4096$/);
    assertEquals(findingLine({ ...finding, remedies: [] }, "Linux"), finding.says);
  });

  it("lists its remedies under each other", () => {
    assertEquals(remedyLines(finding), [
      "Linux: sudo sysctl -w net.core.somaxconn=4096",
      "macOS: sudo sysctl -w kern.ipc.somaxconn=4096",
    ]);
    assertEquals(remedyLines({ ...finding, remedies: [] }), []);
  });
});
