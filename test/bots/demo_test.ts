import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { runCommand } from "../support/fixture.ts";

const root = fileURLToPath(import.meta.resolve("../../"));

function demo(...args: string[]) {
  const [program, ...rest] = [...runCommand, "bots/demo.ts", ...args];
  return spawnSync(program!, rest, { cwd: root, encoding: "utf8" });
}

describe("the demo", () => {
  it("shows both runtimes' servers, compares them and ends", { timeout: 120_000 }, () => {
    const { status, stdout } = demo("100");
    assertEquals(status, 0);
    assertMatch(
      stdout,
      /^--- deno \d+\.\d+\.\d+: 100 bots\n\nverdict: [^]+?\nsetup: .*, n: 100, good: 100, bad: 0,/,
    );
    assertMatch(
      stdout,
      /\n--- bun \d+\.\d+\.\d+: 100 bots\n\nverdict: [^]+?\nsetup: .*, n: 100, good: 100, bad: 0,/,
    );
    assertMatch(
      stdout,
      /\n100 bots, one message each: deno reached .* bun reached .*: (deno|bun) was \d+\.\d\d times as fast, this once\n$/,
    );
  });

  it("refuses what it doesn't understand", { timeout: 60_000 }, () => {
    for (const args of [["0"], ["some"], ["1", "2"], ["--fast"]]) {
      const { status, stdout, stderr } = demo(...args);
      assertEquals([status, stdout], [2, ""]);
      assertMatch(stderr, /^demo: .*\n$/);
      assertStringIncludes(stderr, args.at(-1)!);
    }
  });
});
