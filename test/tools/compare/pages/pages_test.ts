import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { hgrmText } from "../../../../tools/compare/results/hgrm.ts";
import { reportHtml } from "../../../../tools/compare/pages/html.ts";
import { reportMarkdown } from "../../../../tools/compare/pages/markdown.ts";
import { ARMS, around, runningArm, sampleReport, sampleRun } from "../sample_report.ts";

const ONE_SIZE = sampleReport({ 1000: { Deno: around(100), Bun: around(80) } });
const SWEEP = sampleReport({
  500: { Deno: around(50), Bun: around(45) },
  1000: { Deno: around(100), Bun: around(80) },
});

function occurrences(text: string, pattern: RegExp): string[] {
  return text.match(pattern) ?? [];
}

describe("the page", () => {
  const page = reportHtml(ONE_SIZE);

  it("fetches nothing, runs nothing, and leads nowhere", () => {
    for (
      const what of [/\ssrc=/, /\shref=/, /url\((?!#)/, /@import/, /<script/, /<link/, /\son\w+=/]
    ) {
      assertEquals(occurrences(page, what), [], `${what}`);
    }
    // Only the names of namespaces look like addresses.
    const addresses = new Set(occurrences(page, /https?:\/\/[^"\s<]*/g));
    assertEquals([...addresses].filter((one) => !one.startsWith("http://www.w3.org/")), []);
  });

  it("says the conclusion first", () => {
    const body = page.slice(page.indexOf("<body>"));
    const first = /<p[^>]*>([^<]*)<\/p>/.exec(body)![1]!;
    assertEquals(first, ONE_SIZE.conclusions[0]!.replaceAll('"', "&quot;"));
    assertEquals(body.indexOf(first) < body.indexOf("<svg"), true);
  });

  it("shows one drawing of each picture in each place, with a description", () => {
    const figures = occurrences(page, /<figure>[\s\S]*?<\/figure>/g);
    // Ratios, two of latencies, four of times and three of what servers use.
    assertEquals(figures.length, 10);
    for (const figure of figures) {
      const drawings = [
        ...figure.matchAll(/<div class="([\w ]+)"><svg role="img" aria-label="[^"]+"/g),
      ];
      const places = drawings.flatMap(([, places]) => places!.split(" "));
      assertEquals(places.sort(), ["middle", "narrow", "paper", "wide"]);
      assertEquals(occurrences(figure, /<svg/g).length, drawings.length);
    }
  });

  it("heads a row for each server with the metric, cuts long names, and has no empty rows", () => {
    const name = "a-server-with-quite-a-long-name";
    const report = sampleReport(
      { 9: { Deno: around(100), Bun: around(80), [name]: around(90) } },
      { arms: [...ARMS, runningArm(name)] },
    );
    const page = reportHtml(report);
    const [ratios = ""] = occurrences(page, /<figure><figcaption><h3>How they[\s\S]*?<\/figure>/g);
    const narrow = /<div class="narrow">([\s\S]*)/.exec(ratios)![1]!;
    const texts = [...narrow.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => text!);
    assertEquals(texts.filter((text) => text === "Bun").length, 7);
    assertEquals(texts.filter((text) => /^a-server-with-[\w-]*…$/.test(text)).length, 4);
    const cpu = /<h3>Server CPU[\s\S]*?<\/figure>/.exec(page)![0];
    assertEquals([cpu.includes(">Bun<"), cpu.includes(">a-server")], [true, false]);
    const table = /<div class="table results">([\s\S]*?)<\/table>/.exec(page)![1]!;
    assertEquals(occurrences(table, new RegExp(`<td class="name">${name}<`, "g")).length, 4);
    assertStringIncludes(
      page,
      "CPU and memory are measured for servers that the comparison starts",
    );
  });

  it("gives no two parts of its pictures one name", () => {
    const ids = occurrences(page, /\bid="[^"]*"/g);
    assertEquals(new Set(ids).size, ids.length);
    for (const reference of occurrences(page, /url\(#[^)]*\)/g)) {
      assertStringIncludes(page, `id="${reference.slice(5, -1)}"`);
    }
  });

  it("is the same for the same report, whatever was drawn before", () => {
    assertEquals(reportHtml(ONE_SIZE), page);
  });

  it("takes all colours of its pictures from the theme, of which there is one for the dark", () => {
    const svgs = page.slice(page.indexOf("<svg"));
    const colors = occurrences(svgs, /(?:fill|stroke)="[^"]*"/g);
    assertEquals(
      colors.filter((one) => !/="(?:none|transparent|var\(--[\w-]+\)|#000)"/.test(one)),
      [],
    );
    // Clip paths are black, but not visible.
    for (const path of occurrences(svgs, /<path[^>]*fill="#000"[^>]*>/g)) {
      assertMatch(svgs, new RegExp(`<clipPath[^>]*>\\s*${path.replace(/[()[\].]/g, "\\$&")}`));
    }
    const style = /<style>([\s\S]*?)<\/style>/.exec(page)![1]!;
    assertStringIncludes(style, "prefers-color-scheme: dark");
    for (const name of new Set(occurrences(page, /var\(--[\w-]+\)/g))) {
      const definitions = style.split(`${name.slice(4, -1)}:`).length - 1;
      assertEquals([name, definitions], [name, 2]);
    }
  });

  it("shows what the system says of itself as text, whatever it is", () => {
    assertStringIncludes(page, "a &lt;fast&gt; CPU");
    assertEquals(page.includes("<fast>"), false);
  });

  it("has a row for each metric and server, and marks the better ones", () => {
    const table = /<div class="table results">([\s\S]*?)<\/table>/.exec(page)![1]!;
    assertEquals(occurrences(table, /<tr/g).length, 15);
    assertEquals(occurrences(table, /<span class="good">faster<\/span>/g).length, 4);
    assertEquals(occurrences(table, /<span class="bad">/g).length, 0);
  });

  it("has the latency over the number of subscribers where there are several", () => {
    assertEquals(page.includes("Over the number of subscribers"), false);
    const swept = reportHtml(SWEEP);
    assertStringIncludes(swept, "Over the number of subscribers");
    assertEquals(swept.indexOf("<h2>1,000 subs") < swept.indexOf("<h2>500 subs"), true);
    assertStringIncludes(swept, SWEEP.sizes[0]!.conclusions[0]!);
  });

  it("can be made of next to nothing", () => {
    const invalid = sampleRun({ run: 1, arm: "Bun", n: 7, max: 1, valid: false });
    const nothing = reportHtml(sampleReport({ 7: { Deno: [], Bun: [] } }, { extra: [invalid] }));
    assertEquals(occurrences(nothing, /<figure>/g).length, 0);
    assertStringIncludes(nothing, "there is no valid run of Deno or Bun");
    const little = reportHtml(sampleReport({ 7: { Deno: [1], Bun: [2, 3] } }));
    assertEquals(occurrences(little, /NaN|undefined|Infinity/g), []);
    assertEquals(occurrences(page + reportHtml(SWEEP), /NaN|undefined|Infinity/g), []);
  });
});

describe("the Markdown", () => {
  const text = reportMarkdown(SWEEP);

  it("has the conclusion first, and the same table as the terminal", () => {
    const lines = text.split("\n");
    assertEquals(lines.slice(0, 3), [
      "# Deno and Bun compared",
      "",
      `- **${SWEEP.conclusions[0]}**`,
    ]);
    const at = lines.indexOf("## 1,000 subscribers");
    assertEquals(lines.slice(at + 2, at + 6), [
      "|  | server | median | 95 % interval | against Deno | 95 % interval | verdict |",
      "| --- | --- | ---: | ---: | ---: | ---: | --- |",
      "| last subscriber, ms | Deno | 100 | 98.0 to 102 |  |  |  |",
      "|  | Bun | 80.0 | 78.4 to 81.6 | 0.80 × | 0.78 to 0.82 | faster |",
    ]);
  });

  it("lets nothing that was recorded become markup", () => {
    assertStringIncludes(text, "| CPU | a \\<fast\\> CPU, 2 threads |");
    assertStringIncludes(text, "| tcp\\_mem |");
  });

  it("has a table for each number of subscribers, the environment and the method", () => {
    for (const heading of ["500 subscribers", "1,000 subscribers", "Environment", "Method"]) {
      assertStringIncludes(text, `\n## ${heading}\n`);
    }
  });
});

describe("the histogram file", () => {
  it("is what HdrHistogram's plotter reads, in milliseconds", () => {
    const lines = hgrmText(Float64Array.from({ length: 1000 }, (_, at) => (at + 1) / 10)).split(
      "\n",
    );
    assertMatch(lines[0]!, /^ +Value +Percentile +TotalCount +1\/\(1-Percentile\)$/);
    const rows = lines.filter((line) => /^ +\d/.test(line)).map((line) => line.trim().split(/ +/));
    assertEquals(rows.at(-1)!.slice(1), ["1.000000000000", "1000"]);
    const half = rows.find(([, percentile]) => percentile === "0.500000000000")!;
    assertEquals(Math.abs(Number(half[0]) - 50) < 0.1, true, half[0]!);
    assertEquals(Math.abs(Number(rows.at(-1)![0]) - 100) < 0.2, true);
  });
});
