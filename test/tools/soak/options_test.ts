import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { HELP, parseCommand, type SoakOptions } from "../../../tools/soak/options.ts";
import { UsageError } from "../../../cli/command_line.ts";

function options(...args: string[]): SoakOptions {
  const command = parseCommand(args);
  if (command.does !== "run") throw new TypeError(`it wants to ${command.does}`);
  return command.options;
}

const DEFAULTS: SoakOptions = {
  runtimes: ["deno", "bun"],
  target: null,
  durationMs: 600_000,
  workers: 2,
  members: 1,
  profiles: ["open", "locked", "tight"],
  killEveryMs: 60_000,
  chaosEveryMs: null,
  subscribers: 200,
  latency: { p99Ms: 2_000, maxMs: 10_000 },
  maxMemoryBytes: 3 * 256 * 1024 * 1024,
  only: "",
  seed: null,
  json: null,
};

describe("the soak's command line", () => {
  it("means ten minutes each of both runtimes when it is empty", () => {
    assertEquals(options(), DEFAULTS);
  });

  it("takes each flag", () => {
    const flags = [
      ...["--minutes", "0.5", "--runtime=bun", "--workers", "3", "--kill-every", "20s"],
      ...["--door", "tight,locked", "--attack", "drip"],
      ...["--max-p99", "300ms", "--max-latency", "4s", "--max-memory", "500000000"],
      ...["--subscribers", "10", "--seed", "0", "--json", "-"],
    ];
    assertEquals(options(...flags), {
      runtimes: ["bun"],
      target: null,
      durationMs: 30_000,
      workers: 3,
      members: 1,
      profiles: ["locked", "tight"],
      killEveryMs: 20_000,
      chaosEveryMs: null,
      subscribers: 10,
      latency: { p99Ms: 300, maxMs: 4_000 },
      maxMemoryBytes: 500_000_000,
      only: "drip",
      seed: 0,
      json: "-",
    });
  });

  it("strikes in every way instead of killing, where that is asked", () => {
    assertEquals(options("--workers", "3", "--chaos-every", "20s"), {
      ...DEFAULTS,
      workers: 3,
      maxMemoryBytes: 4 * 256 * 1024 * 1024,
      killEveryMs: null,
      chaosEveryMs: 20_000,
    });
  });

  it("kills no worker that is the only one, or another's", () => {
    assertEquals(options("--workers", "1"), {
      ...DEFAULTS,
      workers: 1,
      maxMemoryBytes: 2 * 256 * 1024 * 1024,
      killEveryMs: null,
    });
    assertEquals(options("--target", "[::1]:7"), {
      ...DEFAULTS,
      runtimes: [],
      target: { host: "::1", port: 7 },
      profiles: ["open"],
      killEveryMs: null,
    });
  });

  it("kills members of a cluster of servers with one worker each, too, and attacks behind one door", () => {
    assertEquals(options("--members", "2", "--workers", "1"), {
      ...DEFAULTS,
      members: 2,
      workers: 1,
      profiles: ["open"],
      maxMemoryBytes: (2 * 256 + 512) * 1024 * 1024,
    });
    assertEquals(options("--members", "2", "--door", "tight,locked").profiles, ["locked", "tight"]);
  });

  it("names the value and the remedy where it doesn't understand", () => {
    const wrong: [args: string[], ...words: string[]][] = [
      [["10"], '"10"', "only flags"],
      [["--minutes", "0"], "--minutes", '"0"'],
      [["--minutes", "ten"], "--minutes", '"ten"'],
      [["--runtime", "node"], "--runtime", "deno, bun"],
      [["--workers", "0"], "--workers", '"0"'],
      [["--workers", "1", "--kill-every", "60s"], "--kill-every", "--workers 2"],
      [["--kill-every", "10s"], "--kill-every 10s", "at least 20s"],
      [["--workers", "1", "--chaos-every", "20s"], "--chaos-every", "--workers 2"],
      [["--chaos-every", "4s"], "--chaos-every 4s", "at least 5s"],
      [["--chaos-every", "20s", "--kill-every", "20s"], "--chaos-every", "--kill-every"],
      [["--target", "host:1", "--chaos-every", "20s"], "--chaos-every", "--target"],
      [["--target", "host"], "--target", "host:port"],
      [["--target", "host:0"], "the port of", "65535"],
      [["--target", "host:1", "--workers", "2"], "--workers", "--target"],
      [["--target", "host:1", "--members", "2"], "--members", "--target"],
      [["--members", "5"], "--members", '"5"'],
      [["--target", "host:1", "--door", "open"], "--door", "--target"],
      [["--target", "host:1", "--max-memory", "1"], "--max-memory", "--target"],
      [["--attack", "nothing like it"], "--attack", '"nothing like it"'],
      [["--max-p99", "soon"], "--max-p99", '"soon"'],
      [["--door", "ajar"], "--door", "open, locked"],
      [["--subscribers=-1"], "--subscribers"],
    ];
    for (const [args, ...words] of wrong) {
      const { message } = assertThrows(() => parseCommand(args), UsageError) as UsageError;
      for (const word of words) assertStringIncludes(message, word);
    }
  });

  it("explains each flag", () => {
    assertEquals(parseCommand(["--help"]), { does: "help" });
    assertEquals(parseCommand(["--version"]), { does: "version" });
    const flags = ["minutes", "runtime", "target", "workers", "kill-every", "chaos-every"];
    const more = ["subscribers", "seed", "json", "attack", "max-p99", "max-latency", "max-memory"];
    for (const flag of [...flags, ...more, "door"]) assertStringIncludes(HELP, `--${flag} `);
    assertEquals(HELP.split("\n").filter((line) => line.length > 80), []);
  });
});
