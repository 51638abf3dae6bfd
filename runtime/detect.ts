/**
 * Finds the adapter for the runtime that runs this program. Call it once in a program, and pass the
 * result on.
 *
 * @module
 */

import type { Runtime } from "./types.ts";

/**
 * Loads the adapter of the runtime that runs this program, and not the other one.
 *
 * @throws {Error} (rejects) on anything but Deno and Bun.
 */
export async function detectRuntime(): Promise<Runtime> {
  if ("Bun" in globalThis) return (await import("./bun/runtime.ts")).bunRuntime();
  if ("Deno" in globalThis) return (await import("./deno/runtime.ts")).denoRuntime();
  throw new Error("Hotwheels runs on Deno or Bun, and this is neither; try: deno run, or bun run");
}
