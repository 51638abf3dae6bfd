/**
 * Differences between Deno and Bun in what a process knows of itself, and in how it writes to standard
 * error. These facts are needed before there is a {@linkcode Runtime}, or without one.
 *
 * @module
 */

import fs from "node:fs";
import process from "node:process";

const STANDARD_ERROR = 2;

/** Milliseconds after which a full pipe that doesn't block is tried again. */
const RETRY_MS = 50;

/** The folder that `bun build --compile` gives the modules of an executable. */
const BUN_EXECUTABLE = /^(?:\/\$bunfs\/|[A-Z]:[/\\]~BUN[/\\])/;

/** True if this program is one executable, as `bun build --compile` and `deno compile` make it. */
export function isCompiled(): boolean {
  if ("Deno" in globalThis) return Deno.build.standalone;
  return BUN_EXECUTABLE.test(process.argv[1] ?? "");
}

/**
 * True if `process.argv[1]` is the real path of the script, without the links that the command line named.
 * Bun resolves them; Deno keeps the name.
 */
export function resolvesScriptLinks(): boolean {
  return "Bun" in globalThis;
}

/**
 * The soft limit of open descriptors as the runtime's report has it, on Bun: a number, or `unlimited`.
 * `undefined` on Deno, which has no such report.
 */
export function reportedDescriptorLimit(): string | undefined {
  if (!("Bun" in globalThis)) return undefined;
  const { userLimits } = process.report.getReport() as {
    readonly userLimits: { readonly open_files: { readonly soft: number | "unlimited" } };
  };
  return String(userLimits.open_files.soft);
}

/**
 * Writes to standard error without blocking the event loop. A slow reader delays only the promise; Deno's
 * `process.stderr` would block the loop, and Bun's would keep everything in memory. The caller must wait
 * for one write before it begins the next.
 *
 * @param bytes Not to be changed before the promise is settled.
 * @throws {Error} (rejects) when standard error is closed.
 */
export async function writeStandardError(bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) {
    rest = rest.subarray("Deno" in globalThis ? await Deno.stderr.write(rest) : await write(rest));
  }
}

function write(bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(STANDARD_ERROR, bytes, (error, written) => {
      if (error === null) resolve(written);
      else if (error.code === "EAGAIN") setTimeout(resolve, RETRY_MS, 0);
      else reject(error);
    });
  });
}
