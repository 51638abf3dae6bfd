/**
 * Counting the tests of a run by its JUnit report.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";

/** More lines of a failure are no news: the message stands at its beginning, its place next to it. */
const MAX_FAILURE_LINES = 24;

/** A test that failed. */
export interface Failure {
  readonly name: string;
  /** The message, and where it was thrown; empty where the report has none. */
  readonly lines: readonly string[];
}

/** The numbers of a run's tests, and the failures. */
export interface Tally {
  readonly passed: number;
  readonly skipped: number;
  readonly failed: readonly Failure[];
}

interface TestCase {
  readonly name: string;
  readonly outcome: "passed" | "skipped" | "failed";
  /** The report's text of a failure. */
  readonly failure: string;
}

/**
 * Counts a report's test cases. Deno lists a group beside its tests; a group counts only where it failed
 * by itself, in a hook.
 *
 * @param report The report's file, which a run that couldn't load a test file may not have written.
 * @param succeeded Whether the run says so itself.
 */
export function tallyOf(report: string, succeeded: boolean): Tally {
  const cases = existsSync(report) ? casesOf(readFileSync(report, "utf8")) : [];
  const failedNames = cases.filter(({ outcome }) => outcome === "failed").map(({ name }) => name);
  const names = cases.map(({ name }) => name).sort();
  const counted = cases.filter(({ name, outcome }) => {
    const prefix = `${name} > `;
    // Sorted names put a group right before some name that begins with it.
    if (!hasPrefixed(names, prefix)) return true;
    return outcome === "failed" && !failedNames.some((other) => other.startsWith(prefix));
  });
  const count = (wanted: TestCase["outcome"]) =>
    counted.filter(({ outcome }) => outcome === wanted).length;
  const failed = counted.filter(({ outcome }) => outcome === "failed")
    .map(({ name, failure }) => ({ name, lines: linesOf(failure) }));
  // A file that can't be loaded fails the run without a test case.
  if (!succeeded && failed.length === 0) failed.push({ name: "the run itself", lines: [] });
  return { passed: count("passed"), skipped: count("skipped"), failed };
}

function casesOf(xml: string): TestCase[] {
  return [...xml.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g)]
    .map(([, name = "", body = ""]) => ({
      name: unescape(name),
      outcome: /<(failure|error)\b/.test(body)
        ? "failed"
        : /<skipped\b/.test(body)
        ? "skipped"
        : "passed",
      failure: unescape(/<(?:failure|error)\b[^>]*>([\s\S]*?)<\//.exec(body)?.[1] ?? ""),
    }));
}

function linesOf(failure: string): string[] {
  return failure.split("\n").filter((line) => line.trim() !== "").slice(0, MAX_FAILURE_LINES);
}

const ENTITIES: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  amp: "&",
};

function unescape(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    return String.fromCodePoint(decimal === undefined ? parseInt(hex, 16) : Number(decimal));
  });
}

function hasPrefixed(sortedNames: readonly string[], prefix: string): boolean {
  let low = 0;
  let high = sortedNames.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sortedNames[middle] as string) < prefix) low = middle + 1;
    else high = middle;
  }
  return sortedNames[low]?.startsWith(prefix) ?? false;
}
