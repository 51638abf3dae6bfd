import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { checkUp, type CheckupNeed } from "../../../tools/doctor/checkup.ts";
import { checkCpuCredits } from "../../../tools/doctor/cpu_credits.ts";
import type { Ec2Instance } from "../../../tools/doctor/ec2_metadata.ts";
import { readFacts, type SystemFacts } from "../../../host/facts.ts";
import { type Ended, startCommand } from "../../support/processes/command_process.ts";
import { MetadataService } from "./metadata_service.ts";

const PATIENCE = { timeout: 60_000 };

const FACTS: SystemFacts = {
  ...readFacts({
    env: () =>
      "port_range=32768+60999,somaxconn=4096,syn_backlog=2048,syn_cookies=1,file_max=1000000," +
      "nofile_max=1048576,tcp_mem=90000+120000+180000,page_bytes=4096",
    script: () => "",
  }),
  cores: 2,
  descriptorLimit: 100_000,
  memoryBytes: 4_000_000_000,
  freeMemoryBytes: 3_000_000_000,
  clock: { isSynchronized: true, maxErrorMs: 0.3 },
};

const NEED: CheckupNeed = { n: 20_000, role: "both", workers: 1, runtime: "bun" };

const SMALL: Ec2Instance = {
  instanceType: "t4g.small",
  availabilityZone: "eu-central-1a",
  region: "eu-central-1",
  amiId: "ami-0123456789abcdef0",
  instanceId: "i-0123456789abcdef0",
};

/** The doctor's command on this runtime, to its end. */
function doctor(env: Record<string, string>, ...args: string[]): Promise<Ended> {
  return startCommand("tools/doctor/main.ts", args, { env }).ended;
}

function about(need: Partial<CheckupNeed>, facts: Partial<SystemFacts> = {}): string[] {
  return checkUp({ ...NEED, ...need }, { ...FACTS, ...facts }, null).map(({ about }) => about);
}

function toMend(need: Partial<CheckupNeed>, facts: Partial<SystemFacts>): string[] {
  return checkUp({ ...NEED, ...need }, { ...FACTS, ...facts }, null)
    .filter(({ isFine }) => !isFine).map(({ about }) => about);
}

describe("a checkup", () => {
  it("finds everything fine where everything is", () => {
    for (const runtime of ["deno", "bun"] as const) assertEquals(toMend({ runtime }, {}), []);
  });

  it("looks at what is to run here, and at nothing else", () => {
    assert(about({ role: "both" }).includes("server's descriptors"));
    assert(about({ role: "both" }).includes("bots' descriptors"));
    const server = about({ role: "server" });
    assert(server.includes("listener's backlog") && !server.includes("ports for each destination"));
    const bots = about({ role: "bots" });
    assert(bots.includes("ports for each destination") && !bots.includes("listener's backlog"));
  });

  it("knows that bots alone go to one address, and have a clock of their own", () => {
    const facts = { clock: { isSynchronized: false, maxErrorMs: null } };
    assertEquals(toMend({ role: "both" }, facts), []);
    assertEquals(toMend({ role: "bots" }, facts), ["ports for each destination", "clock"]);
    assertEquals(toMend({ role: "server" }, facts), ["clock"]);
  });

  it("finds each thing that is missing", () => {
    assertEquals(toMend({}, { descriptorLimit: 15_000 }), ["server's descriptors"]);
    assertEquals(toMend({ workers: 2 }, { descriptorLimit: 15_000 }), []);
    assertEquals(toMend({}, { maxOpenFiles: 30_000 }), ["open files of the system"]);
    assertEquals(toMend({}, { maxBacklog: 128 }), ["listener's backlog"]);
    assertEquals(toMend({}, { synCookies: false, synBacklog: 128 }), ["SYN backlog"]);
    assertEquals(toMend({ workers: 2 }, { migratesQueues: false }), ["a worker's queue"]);
    assertEquals(toMend({ workers: 1 }, { migratesQueues: false }), []);
    assertEquals(toMend({}, { conntrack: { used: 0, max: 8192 } }), ["tracked connections"]);
    assertEquals(toMend({}, { freeMemoryBytes: 100_000_000 }), ["memory"]);
    const tcpMemory = { pressureBytes: 1e6, maxBytes: 2e6, pageBytes: 4096 };
    assertEquals(toMend({}, { tcpMemory }), ["TCP's buffers"]);
  });

  it("asks for more memory on Deno, whose processes cost more", () => {
    const facts = { freeMemoryBytes: 700_000_000 };
    assertEquals(toMend({ runtime: "bun" }, facts), []);
    assertEquals(toMend({ runtime: "deno" }, facts), ["memory"]);
  });
});

