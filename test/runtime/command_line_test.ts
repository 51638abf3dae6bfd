import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { CommandLine, UsageError } from "../../runtime/command_line.ts";

describe("a command line", () => {
  it("can ask any command for help, and for its version", () => {
    assertEquals(new CommandLine(["--help"], []).question, { does: "help" });
    assertEquals(new CommandLine(["5", "--version"], []).question, { does: "version" });
    assertEquals(new CommandLine(["--version", "--help"], []).question, { does: "help" });
    assertEquals(new CommandLine(["5"], []).question, undefined);
  });

  it("takes a lone dash for the value of the flag before it", () => {
    const line = new CommandLine(["5", "--json", "-", "--fast"], ["json"], ["fast"]);
    assertEquals([line.positionals, line.text("json"), line.has("fast")], [["5"], "-", true]);
    assertEquals(new CommandLine(["--fast", "-"], [], ["fast"]).positionals, ["-"]);
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
