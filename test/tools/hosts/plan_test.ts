import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import {
  allOf,
  type Hosts,
  linkCommands,
  natsAddress,
  onHost,
  parseCores,
  planHosts,
  runOf,
} from "../../../tools/hosts/plan.ts";

/** The cores of each host, by its role. */
function coresOf(hosts: Hosts): Record<string, readonly number[]> {
  return Object.fromEntries(
    allOf(hosts).map(({ name, cores }) => [name.split("-").at(-1), cores]),
  );
}

describe("the plan of hosts", () => {
  const plan = (cores: readonly number[], machines = 1, workers = 1) =>
    planHosts(77, cores, { machines, workers });
  const hosts = plan([2, 3]);
  const [{ server, bots }] = hosts.machines;

  it("gives each a namespace of this run's and a core of its own", () => {
    assertEquals([server, bots], [
      { name: "hotwheels-77-server", address: "198.18.0.1", cores: [2] },
      { name: "hotwheels-77-bots", address: "198.18.0.2", cores: [3] },
    ]);
    assertEquals(hosts.nats, null);
    assertEquals(onHost(bots).join(" "), "ip netns exec hotwheels-77-bots taskset -c 3");
    assertEquals(coresOf(plan([5])), { server: [5], bots: [5] });
  });

  it("lets several machines share cores where these are too few", () => {
    const shared = { server1: [0], server2: [0], bots1: [1], bots2: [1], nats: [0] };
    assertEquals(coresOf(plan([0, 1], 2, 2)), shared);
    assertEquals(coresOf(plan([0, 1, 2, 3, 4, 5, 6], 2, 2)), {
      ...{ server1: [0, 1], bots1: [2], server2: [3, 4], bots2: [5], nats: [6] },
    });
    const six = plan([0, 1, 2, 3, 4, 5], 2, 2);
    assertEquals([six.nats!.cores, onHost(six.machines[0].server).at(-1)], [[0, 1, 2], "0,1"]);
  });

  it("wires them without touching the network of the machine", () => {
    const lines = linkCommands(hosts, { delayMs: null, bitsPerSecond: null })
      .map((command) => command.join(" "));
    assertEquals(lines, [
      "ip link add eth0 netns hotwheels-77-server type veth peer name eth0 netns hotwheels-77-bots",
      "ip -n hotwheels-77-server address add 198.18.0.1/30 dev eth0",
      "ip -n hotwheels-77-server link set eth0 up",
      "ip -n hotwheels-77-bots address add 198.18.0.2/30 dev eth0",
      "ip -n hotwheels-77-bots link set eth0 up",
      "ip -n hotwheels-77-bots link set lo up",
      "ip -n hotwheels-77-server link set lo up",
      "ip netns exec hotwheels-77-bots sh -c " +
      "echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range",
    ]);
  });

  it("gives each machine's bots its own server at the same address, and a wire to NATS", () => {
    const lines = linkCommands(plan([0, 1], 3), { delayMs: 1, bitsPerSecond: null })
      .map((command) => command.join(" "));
    const wires = lines.flatMap((line) => {
      const found = /add (\S+) netns \S+-(\w+) type veth peer name (\S+) netns \S+-(\w+)/.exec(
        line,
      );
      return found === null ? [] : [found.slice(1).join(" ")];
    });
    assertEquals(wires, [
      ...["eth0 server1 eth0 bots1", "eth1 server1 eth0 nats"],
      ...["eth0 server2 eth0 bots2", "eth1 server2 eth1 nats", "eth1 bots1 eth1 bots2"],
      ...["eth0 server3 eth0 bots3", "eth1 server3 eth2 nats", "eth2 bots1 eth1 bots3"],
    ]);
    const addresses = lines.flatMap((line) => /^ip -n \S+-(\w+) address add (\S+)/.exec(line) ?? [])
      .filter((_, at) => at % 3 === 2);
    assertEquals(addresses.filter((address) => address === "198.18.0.1/30").length, 3);
    assertEquals(new Set(addresses).size, addresses.length - 4);
    assertStringIncludes(lines.join("\n"), `198.18.2.1/30 dev eth1\n`);
    assertEquals(natsAddress(1), "198.18.2.1");
    // The agents' wires aren't measured, so they have no delay.
    assertEquals(lines.filter((line) => line.startsWith("tc ")).length, 12);
  });

  it("shapes both ends of the wire", () => {
    const shaping = (delayMs: number | null, bitsPerSecond: number | null) =>
      linkCommands(hosts, { delayMs, bitsPerSecond }).map((command) => command.join(" "))
        .filter((line) => line.startsWith("tc "));
    const both = ["server", "bots"].map((end) =>
      `tc -n hotwheels-77-${end} qdisc add dev eth0 root `
    );
    const netem = "netem limit 1000000 delay 500us";
    assertEquals(shaping(0.5, null), both.map((line) => line + netem));
    assertEquals(shaping(0.5, 1e6), both.map((line) => `${line}${netem} rate 1000000bit`));
    const slow = "tbf rate 1000000bit burst 65536 latency 200ms";
    assertEquals(shaping(null, 1e6), both.map((line) => line + slow));
    const fast = "tbf rate 1000000000bit burst 1250000 latency 200ms";
    assertEquals(shaping(null, 1e9), both.map((line) => line + fast));
  });

  it("knows its own namespaces, and the cores that it may use", () => {
    assertEquals([runOf("hotwheels-77-server"), runOf("hotwheels-8-bots2")], [77, 8]);
    assertEquals(runOf("hotwheels-9-nats"), 9);
    for (const name of ["hotwheels-77", "hotwheels-x-bots", "docker", "my-hotwheels-7-bots"]) {
      assertEquals(runOf(name), null);
    }
    assertEquals(parseCores("pid 9's current affinity list: 0,1\n"), [0, 1]);
    assertEquals(parseCores("pid 9's current affinity list: 0-2,5\n"), [0, 1, 2, 5]);
    assertEquals(parseCores("nonsense"), []);
  });
});