describe("CPU credits", () => {
  it("are named for burstable instances, with the command that shows them", () => {
    for (const instanceType of ["t2.micro", "t3.small", "t3a.small", "t4g.small"]) {
      const finding = checkCpuCredits({ ...SMALL, instanceType });
      assertEquals([finding.isFine, finding.isFatal], [false, false]);
      const [see, pay] = finding.remedies.map(({ what }) => what);
      assertStringIncludes(see!, "--region eu-central-1 ");
      assertStringIncludes(see!, "Name=InstanceId,Value=i-0123456789abcdef0 ");
      assertStringIncludes(pay!, "InstanceId=i-0123456789abcdef0,CpuCredits=unlimited");
    }
  });

  it("aren't needed elsewhere", () => {
    for (const instanceType of ["c7g.medium", "m7g.large", "trn1.2xlarge", null]) {
      assert(checkCpuCredits({ ...SMALL, instanceType }).isFine, String(instanceType));
    }
  });
});

describe("the doctor's command", () => {
  const roomy = {
    HOTWHEELS_NOFILE: "100000",
    HOTWHEELS_FACTS: "port_range=1024+65535,somaxconn=4096,syn_backlog=2048,syn_cookies=1",
  };

  it("says fine for each thing, and ends with status 0", PATIENCE, async () => {
    const { status, stdout, stderr } = await doctor(roomy, "100");
    assertEquals([status, stderr], [0, ""]);
    const runtime = "deno" in process.versions ? "deno" : "bun";
    assertStringIncludes(stdout, `100 clients, server and bots on ${runtime}, on this machine`);
    assertEquals(stdout.split("\n").filter((line) => line.length > 80), []);
    assertMatch(
      stdout.replaceAll(/\n {12,}/g, " "),
      /\nfine +server's descriptors +100 clients and their publisher, of one address, in 1 process need 176 /,
    );
    assertMatch(stdout, /\neverything is fine\n$/);
  });

  it("says what to run, and ends with status 1, where it can't work", PATIENCE, async () => {
    const { status, stdout } = await doctor({ ...roomy, HOTWHEELS_NOFILE: "1024" }, "5000");
    assertEquals(status, 1);
    assertMatch(
      stdout.replaceAll(/\n {12,}/g, " "),
      /\nfatal +server's descriptors +5000 clients and their publisher, of one address, in 1 process need 5097 /,
    );
    assertMatch(stdout, /\n +Linux: +ulimit -n 5097 \|\| sudo prlimit --pid \$\$ --nofile=5097\n/);
    assertMatch(stdout, /\n +macOS: +sudo sysctl -w kern\.maxfiles=/);
    assertMatch(stdout, /\n1 to mend; see above for how\n$/);
  });

  it("ends with status 0 where it works, but not well", PATIENCE, async () => {
    const facts = roomy.HOTWHEELS_FACTS.replace("somaxconn=4096", "somaxconn=128");
    const { status, stdout } = await doctor({ ...roomy, HOTWHEELS_FACTS: facts }, "5000");
    assertEquals(status, 0);
    assertMatch(stdout, /\nnote +listener's backlog /);
  });

  it("gives the same as JSON", PATIENCE, async () => {
    const env = { ...roomy, HOTWHEELS_NOFILE: "1024" };
    const { status, stdout } = await doctor(env, "5000", "--role", "server", "--json");
    assertEquals(status, 1);
    const report = JSON.parse(stdout);
    assertEquals([report.schema, report.n, report.role], ["hotwheels-doctor/1", 5000, "server"]);
    const [descriptors, files] = report.checks;
    assertEquals([descriptors.about, descriptors.level], ["server's descriptors", "fatal"]);
    assertEquals(descriptors.remedies[0], { where: "here", what: "--workers 7" });
    assertEquals([files.level, files.remedies], ["fine", []]);
  });

  it("asks EC2's metadata service where it's told to, or the vendor is EC2", PATIENCE, async () => {
    const service = await MetadataService.start();
    try {
      const env = { ...roomy, AWS_EC2_METADATA_SERVICE_ENDPOINT: service.endpoint };
      const asked = await doctor(env, "100", "--ec2");
      assertMatch(asked.stdout, /\nnote +CPU credits +a t4g\.small is held to /);
      const vendor = `${roomy.HOTWHEELS_FACTS},vendor=Amazon+EC2`;
      const found = await doctor({ ...env, HOTWHEELS_FACTS: vendor }, "100");
      assertStringIncludes(found.stdout, "CPU credits");
      const { length } = service.requests;
      const elsewhere = await doctor(env, "100");
      assertEquals(elsewhere.stdout.includes("CPU credits"), false);
      assertEquals(service.requests.length, length);
    } finally {
      await service.stop();
    }
  });

  it("ends with status 2 and one line when the command line is wrong", PATIENCE, async () => {
    for (const args of [["many"], ["5", "6"], ["--role", "client"], ["--workers", "0"], ["--x"]]) {
      const { status, stdout, stderr } = await doctor({}, ...args);
      assertEquals([status, stdout], [2, ""]);
      assertMatch(stderr, /^doctor: .*\n$/);
      assertStringIncludes(stderr, args.at(-1)!);
    }
  });
});
