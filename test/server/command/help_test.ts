import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { VALUE_FLAGS } from "../../../server/command/flags.ts";
import { HELP } from "../../../server/command/help.ts";

describe("the server's --help", () => {
  it("has every flag", () => {
    for (const flag of [...VALUE_FLAGS, "print-config", "version"]) {
      assertStringIncludes(HELP, `\n  --${flag} `);
    }
  });

  it("fits 80 columns", () => {
    assertEquals(HELP.split("\n").filter((line) => line.length > 80), []);
  });
});
