import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "node:test";
import { coverageText, LineCoverage, parseBunLines, parseLcov } from "./line_coverage.ts";

const ROOT = "/copy";

function lcov(path: string, hits: readonly (readonly [number, number])[]): string {
  return `SF:${path}\n${
    hits.map(([line, times]) => `DA:${line},${times}\n`).join("")
  }end_of_record\n`;
}

describe("which lines ran", () => {
  it("are those that ran in some process, and in no test", () => {
    const coverage = new LineCoverage();
    const first = [[1, 1], [2, 0], [3, 0], [5, 0]] as const;
    const second = [[1, 0], [2, 7], [3, 0], [5, 0]] as const;
    for (const hits of [first, second]) parseLcov(lcov("/copy/server/a.ts", hits), ROOT, coverage);
    for (const path of ["/copy/test/a_test.ts", "/elsewhere/b.ts", "/copy/node_modules/c.ts"]) {
      parseLcov(lcov(path, first), ROOT, coverage);
    }
    assertEquals(coverage.paths, ["server/a.ts"]);
    assertEquals(coverage.percentOf(["server/a.ts"]), 50);
    assertEquals(coverage.missedOf("server/a.ts"), "3,5");
    assertEquals(coverage.percentOf(["server/none.ts"]), null);
  });

  it("are told by Bun as those that didn't", () => {
    const coverage = new LineCoverage();
    const all =
      " /copy/server/a.ts |  50.00 |  60.00 | 3-5,9\n /copy/server/b.ts | 100.00 | 100.00 | ";
    parseBunLines(all, ROOT, coverage);
    parseBunLines(" /copy/server/a.ts |  50.00 |  70.00 | 4-5,8", ROOT, coverage);
    assertEquals(coverage.percentOf(["server/a.ts"]), 80);
    assertEquals(coverage.missedOf("server/a.ts"), "4-5");
    assertEquals(coverage.percentOf(["server/b.ts"]), null);
    const deno = new LineCoverage();
    parseLcov(lcov("/copy/server/b.ts", [[1, 1], [2, 1]]), ROOT, deno);
    const text = coverageText({ deno, bun: coverage });
    assertMatch(text, /^server +100\.0 +83\.3$/m);
    assertMatch(text, /^server\/a\.ts +- +80\.0\n {2}Deno missed none\n {2}Bun missed 4-5$/m);
  });
});
