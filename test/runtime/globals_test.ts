import { assertEquals } from "@std/assert";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { PROJECT_ROOT } from "../../cli/program.ts";

/** The folders of the program. Tests may ask a runtime what it is; these may not, but for `runtime`. */
const FOLDERS = ["protocol", "host", "cli", "server", "bots", "tools"];

/** A use of a runtime's global, outside comments. */
const GLOBAL = /\b(?:Deno|Bun)\.\w|["'](?:Deno|Bun)["'] in\b|\bprocess\.versions\.(?:deno|bun)\b/;

const COMMENT = /^\s*(?:\/\/|\/?\*)/;

function usesIn(folder: string): string[] {
  const uses: string[] = [];
  for (const path of readdirSync(join(PROJECT_ROOT, folder), { recursive: true }) as string[]) {
    if (!path.endsWith(".ts")) continue;
    const lines = readFileSync(join(PROJECT_ROOT, folder, path), "utf8").split("\n");
    for (const [index, line] of lines.entries()) {
      if (!COMMENT.test(line) && GLOBAL.test(line)) uses.push(`${folder}/${path}:${index + 1}`);
    }
  }
  return uses;
}

describe("the program", () => {
  it("uses the globals of Deno and Bun in runtime/ only", () => {
    const uses = FOLDERS.flatMap(usesIn);
    assertEquals(uses, [], "move what these lines know into runtime/, and give it a name there");
  });
});
