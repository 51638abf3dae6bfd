/**
 * Bundles of our modules for platforms that don't run TypeScript.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { PROJECT_ROOT } from "../../cli/program.ts";

/** esbuild itself, which the package's script would only start. */
const ESBUILD = join(
  ...[PROJECT_ROOT, "node_modules", "@esbuild", `${process.platform}-${process.arch}`, "bin"],
  "esbuild",
);

/** The reason why nothing can be bundled here, or `false`. */
export const cannotBundle: string | false = existsSync(ESBUILD)
  ? false
  : `esbuild isn't installed for ${process.platform}-${process.arch}`;

/** Options of a bundle. */
export interface BundleOptions {
  readonly platform: "browser" | "node";
  readonly isMinified?: boolean;
  /** The folder in which it looks for packages, and which paths begin at. */
  readonly folder?: string;
}

/** A module and all that it imports, as one ECMAScript module. */
export function bundle(
  entry: string,
  { platform, isMinified = false, folder = PROJECT_ROOT }: BundleOptions,
): string {
  const args = [
    ...[entry, "--bundle", "--format=esm", `--platform=${platform}`, "--log-level=error"],
    ...["--alias:@std/assert=deno-std/assert/mod.js"],
    ...(isMinified ? ["--minify"] : []),
  ];
  const options = { cwd: folder, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 } as const;
  const { status, stdout, stderr } = spawnSync(ESBUILD, args, options);
  if (status !== 0) throw new Error(`esbuild can't bundle ${entry}: ${stderr}`);
  return stdout;
}
