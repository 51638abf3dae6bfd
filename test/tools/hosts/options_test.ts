import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { type HostsOptions, parseHosts } from "../../../tools/hosts/options.ts";
import { UsageError } from "../../../cli/command_line.ts";

/** Parses a command line into the options of a run. */
function optionsOf(...args: string[]): HostsOptions {
  const command = parseHosts(args);
  if (command.does !== "run") throw new TypeError(`it wants to ${command.does}`);
  return command.options;
}

describe("the command line of hosts", () => {
  it("runs the bounty unless it's told otherwise", () => {
    assertEquals(optionsOf(), {
      n: 20_000,
      machines: 1,
      workers: 1,
      servers: ["deno", "bun"],
      botsRuntime: "bun",
      link: { delayMs: null, bitsPerSecond: null },
      rounds: 1,
      sloMs: 1000,
      apartMs: 20,
      compares: false,
      compareArguments: [],
      json: null,
    });
    const { n, workers, rounds } = optionsOf("--machines", "2");
    assertEquals([n, workers, rounds], [8000, 2, 10]);
  });

  it("takes the wire, the runtimes and what compare gets", () => {
    const flags = "--delay 0.5ms --rate 2.5gbit --server bun --bots-runtime deno --compare";
    const options = optionsOf("500", ...flags.split(" "), "--", "--runs", "3", "--ec2");
    assertEquals([options.n, options.servers, options.botsRuntime], [500, ["bun"], "deno"]);
    assertEquals(options.link, { delayMs: 0.5, bitsPerSecond: 2_500_000_000 });
    assertEquals(options.compareArguments, ["--runs", "3", "--ec2"]);
    assertEquals(parseHosts(["--help"]), { does: "help" });
  });

  it("refuses what it can't do", () => {
    for (
      const args of ["many", "5 6", "--rate 5", "--rate 1tbit", "--rate 1kbit", "--delay 5", "--x"]
    ) {
      assertThrows(() => parseHosts(args.split(" ")), UsageError);
    }
    assertThrows(() => parseHosts(["5", "--", "--runs"]), UsageError, "needs --compare");
    const apart = () => parseHosts(["--apart", "9ms"]);
    assertThrows(apart, UsageError, "--machines 2 or more");
    const compare = () => parseHosts(["--machines", "2", "--compare"]);
    assertThrows(compare, UsageError, "leave --machines out");
    assertThrows(() => parseHosts(["--machines", "9"]), UsageError, "1 to 8");
  });
});
