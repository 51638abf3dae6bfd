import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { HELP } from "../../../bots/run/help.ts";
import { type BotsOptions, parseCommand } from "../../../bots/run/options.ts";
import { UsageError } from "../../../cli/command_line.ts";

function options(...args: string[]): BotsOptions {
  const command = parseCommand(args);
  if (command.does !== "run") throw new TypeError(`it wants to ${command.does}`);
  return command.options;
}

describe("the bots' command line", () => {
  it("means one bot at localhost 8081 when it is empty", () => {
    assertEquals(options(), {
      n: 1,
      dialect: "janus",
      host: "localhost",
      port: 8081,
      tls: null,
      keys: [],
      rounds: 1,
      topic: "events",
      data: "test",
      timeoutMs: 5000,
      retries: 20,
      processes: "auto",
      spread: "auto",
      sloMs: null,
      json: null,
      isVerbose: false,
      agents: null,
    });
  });

  it("takes what a storm needs, and refuses it elsewhere", () => {
    const command = parseCommand([
      ...["9", "--storm", "--resume", "--cut", "--every", "5ms", "--size", "100"],
      ...["--admin", "http://127.0.0.1:8082/"],
    ]);
    if (command.does !== "storm") throw new TypeError(`it wants to ${command.does}`);
    assertEquals(command.storm, {
      cuts: true,
      resumes: true,
      everyMs: 5,
      admin: { url: "http://127.0.0.1:8082", key: null },
    });
    assertEquals([command.options.rounds, command.options.data.length], [100, 100]);
    for (
      const [args, says] of [
        [["--resume"], "--resume is for --storm; give that too"],
        [["--cut"], "--cut is for --storm; give that too"],
        [["--admin", "http://x"], "--admin is for --storm; give that too"],
        [["--storm", "--every", "1s"], "--every is for --resume; give that too"],
        [["--storm", "--resume", "--slo", "1s"], "--slo is for a run without --storm; leave"],
        [["--storm", "--admin", "8082"], "--admin must be the address of an admin port, such as"],
        [["--storm", "--admin-key-file", "f"], "--admin-key-file is for --admin; give that too"],
      ] as const
    ) {
      assertStringIncludes(assertThrows(() => parseCommand(args), UsageError).message, says);
    }
    const rival = ["5", "nats://x", "--storm", "--resume"];
    assertStringIncludes(assertThrows(() => parseCommand(rival), UsageError).message, "for Janus");
  });

  it("takes n, host and port in that order, among the flags", () => {
    const { n, host, port } = options("20000", "--rounds", "3", "10.0.0.7", "8082");
    assertEquals([n, host, port], [20000, "10.0.0.7", 8082]);
    assertEquals(options("7", "2130706433").host, "2130706433");
  });

  it("takes host and port as one, and an IPv6 address in brackets or without", () => {
    const place = (...args: string[]) => {
      const { host, port } = options("10", ...args);
      return [host, port];
    };
    assertEquals(place("127.0.0.1:8082"), ["127.0.0.1", 8082]);
    assertEquals(place("example.org:80"), ["example.org", 80]);
    assertEquals(place("[::1]:8083"), ["::1", 8083]);
    assertEquals([place("[::1]"), place("::1")], [["::1", 8081], ["::1", 8081]]);
    assertEquals(place("::1", "8084"), ["::1", 8084]);
    const error = assertThrows(() => options("10", "127.0.0.1:8081", "8082"), UsageError);
    assertStringIncludes(error.message, 'the port stands in "127.0.0.1:8081" already');
  });

  it("takes the URL of a server that speaks another protocol for the host", () => {
    const { dialect, host, port } = options("5", "nats://10.0.0.7:4223");
    assertEquals([dialect, host, port], ["nats", "10.0.0.7", 4223]);
    assertEquals([options("5", "redis://x").port, options("5", "nats://x", "9").port], [6379, 9]);
    for (const args of [["http://x"], ["nats://x:1", "2"], ["nats://x", "--topic", "a.>"]]) {
      assertThrows(() => parseCommand(["5", ...args]), UsageError);
    }
  });

  it("takes each flag, with its value behind a blank or an equals sign", () => {
    const separate = options(
      ...["--rounds", "5", "--topic", "news", "--data", "hello", "--timeout", "800ms"],
      ...[
        "--retries",
        "7",
        "--processes",
        "3",
        "--spread",
        "4",
        "--slo",
        "1.5s",
        "--json",
        "out.json",
      ],
      ...["9", "127.0.0.1"],
    );
    assertEquals(separate, {
      n: 9,
      dialect: "janus",
      host: "127.0.0.1",
      port: 8081,
      tls: null,
      keys: [],
      rounds: 5,
      topic: "news",
      data: "hello",
      timeoutMs: 800,
      retries: 7,
      processes: 3,
      spread: 4,
      sloMs: 1500,
      json: "out.json",
      isVerbose: false,
      agents: null,
    });
    const joined = options(
      ...["--rounds=5", "--topic=news", "--data=hello", "--timeout=800ms", "--processes=3"],
      "--retries=7",
      ...["--spread=4", "--slo=1.5s", "--json=out.json", "9", "127.0.0.1"],
    );
    assertEquals(joined, separate);
  });

  it("takes keys, more than one, and from files too", () => {
    const folder = mkdtempSync(join(tmpdir(), "hotwheels-keys-"));
    try {
      const file = join(folder, "keys");
      writeFileSync(file, "\n  from a file \nanother\n");
      const { keys } = options("--key", "a", "--key-file", file, "--key=b");
      assertEquals(keys, ["a", "b", "from a file"]);
    } finally {
      rmSync(folder, { recursive: true });
    }
    const wrong = [["--key", "k", "5", "redis://x"], ["--key", "k".repeat(2000)]];
    for (const args of wrong) assertThrows(() => parseCommand(args), UsageError, "key");
  });

  it("lets bots try again as often as it says, or for ever", () => {
    const retries = (text: string) => options("--retries", text).retries;
    assertEquals([retries("0"), retries("1000000"), retries("forever")], [0, 1_000_000, "forever"]);
  });

  it("writes the report to standard output for a dash", () => {
    assertEquals(options("--json", "-").json, "-");
    assertEquals(options("--json=-", "5").n, 5);
    assertEquals(options("5", "--json", "-", "host").host, "host");
  });

  it("says everything where it's asked to", () => {
    assertEquals(options("--verbose", "5").isVerbose, true);
  });

  it("makes data of a size", () => {
    assertEquals(options("--size", "1000").data, "x".repeat(1000));
  });

  it("has help that names every flag, and a version", () => {
    assertEquals(parseCommand(["--help"]), { does: "help" });
    assertEquals(parseCommand(["5", "--version"]), { does: "version" });
    const flags = [
      "rounds",
      "topic",
      "data",
      "size",
      "timeout",
      "retries",
      "key",
      "key-file",
      "processes",
      "spread",
      "slo",
    ];
    for (const flag of [...flags, "json", "verbose", "version"]) {
      assertStringIncludes(HELP, `\n  --${flag} `);
    }
    assertStringIncludes(HELP, "\n  -h, --help ");
    assertEquals(HELP.split("\n").filter((line) => line.length > 80), []);
  });

  const mistakes: readonly (readonly [args: string[], says: string])[] = [
    [["0"], '"0"'],
    [["ten"], '"ten"'],
    [["1.5"], '"1.5"'],
    [["1e3"], '"1e3"'],
    [["1000001"], "1000001"],
    [["-5"], '"-5"'],
    [["5", "local host"], '"local host"'],
    [["5", "http://h"], '"http://h"'],
    [["5", "h:0"], '"h:0"'],
    [["5", "h:many"], '"many"'],
    [["5", "::1:h"], '"::1:h"'],
    [["5", "h", "0"], '"0"'],
    [["5", "h", "65536"], '"65536"'],
    [["5", "h", "1", "more"], '"more"'],
    [["--round", "5"], '"--round"'],
    [["-n", "5"], '"-n"'],
    [["--rounds", "0"], '"0"'],
    [["--rounds"], "--rounds"],
    [["--rounds", "2", "--rounds", "3"], "2 times"],
    [["--topic", "x".repeat(257)], "longer than 256"],
    [["--data", "a", "--size", "5"], "exclude"],
    [["--size", "0"], '"0"'],
    [["--timeout", "5"], '"5"'],
    [["--timeout", "0s"], '"0s"'],
    [["--timeout", "5 s"], '"5 s"'],
    [["--slo", "fast"], '"fast"'],
    [["--retries", "ever"], "a number or forever"],
    [["--retries", "1000001"], "1000001"],
    [["--processes", "0"], '"0"'],
    [["--processes", "many"], '"many"'],
    [["--spread", "255"], '"255"'],
    [["--spread", "2", "5", "10.0.0.1"], '"10.0.0.1"'],
    [["--spread", "200", "5", "127.0.0.100"], '"127.0.0.100"'],
    [["-"], '"-"'],
  ];
  for (const [args, says] of mistakes) {
    it(`refuses ${args.map((arg) => arg.slice(0, 20)).join(" ")}, in one line that says why`, () => {
      const error = assertThrows(() => parseCommand(args), UsageError);
      assertStringIncludes(error.message, says);
      assertEquals(error.message.includes("\n"), false);
    });
  }
});
