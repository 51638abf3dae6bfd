import { assertEquals } from "@std/assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { tallyOf } from "./tally.ts";

function tally(cases: string, succeeded = true) {
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-tally-"));
  try {
    const report = join(folder, "report.xml");
    writeFileSync(report, `<testsuites><testsuite>${cases}</testsuite></testsuites>`);
    return tallyOf(report, succeeded);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("a tally", () => {
  it("counts tests, and no groups of them", () => {
    const cases = [
      `<testcase name="a"></testcase>`,
      `<testcase name="a &gt; b" time="1"/>`,
      `<testcase name="a &gt; c"><skipped/></testcase>`,
    ];
    assertEquals(tally(cases.join("\n")), { passed: 1, skipped: 1, failed: [] });
  });

  it("says why a test failed, and where, in as many lines as a person reads", () => {
    const trace = Array.from({ length: 100 }, (_, i) => `    at line ${i}`);
    const text = ["Error: 1 &lt; 2", "", ...trace].join("\n");
    const { failed } = tally(
      `<testcase name="x"><failure message="Error: 1 &lt; 2">${text}</failure></testcase>`,
      false,
    );
    assertEquals(failed, [{ name: "x", lines: ["Error: 1 < 2", ...trace.slice(0, 23)] }]);
  });

  it("counts a run that failed without a test", () => {
    assertEquals(tally("", false).failed, [{ name: "the run itself", lines: [] }]);
  });
});
