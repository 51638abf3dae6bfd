/**
 * A copy of this checkout whose processes count the lines that they run. Those that tests start get the
 * variables that make them count, although little else of the environment is passed on.
 *
 * @module
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The folder where processes leave their counts. */
export interface Counts {
  readonly deno: string;
  readonly bun: string;
}

/** The place where a child's environment is made, and the text that is inserted there. */
const PLACES = [
  // Workers start elsewhere than in the project's folder, where Bun finds its settings.
  {
    text: "env: runtimeEnvironment(isDeno),",
    start: "env: { ...runtimeEnvironment(isDeno), ",
    preloads: true,
  },
  {
    text: 'return { PATH: process.env["PATH"], HOME: process.env["HOME"] };',
    start: 'return { PATH: process.env["PATH"], HOME: process.env["HOME"], ',
    preloads: false,
  },
  {
    text: 'env: { PATH: process.env["PATH"], HOME: process.env["HOME"], NO_COLOR: "1" },',
    start: 'env: { PATH: process.env["PATH"], HOME: process.env["HOME"], NO_COLOR: "1", ',
    preloads: false,
  },
];

/**
 * Changes a copy so.
 *
 * @param root The copy's folder.
 * @returns The variables of those who start its processes first.
 * @throws {Error} if a child's environment isn't made where it was.
 */
export function countInChildren(root: string, counts: Counts): Readonly<Record<string, string>> {
  const preload = join(root, "test", "runner", "bun_counter.ts");
  const variables = {
    DENO_COVERAGE_DIR: counts.deno,
    BUN_JSC_useControlFlowProfiler: "1",
    BUN_LINE_COUNTS: counts.bun,
  };
  const preloading = { ...variables, BUN_OPTIONS: `--preload=${preload}` };
  const sources = readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.includes("node_modules/"))
    .filter((path) => !path.endsWith("counted_copy.ts"))
    .map((path) => ({ path: join(root, path), text: readFileSync(join(root, path), "utf8") }));
  for (const { text, start, preloads } of PLACES) {
    const found = sources.filter((source) => source.text.includes(text));
    if (found.length !== 1) throw new Error(`${found.length} files have ${text}`);
    const added = JSON.stringify(preloads ? preloading : variables).slice(1, -1);
    const end = text.startsWith("return") ? "};" : "},";
    writeFileSync(found[0]!.path, found[0]!.text.replace(text, () => start + added + end));
  }
  const settings = join(root, "bunfig.toml");
  const own = `preload = ["${preload}"]`;
  writeFileSync(settings, `${own}\n${readFileSync(settings, "utf8")}${own}\n`);
  return variables;
}
