// Loaded into each of Bun's processes of a counted copy: leaves behind which lines have not run.

import { readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";

const root = dirname(dirname(import.meta.dirname!));
const counts = process.env["BUN_LINE_COUNTS"];

/** Throws where the file wasn't loaded. Bun's types don't know it. */
const { codeCoverageForFile } = await import("bun:jsc") as unknown as {
  codeCoverageForFile(path: string): string;
};

process.on("exit", () => {
  if (counts === undefined) return;
  const lines: string[] = [];
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    const folder = entry.name;
    if (!entry.isDirectory() || ["node_modules", "test", ".git"].includes(folder)) continue;
    for (const path of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
      if (!path.endsWith(".ts")) continue;
      try {
        lines.push(codeCoverageForFile(join(root, folder, path)));
      } catch {
        // It wasn't loaded.
      }
    }
  }
  const name = `${process.pid}-${Math.random()}`;
  if (lines.length > 0) writeFileSync(join(counts, name), lines.join("\n"));
});
