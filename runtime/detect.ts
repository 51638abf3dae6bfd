/**
 * Finds the adapter for the runtime that runs this program. Executables ask once, and pass the
 * answer on.
 *
 * @module
 */

import type { Runtime } from "./types.ts";

/**
 * The runtime that runs this program; the other one's adapter isn't even loaded.
 *
 * @throws {Error} (rejects) on anything but Deno and Bun.
 */
export async function detectRuntime(): Promise<Runtime> {
  if ("Bun" in globalThis) return (await import("./bun/runtime.ts")).bunRuntime();
  if ("Deno" in globalThis) return (await import("./deno/runtime.ts")).denoRuntime();
  throw new Error("Hotwheels runs on Deno or Bun, and this is neither; try: deno run, or bun run");
}
