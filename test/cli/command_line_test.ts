import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { CommandLine, UsageError } from "../../cli/command_line.ts";

describe("a command line", () => {
  it("can ask any command for help, and for its version", () => {
    assertEquals(new CommandLine(["--help"], []).question, { does: "help" });
    assertEquals(new CommandLine(["5", "--version"], []).question, { does: "version" });
    assertEquals(new CommandLine(["--version", "--help"], []).question, { does: "help" });
    assertEquals(new CommandLine(["-h"], ["host"]).question, { does: "help" });
    assertEquals(new CommandLine(["5"], []).question, undefined);
  });

  it("takes a lone dash for the value of the flag before it", () => {
    const line = new CommandLine(["5", "--json", "-", "--fast"], ["json"], ["fast"]);
    assertEquals([line.positionals, line.text("json"), line.has("fast")], [["5"], "-", true]);
    assertEquals(new CommandLine(["--fast", "-"], [], ["fast"]).positionals, ["-"]);
  });

  it("says which flag has an empty value, and takes an empty argument for one", () => {
    for (const args of [["--json", "", "5"], ["--json=", "5"]]) {
      const line = new CommandLine(args, ["json"]);
      assertEquals(line.positionals, ["5"]);
      assertThrows(() => line.text("json"), UsageError, "--json needs a value; see --help");
    }
    assertEquals(new CommandLine(["", "5"], ["json"]).positionals, ["", "5"]);
  });

  it("says which flag takes no value, and has one", () => {
    const make = (...args: string[]) => new CommandLine(args, ["json"], ["fast"]);
    assertThrows(() => make("--fast=5"), UsageError, '--fast takes no value, not "5"');
    assertThrows(() => make("--fast="), UsageError, '--fast takes no value, not ""');
    assertThrows(() => make("--version=1"), UsageError, '--version takes no value, not "1"');
    assertEquals(make("--", "--fast=5").positionals, ["--fast=5"]);
    assertEquals(make("--json=--fast=5").text("json"), "--fast=5");
  });

  it("takes a time in milliseconds, seconds, minutes or hours", () => {
    const time = (text: string) => new CommandLine(["--time", text], ["time"]).duration("time");
    const times = ["800ms", "5s", "1.5s", "5m", "0.5m", "1h", "24h", "1440m"].map(time);
    assertEquals(times, [800, 5000, 1500, 300_000, 30_000, 3_600_000, 86_400_000, 86_400_000]);
    for (const text of ["5", "0m", "25h", "1441m", "1d", "1m30s", "5 m", "m", "1H"]) {
      const error = assertThrows(() => time(text), UsageError, "--time must be a time");
      assertEquals(error.message.includes(JSON.stringify(text)), true, error.message);
      assertEquals(error.message.includes("5m or 1h"), true, error.message);
    }
  });

  it("takes a negative number for a value, and for an argument, not for a flag", () => {
    const line = new CommandLine(["-5", "--port", "-1", "6", "--rate=-.5"], ["port", "rate"]);
    assertEquals(line.positionals, ["-5", "6"]);
    assertEquals(line.text("rate"), "-.5");
    assertThrows(
      () => line.number("port", 0, 9),
      UsageError,
      '--port must be a whole number from 0 to 9, not "-1"',
    );
  });

  it("names the flag that one which doesn't exist is nearest to", () => {
    const refusal = (arg: string) => {
      const flags = ["port", "host", "max-connections", "max-connections-per-ip"];
      return assertThrows(() => new CommandLine([arg], flags, ["tls"]), UsageError).message;
    };
    for (
      const [typed, meant] of [
        ["--prot", "port"],
        ["--prot=8081", "port"],
        ["-port", "port"],
        ["--tsl", "tls"],
        ["--max-conections", "max-connections"],
        ["--max-conn", "max-connections"],
        ["--MAX_CONNECTIONS", "max-connections"],
        ["--maxConnectionsPerIp", "max-connections-per-ip"],
        ["--PORT", "port"],
        ["--hepl", "help"],
      ] as const
    ) {
      const flag = typed.split("=")[0];
      assertEquals(refusal(typed), `there is no flag "${flag}"; did you mean --${meant}?`);
    }
    for (const typed of ["--colour", "-p", "--x"]) {
      assertEquals(refusal(typed), `there is no flag "${typed}"; see --help`);
    }
  });

  it("says which argument is one too many, and what there may be", () => {
    const line = new CommandLine(["5", "six", "7"], []);
    assertEquals(line.upTo(3, "three are all"), ["5", "six", "7"]);
    assertThrows(
      () => line.upTo(1, "n is all"),
      UsageError,
      '"six" is one argument too many: n is all; see --help',
    );
  });
});
