import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { readInstance } from "../../../tools/doctor/ec2_metadata.ts";
import { judgeAllowances, readAllowances } from "../../../tools/doctor/ena_allowances.ts";
import { recordEnvironment } from "../../../tools/doctor/environment_record.ts";
import type { RuntimeName } from "../../../cli/program.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { MetadataService, VALUES } from "./metadata_service.ts";

/** As ENA's driver has it, some other counters among them. */
const ETHTOOL_OUTPUT = `NIC statistics:
     tx_timeout: 0
     bw_in_allowance_exceeded: 1
     bw_out_allowance_exceeded: 20
     pps_allowance_exceeded: 300
     conntrack_allowance_exceeded: 4000
     linklocal_allowance_exceeded: 50000
     conntrack_allowance_available: 136812
     queue_0_tx_cnt: 991
`;

const COUNTERS = {
  bw_in_allowance_exceeded: 1,
  bw_out_allowance_exceeded: 20,
  pps_allowance_exceeded: 300,
  conntrack_allowance_exceeded: 4000,
  linklocal_allowance_exceeded: 50_000,
  conntrack_allowance_available: 136_812,
};

async function withService(
  service: MetadataService,
  test: (service: MetadataService) => Promise<void>,
): Promise<void> {
  try {
    await test(service);
  } finally {
    await service.stop();
  }
}

