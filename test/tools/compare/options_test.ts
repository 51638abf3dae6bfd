import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { resolve } from "node:path";
import { describe, it } from "node:test";
import { DEFAULT_ARMS } from "../../../tools/compare/arm.ts";
import { type CompareOptions, HELP, parseCommand } from "../../../tools/compare/options.ts";
import { UsageError } from "../../../cli/command_line.ts";

function options(...args: string[]): CompareOptions {
  const command = parseCommand(args);
  if (command.does !== "run") throw new TypeError(`it wants to ${command.does}`);
  return command.options;
}

describe("the comparison's command line", () => {
  it("means ten runs of both runtimes with 5,000 subscribers when it is empty", () => {
    assertEquals(options(), {
      arms: DEFAULT_ARMS,
      sizes: [5000],
      runs: 10,
      rounds: 5,
      workers: 1,
      botsRuntime: "bun",
      data: "test",
      timeoutMs: 5000,
      seed: null,
      out: null,
      json: false,
      ec2: false,
      agents: null,
    });
  });

  it("takes each flag", () => {
    const asked = options(
      ...["300", "--target", "a=x:1", "--target=b=bun", "--runs", "7", "--rounds=3"],
      ...["--workers", "2", "--bots-runtime", "deno", "--size", "3", "--timeout", "800ms"],
      ...["--seed", "0", "--out", "there", "--json", "--ec2"],
    );
    assertEquals(asked, {
      arms: [
        { name: "a", dialect: "janus", runtime: null, host: "x", port: 1 },
        { name: "b", dialect: "janus", runtime: "bun" },
      ],
      sizes: [300],
      runs: 7,
      rounds: 3,
      workers: 2,
      botsRuntime: "deno",
      data: "xxx",
      timeoutMs: 800,
      seed: 0,
      out: "there",
      json: true,
      ec2: true,
      agents: null,
    });
    for (const flag of Object.keys({ target: 0, runs: 0, rounds: 0, sweep: 0, workers: 0 })) {
      assertStringIncludes(HELP, `--${flag} `);
    }
  });

  it("takes agents, which reach only servers that run already or are on this machine", () => {
    const key = ["--key-file", "LICENSE"];
    const running = ["--target", "a=10.0.0.7:1", "--target", "b=10.0.0.7:2"];
    const far = ["--agents", "10.0.0.8:9090", ...key];
    assertEquals(options(...running, ...far).agents, {
      agents: "10.0.0.8:9090",
      keyFile: resolve("LICENSE"),
      isSecure: false,
    });
    assertEquals(options("--agents", "localhost:1,127.0.0.1:2", ...key).agents?.isSecure, false);
    for (
      const [args, says] of [
        [far, "the agent at 10.0.0.8:9090 can't reach servers that are started here"],
        [key, "--key-file is for --agents"],
        [["--agents-tls"], "--agents-tls is for --agents"],
        [["--agents", "10.0.0.8:9090"], "--agents needs --key-file"],
        [["--from", "x.json", "--agents-tls"], "--agents-tls"],
        [["--from", "x.json", ...key], "--key-file"],
      ] as const
    ) {
      assertStringIncludes(assertThrows(() => options(...args), UsageError).message, says);
    }
    assertStringIncludes(HELP, "\n  --agents HOST:PORT,...");
  });

  it("sweeps over numbers of subscribers, ascending, each once, n among them", () => {
    assertEquals(options("--sweep", "5000,100,1000").sizes, [100, 1000, 5000]);
    assertEquals(options("300", "--sweep", "100,500,100").sizes, [100, 300, 500]);
  });

  it("makes a report again, and then measures nothing", () => {
    assertEquals(parseCommand(["--from", "x/report.json", "--json"]), {
      does: "report",
      file: "x/report.json",
      options: { out: null, json: true },
    });
    for (const other of [["5"], ["--runs", "3"], ["--ec2"], ["--target", "a=x:1"]]) {
      const { message } = assertThrows(() => parseCommand(["--from", "x", ...other]), UsageError);
      assertStringIncludes(message, other[0]!);
    }
  });

  it("asks for help and version before anything else", () => {
    assertEquals(parseCommand(["--help", "nonsense"]), { does: "help" });
    assertEquals(parseCommand(["--version"]), { does: "version" });
  });

  for (
    const [args, word] of [
      [["many"], '"many"'],
      [["0"], '"0"'],
      [["5", "6"], '"6"'],
      [["--nope"], '"--nope"'],
      [["--runs", "0"], '"0"'],
      [["--sweep", "5,x"], '"x"'],
      [["--sweep", Array.from({ length: 21 }, (_, at) => at + 1).join(",")], "--sweep"],
      [["--bots-runtime", "node"], '"node"'],
      [["--seed", "4294967296"], '"4294967296"'],
      [["--timeout", "soon"], '"soon"'],
      [["--workers", "2", "--target", "a=x:1", "--target", "b=x:2"], "--workers"],
    ] as const
  ) {
    it(`refuses ${args.join(" ").slice(0, 40)}, in one line that says why`, () => {
      const { message } = assertThrows(() => parseCommand(args), UsageError);
      assertStringIncludes(message, word);
      assertEquals(message.includes("\n"), false);
    });
  }
});
