/**
 * Starting further processes of this project on the runtime that runs this one.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { demand, isAllowed } from "./permission.ts";
import type { Runtime } from "./types.ts";

/** Tells a program that holds all its modules in itself that it is to be the child, not the command. */
const CHILD_FLAG = "--as-child-process";

/** Where `bun build --compile` puts the modules of an executable. */
const BUN_EXECUTABLE = /^(?:\/\$bunfs\/|[A-Z]:[/\\]~BUN[/\\])/;

/** Whether this program is an executable of its own, as `bun build --compile` makes one. */
export function isCompiled(): boolean {
  if ("Deno" in globalThis) return Deno.build.standalone;
  return BUN_EXECUTABLE.test(process.argv[1] ?? "");
}

/** Whether all modules of this program are in one file, so that there is no other script to run. */
function isBundled(): boolean {
  return isCompiled() || !import.meta.url.endsWith("/runtime/child.ts");
}

/** Whether {@linkcode startChild} started this process, and its main module is to do the script's work. */
export function isChild(): boolean {
  return isBundled() && process.argv[2] === CHILD_FLAG && process.send !== undefined;
}

/**
 * Runs a script in a child process with an IPC channel (`child.send`, `process.send`), which carries
 * JSON on every runtime. Its standard output and error are ours. The child gets no environment.
 *
 * @param script A `file:` URL. A program that is bundled into one file runs itself in its place: its main
 * module asks {@linkcode isChild}, and imports the script.
 * @param permissions What Deno allows the child, as flags; Bun has no such thing.
 * @throws {Error} (rejects) if no process can be started.
 */
export async function startChild(
  runtime: Runtime,
  script: string,
  permissions: readonly string[],
): Promise<ChildProcess> {
  const isDeno = runtime.name === "deno";
  const args = isBundled() ? [process.argv[1]!, CHILD_FLAG] : [fileURLToPath(script)];
  if (isCompiled()) args.shift();
  else if (isDeno) args.unshift("run", "--quiet", "--no-prompt", "--unstable-net", ...permissions);
  // Deno's permission to run "deno" doesn't cover the same file under its full path, nor the other
  // way round.
  const programs = [process.execPath, "deno"].slice(0, isDeno ? 2 : 1)
    .filter((command) => isAllowed({ name: "run", command }));
  if (programs.length === 0) demand({ name: "run", command: "deno" });
  // Node's interface looks there whenever it starts a process.
  demand({ name: "env", variable: "NODE_V8_COVERAGE" });
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