/** Calls the test with a program that answers as `ethtool -S` does for every device but `lo`. */
async function withEthtool(test: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-ethtool-"));
  const path = join(folder, "ethtool");
  const script =
    `#!/bin/sh\n[ $# = 2 ] && [ "$1" = -S ] && [ "$2" != lo ] || exit 81\ncat <<'END'\n${ETHTOOL_OUTPUT}END\n`;
  writeFileSync(path, script, { mode: 0o755 });
  try {
    await test(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("EC2's metadata", () => {
  it("is asked for with a token, and with nothing else before it", async () => {
    await withService(await MetadataService.start(), async ({ endpoint, requests }) => {
      assertEquals(await readInstance(endpoint), {
        instanceType: "t4g.small",
        availabilityZone: "eu-central-1a",
        region: "eu-central-1",
        amiId: "ami-0123456789abcdef0",
        instanceId: "i-0123456789abcdef0",
      });
      assertEquals(requests[0], "PUT /latest/api/token");
      assertEquals(requests.length, 1 + Object.keys(VALUES).length);
    });
  });

  it("is nothing where the service gives no token", async () => {
    const refuse = await MetadataService.start(VALUES, (_, response) => {
      response.writeHead(403).end("no");
      return true;
    });
    await withService(refuse, async ({ endpoint, requests }) => {
      assertEquals(await readInstance(endpoint), null);
      assertEquals(requests, ["PUT /latest/api/token"]);
    });
  });

  it("is nothing without a listener, or without an address", async () => {
    const service = await MetadataService.start();
    const { endpoint } = service;
    await service.stop();
    assertEquals(await readInstance(endpoint), null);
    assertEquals(await readInstance("nonsense"), null);
  });

  it("isn't waited for where the service is silent", { timeout: 20_000 }, async () => {
    const silent = await MetadataService.start(VALUES, () => true);
    await withService(silent, async ({ endpoint }) => {
      assertEquals(await readInstance(endpoint), null);
    });
    const dripping = await MetadataService.start(VALUES, (_, response) => {
      const timer = setInterval(() => response.write("x"), 50);
      response.on("close", () => clearInterval(timer));
      return true;
    });
    await withService(dripping, async ({ endpoint }) => {
      assertEquals(await readInstance(endpoint), null);
    });
  });

  it("leaves out what the service doesn't tell, or what can't be true", async () => {
    const values = {
      "instance-type": "c7g.medium",
      "ami-id": "$(reboot)",
      "instance-id": "x".repeat(2000),
      "placement/region": "<html>",
    };
    await withService(await MetadataService.start(values), async ({ endpoint }) => {
      assertEquals(await readInstance(endpoint), {
        instanceType: "c7g.medium",
        availabilityZone: null,
        region: null,
        amiId: null,
        instanceId: null,
      });
    });
  });

  it("is nothing where something else answers on that address", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {}).on("close", () => server.close()).resume();
      socket.write("220 smtp ready\r\n");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address() as { port: number };
    const closed = new Promise((resolve) => server.on("close", resolve));
    assertEquals(await readInstance(`http://127.0.0.1:${address.port}`), null);
    await closed;
  });
});

describe("the network adapter's allowances", () => {
  it("are read from ethtool", async () => {
    await withEthtool(async (ethtool) => {
      assertEquals(await readAllowances("ens5", ethtool), COUNTERS);
      assertEquals(await readAllowances("lo", ethtool), null);
    });
  });

  it("are nothing without a device, the program, or that adapter", async () => {
    assertEquals(await readAllowances(null), null);
    assertEquals(await readAllowances("lo", "/nowhere/ethtool"), null);
    assertEquals(await readAllowances("lo", "/bin/echo"), null);
  });

  it("make a run invalid when packets were dropped or connections not let through", () => {
    for (const name of ["pps_allowance_exceeded", "conntrack_allowance_exceeded"] as const) {
      const verdict = judgeAllowances(COUNTERS, { ...COUNTERS, [name]: COUNTERS[name] + 7 });
      assertEquals(verdict.moved, { [name]: 7 });
      assertEquals(verdict.invalidBecause.length, 1);
      assertStringIncludes(verdict.invalidBecause[0]!, `${name} moved by 7`);
    }
    const both = {
      ...COUNTERS,
      pps_allowance_exceeded: 301,
      conntrack_allowance_exceeded: 4001,
    };
    assertEquals(judgeAllowances(COUNTERS, both).invalidBecause.length, 2);
  });

  it("make no run invalid when nothing moved, or only bandwidth was shaped", () => {
    assertEquals(judgeAllowances(COUNTERS, { ...COUNTERS }), { moved: {}, invalidBecause: [] });
    const shaped = {
      ...COUNTERS,
      bw_out_allowance_exceeded: 21,
      conntrack_allowance_available: 5,
    };
    assertEquals(judgeAllowances(COUNTERS, shaped), {
      moved: { bw_out_allowance_exceeded: 1 },
      invalidBecause: [],
    });
  });

  it("make a run invalid when the counters began anew in it and moved", () => {
    const anew = { ...COUNTERS, pps_allowance_exceeded: 3 };
    assertEquals(judgeAllowances(COUNTERS, anew).invalidBecause.length, 1);
  });

  it("prove nothing where one reading is missing", () => {
    const nothing = { moved: {}, invalidBecause: [] };
    assertEquals(judgeAllowances(null, COUNTERS), nothing);
    assertEquals(judgeAllowances(COUNTERS, null), nothing);
    assertEquals(judgeAllowances(null, null), nothing);
    assertEquals(judgeAllowances({}, { pps_allowance_exceeded: 1 }), nothing);
  });
});

describe("the environment's record", () => {
  it("names what a reader needs to repeat a run", async () => {
    const runtime = await detectRuntime();
    const commandLine = ["compare", "5000", "--seed", "7"];
    const record = await recordEnvironment({ runtime, commandLine, seed: 7, ec2: false });
    assertEquals(record.command_line, commandLine);
    assertEquals([record.seed, record.ec2], [7, null]);
    assertEquals(record.runtimes[runtime.name as RuntimeName], runtime.version);
    assertMatch(record.runtimes.deno ?? "", /^\d+\.\d+\.\d+$/);
    assertMatch(record.runtimes.bun ?? "", /^\d+\.\d+\.\d+$/);
    assertMatch(record.hotwheels_version, /^\d+\.\d+\.\d+$/);
    assert(Math.abs(Date.parse(record.recorded_at) - Date.now()) < 60_000);
    assert(record.cores >= 1 && record.memory_bytes! > 0);
    assert(record.port_range !== null && record.max_backlog !== null);
    if (process.platform === "linux") {
      assert(record.tcp_memory!.pressure_bytes < record.tcp_memory!.max_bytes);
      assertMatch(record.congestion_control ?? "", /^\w+$/);
      assertMatch(record.kernel ?? "", /^\d/);
    }
    assertEquals(JSON.parse(JSON.stringify(record)), record);
  });

  it("names the instance on EC2, and its allowances before", async () => {
    const runtime = await detectRuntime();
    await withService(await MetadataService.start(), async ({ endpoint }) => {
      await withEthtool(async (ethtool) => {
        const record = await recordEnvironment({
          ...{ runtime, commandLine: ["compare", "--ec2"], seed: null, ec2: true },
          ...{ metadata: endpoint, ethtool },
        });
        const { ec2 } = record;
        assertEquals(ec2?.instance_type, "t4g.small");
        assertEquals(ec2?.availability_zone, "eu-central-1a");
        assertEquals(ec2?.ami_id, "ami-0123456789abcdef0");
        assertEquals(ec2?.allowances_before, ec2?.network_device === null ? null : COUNTERS);
        assertEquals(ec2?.allowances_after, null);
        assertEquals(JSON.stringify(record).includes('"i-0123456789'), false);
      });
    });
  });

  it("finds the metadata service where the AWS tools are told it is", async () => {
    const runtime = await detectRuntime();
    await withService(await MetadataService.start(), async ({ endpoint }) => {
      process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = `${endpoint}/`;
      try {
        const record = await recordEnvironment({ runtime, commandLine: [], seed: null, ec2: true });
        assertEquals(record.ec2?.instance_type, "t4g.small");
      } finally {
        delete process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"];
      }
    });
  });
});
