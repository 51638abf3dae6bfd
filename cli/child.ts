/**
 * Starts further processes of this project on the runtime that runs this one.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { setTimeout } from "node:timers";
import { fileURLToPath } from "node:url";
import { MEMORY_VARIABLES, RUN_FLAGS } from "./deno_flags.ts";
import { NAMED_PROGRAM, namedScript } from "./on_disk.ts";
import { demand } from "./permission.ts";
import { isAllowed, readEnvironment, renounce } from "../runtime/permissions.ts";
import { isCompiled } from "../runtime/this_process.ts";
import type { Runtime } from "../runtime/types.ts";

/** Tells a program that is bundled into one file that it is a child process, not the command. */
const CHILD_FLAG = "--as-child-process";

/**
 * The environment variables that a runtime needs to start: they say where it finds the user's files, its
 * cache and its libraries. No others are passed on, since some hold secrets.
 */
const RUNTIME_VARIABLES = ["HOME", "XDG_CACHE_HOME", "DENO_DIR", "LD_LIBRARY_PATH"];

/**
 * The children's working directory: one that always exists, while the one that this process was started
 * in may be gone.
 */
const CHILD_DIRECTORY = "/";

/** Milliseconds for which a child's channel is read once its process has ended. */
const CHANNEL_LINGER_MS = 1_000;

/** True if all modules of this program are in one file, so that there is no other script to run. */
export function isBundled(): boolean {
  return isCompiled() || !import.meta.url.endsWith("/cli/child.ts");
}

/**
 * True if {@linkcode startChild} started this process, so that its main module must do the script's work.
 */
export function isChild(): boolean {
  return isBundled() && process.argv[2] === CHILD_FLAG && process.send !== undefined;
}

/**
 * Runs a script in a child process with an IPC channel (`child.send`, `process.send`), which carries JSON
 * on every runtime. The child shares this process's standard output and error. It gets only the
 * environment variables that the runtime needs to start, as far as this program may read them. Script and
 * runtime are the files now on disk, under the names by which this program was started.
 *
 * @param script A `file:` URL. A program that is bundled into one file runs itself instead: its main
 * module asks {@linkcode isChild}, and imports the script.
 * @param permissions The child's permissions as Deno's flags; Bun ignores them.
 * @throws {Error} (rejects) if no process can be started.
 */
export async function startChild(
  runtime: Runtime,
  script: string,
  permissions: readonly string[],
): Promise<ChildProcess> {
  const isDeno = runtime.name === "deno";
  const args = isBundled()
    ? [namedScript(process.argv[1]!), CHILD_FLAG]
    : [namedScript(fileURLToPath(script))];
  if (isCompiled()) args.shift();
  else if (isDeno) args.unshift(...RUN_FLAGS, ...permissions);
  const programs = programsOf(isDeno).filter(mayRun);
  if (programs.length === 0) demand({ name: "run", command: "deno" });
  // Node's interface reads this variable whenever it starts a process.
  demand({ name: "env", variable: "NODE_V8_COVERAGE" });
  let failure: unknown;
  for (const program of programs) {
    try {
      const child = spawn(program, args, {
        stdio: ["ignore", "inherit", "inherit", "ipc"],
        cwd: CHILD_DIRECTORY,
        env: runtimeEnvironment(isDeno),
      });
      await new Promise<void>((resolve, reject) => {
        child.once("spawn", resolve);
        child.once("error", reject);
      });
      child.once("exit", () => closeChannelLater(child));
      return child;
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

/**
 * Closes the channel of a child that has ended. Deno leaves it open if the child hadn't read all that it was
 * sent: then the channel ends with an error in place of an end.
 */
function closeChannelLater(child: ChildProcess): void {
  setTimeout(() => {
    if (child.connected) child.disconnect();
  }, CHANNEL_LINGER_MS).unref();
}

/** Gives up for good the permissions that only starting a child needs. */
export function renounceChildren(): void {
  renounce({ name: "run" });
  for (const variable of RUNTIME_VARIABLES) renounce({ name: "env", variable });
}

/**
 * The programs that may be this process's runtime, the best first. An upgrade may have removed it from
 * its path; then Linux still has the running one. Deno's permission to run `deno` doesn't cover the same
 * file under its full path, nor the other way round.
 */
function programsOf(isDeno: boolean): string[] {
  const running = process.platform === "linux"
    ? [`/proc/${process.pid}/exe`, "/proc/self/exe"]
    : [];
  return [
    NAMED_PROGRAM ?? process.execPath,
    process.execPath,
    ...isDeno ? ["deno"] : [],
    ...running,
  ];
}

function mayRun(command: string): boolean {
  try {
    return isAllowed({ name: "run", command });
  } catch {
    // Deno looks a bare name up, which fails if the working directory is gone.
    return false;
  }
}

function runtimeEnvironment(isDeno: boolean): Record<string, string> {
  const environment: Record<string, string> = isDeno ? { ...MEMORY_VARIABLES } : {};
  for (const variable of RUNTIME_VARIABLES) {
    // Deno lets only programs that may run everything pass on variables of the loader.
    if (variable.startsWith("LD_") && !isAllowed({ name: "run" })) continue;
    const value = readEnvironment(variable);
    if (value !== undefined) environment[variable] = value;
  }
  return environment;
}
