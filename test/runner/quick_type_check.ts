/**
 * Checking types in a second or two, with Bun's checker in place of Deno's.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import denoConfig from "../../deno.json" with { type: "json" };
import { findProgram, PROJECT_ROOT } from "../../cli/program.ts";

/** A command, and what it is called. */
export interface Check {
  readonly title: string;
  readonly command: readonly string[];
}

/**
 * The check of all modules as strictly as Deno's own, which knows Deno's types too. A whole test run has
 * Deno's own beside it, so that nothing hangs on both finding the same.
 *
 * @param scratch A folder for its files.
 */
export function quickTypeCheck(scratch: string): Check {
  const { stdout } = spawnSync(findProgram("deno").path, ["types"], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const denoTypes = join(scratch, "deno.d.ts");
  writeFileSync(denoTypes, stdout);
  const config = join(scratch, "tsconfig.json");
  const { types, ...strictness } = denoConfig.compilerOptions;
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(PROJECT_ROOT, "tsconfig.json"),
      compilerOptions: {
        ...strictness,
        // Both are looked for from this file's folder unless they are told.
        types: types.filter((name) => !name.startsWith(".")),
        typeRoots: [join(PROJECT_ROOT, "node_modules", "@types")],
      },
      include: [join(PROJECT_ROOT, "**", "*.ts"), denoTypes],
      exclude: denoConfig.exclude.map((name) => join(PROJECT_ROOT, name)),
    }),
  );
  return {
    title: "bun check",
    command: [findProgram("bun").path, "check", "--project", config],
  };
}
