import { assertEquals, assertGreaterOrEqual, assertStringIncludes } from "@std/assert";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { reportHtml } from "../../../../tools/compare/pages/html.ts";
import { reportMarkdown } from "../../../../tools/compare/pages/markdown.ts";
import { remakeReport } from "../../../../tools/compare/results/remake_report.ts";
import { PROJECT_ROOT } from "../../../../cli/program.ts";
import { PATIENCE } from "../comparison.ts";

const FOLDER = "docs/reports";

/** The README without its line breaks and the marks of quotations. */
const README = readFileSync(join(PROJECT_ROOT, "README.md"), "utf8").replace(/\n(?:> )?/g, " ");

for (const name of readdirSync(join(PROJECT_ROOT, FOLDER))) {
  describe(`the published report ${name}`, () => {
    const read = (file: string) => readFileSync(join(PROJECT_ROOT, FOLDER, name, file), "utf8");
    const report = remakeReport(join(PROJECT_ROOT, FOLDER, name, "report.json"));

    // Where one fails because reports look otherwise now: deno task compare --from .../report.json
    it("says what its own runs say", PATIENCE, () => {
      assertEquals(JSON.stringify(report) + "\n", read("report.json"));
      assertEquals(reportMarkdown(report), read("report.md"));
      assertEquals(reportHtml(report), read("report.html"));
    });

    it("has ten valid runs of each", () => {
      for (const { valid_runs } of report.sizes.at(-1)!.arms) assertGreaterOrEqual(valid_runs, 10);
    });

    it("is quoted by the README, with the command that made it", () => {
      for (const conclusion of report.conclusions) assertStringIncludes(README, `${conclusion} `);
      assertStringIncludes(README, `\`deno task ${report.environment.command_line.join(" ")}\``);
      assertStringIncludes(README, `](${FOLDER}/${name}/report.md)`);
      const [headline] = report.conclusions[0]!.split(",");
      assertStringIncludes(README, `![${headline}`);
      assertStringIncludes(README, `](${FOLDER}/${name}/report.png)`);
    });
  });
}
