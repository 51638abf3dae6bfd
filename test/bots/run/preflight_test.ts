import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { readLimits, type SystemLimits } from "../../../host/facts.ts";
import {
  chooseProcesses,
  chooseSpread,
  findingText,
  type Need,
  preflight,
} from "../../../bots/run/preflight.ts";

const LIMITS: SystemLimits = {
  ...readLimits({ env: () => "", script: () => "" }),
  descriptorLimit: 20_000,
  portRange: { first: 32_768, last: 60_999 },
  maxBacklog: 4096,
};

const NEED: Need = { n: 10_000, processes: 1, addresses: 1, isLoopback: true };

function check(need: Partial<Need>, limits: Partial<SystemLimits> = {}): string[] {
  return preflight({ ...NEED, ...need }, { ...LIMITS, ...limits }).map(findingText);
}

describe("the preflight", () => {
  it("has nothing to say where all fits", () => {
    assertEquals(check({}), []);
    assertEquals(check({ n: 19_936, addresses: 2 }), []);
  });

  it("takes what isn't known for enough", () => {
    const unknown = { descriptorLimit: null, portRange: null, maxBacklog: null };
    assertEquals(check({ n: 1_000_000 }, unknown), []);
  });

  it("knows how many descriptors each process needs, and how to get them", () => {
    const [text] = check({ n: 19_937, addresses: 2 });
    assertStringIncludes(text!, "can't work: 19937 bots in 1 process need 20001 descriptors");
    assertStringIncludes(text!, "--processes 2");
    assertStringIncludes(text!, "ulimit -n 20001");
    assertStringIncludes(text!, "kern.maxfilesperproc=20001");
    assertStringIncludes(text!, "kern.maxfiles=");
    assertEquals(check({ n: 19_937, addresses: 2, processes: 2 }), []);
  });

  it("knows when the ports to one address run out, and how to get more", () => {
    const [text] = check({ n: 28_232, processes: 2 });
    assertStringIncludes(text!, "can't work: 28233 connections to one address");
    assertStringIncludes(text!, "28232 (32768 to 60999)");
    assertStringIncludes(text!, "--spread 3");
    assertStringIncludes(text!, 'sudo sysctl -w net.ipv4.ip_local_port_range="1024 65535"');
    assertStringIncludes(text!, "net.inet.ip.portrange.first=1024");
    assertEquals(check({ n: 28_233, processes: 2, addresses: 3 }), []);
  });

  it("only notes it where the ports are crowded", () => {
    const [text] = check({ n: 14_116 });
    assertStringIncludes(text!, "note: 14117 connections to one address crowd the 28232 ports");
    assertEquals(preflight({ ...NEED, n: 14_116 }, LIMITS)[0]!.isFatal, false);
  });

  it("doesn't offer what wouldn't help", () => {
    const [text] = check({ n: 100_000, processes: 6, isLoopback: false });
    assertStringIncludes(text!, "share the bots among 2 machines or more");
    assertEquals(text!.includes("--spread"), false);
    assertEquals(text!.includes("ip_local_port_range"), false);
  });

  it("notes a backlog that can't take the bots that connect at once", () => {
    const [text] = check({}, { maxBacklog: 128 });
    assertStringIncludes(text!, "note: up to 256 connections");
    assertStringIncludes(text!, "sudo sysctl -w net.core.somaxconn=4096");
    assertStringIncludes(text!, "sudo sysctl -w kern.ipc.somaxconn=4096");
    assertEquals(check({ n: 128 }, { maxBacklog: 128 }), []);
    assertEquals(check({ isLoopback: false }, { maxBacklog: 128 }), []);
  });

  it("puts each command on a line of its own", () => {
    for (const line of check({ n: 50_000 }, { maxBacklog: 1 }).join("\n").split("\n")) {
      assertEquals(/^(bots: | {2}\S.*: +\S)/.test(line), true, line);
    }
  });
});

describe("the number of processes", () => {
  const four = { descriptorLimit: 20_000, cores: 4 };

  it("is one for few bots, whatever there is", () => {
    for (const runtime of ["bun", "deno"]) {
      assertEquals(chooseProcesses(1, false, runtime, four), 1);
      assertEquals(chooseProcesses(3999, false, runtime, four), 1);
    }
  });

  it("is the cores, less one where the server needs it", () => {
    assertEquals(chooseProcesses(19_000, false, "bun", four), 4);
    assertEquals(chooseProcesses(19_000, true, "bun", four), 3);
    assertEquals(chooseProcesses(19_000, true, "bun", { ...four, cores: 1 }), 1);
    assertEquals(chooseProcesses(4000, false, "bun", four), 2);
  });

  it("is what the descriptors call for", () => {
    assertEquals(chooseProcesses(100_000, false, "bun", four), 6);
    assertEquals(chooseProcesses(2000, false, "bun", { descriptorLimit: 1024, cores: 4 }), 3);
    assertEquals(chooseProcesses(100_000, false, "bun", { descriptorLimit: null, cores: 4 }), 4);
    assertEquals(chooseProcesses(10, false, "bun", { descriptorLimit: 60, cores: 4 }), 1);
  });

  it("is more on Deno, within bounds", () => {
    const two = { descriptorLimit: 20_000, cores: 2 };
    assertEquals(chooseProcesses(5000, true, "deno", two), 1);
    assertEquals(chooseProcesses(19_000, true, "deno", two), 4);
    assertEquals(chooseProcesses(1_000_000, true, "deno", { ...two, descriptorLimit: null }), 16);
  });
});

describe("the spread", () => {
  it("leaves each address two fifths of the ports at most", () => {
    assertEquals(chooseSpread(1, LIMITS.portRange), 1);
    assertEquals(chooseSpread(11_292, LIMITS.portRange), 1);
    assertEquals(chooseSpread(11_293, LIMITS.portRange), 2);
    assertEquals(chooseSpread(100_000, null), 9);
    assertEquals(chooseSpread(20_000, { first: 1024, last: 65_535 }), 1);
  });
});
