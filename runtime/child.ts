/**
 * Starting further processes of this project on the runtime that runs this one.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Runtime } from "./types.ts";

/**
 * Runs a script in a child process with an IPC channel (`child.send`, `process.send`), which carries
 * JSON on every runtime. Its standard output and error are ours. The child gets no environment.
 *
 * @param script A `file:` URL.
 * @param permissions What Deno allows the child, as flags; Bun has no such thing.
 * @throws {Error} (rejects) if no process can be started.
 */
export async function startChild(
  runtime: Runtime,
  script: string,
  permissions: readonly string[],
): Promise<ChildProcess> {
  const path = fileURLToPath(script);
  const isDeno = runtime.name === "deno";
  const args = isDeno
    ? ["run", "--quiet", "--no-prompt", "--unstable-net", ...permissions, path]
    : [path];
  // Deno's permission to run "deno" doesn't cover the same file under its full path, nor the other
  // way round.
  const programs = isDeno ? [process.execPath, "deno"] : [process.execPath];
  let failure: unknown;
  for (const program of programs) {
    try {
      const child = spawn(program, args, {
        stdio: ["ignore", "inherit", "inherit", "ipc"],
        env: {},
      });
      await new Promise<void>((resolve, reject) => {
        child.once("spawn", resolve);
        child.once("error", reject);
      });
      return child;
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}
