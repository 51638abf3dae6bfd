/**
 * Running a command: how it ends, and what it says when it can't.
 *
 * @module
 */

import process from "node:process";
import manifest from "../package.json" with { type: "json" };
import { EnvironmentError, type Question, UsageError } from "./command_line.ts";
import { complain } from "./say.ts";
import { TransportError } from "../runtime/types.ts";

/**
 * Runs a command's main function, then ends the process with the status it returns. A
 * {@linkcode UsageError} becomes one line and status 2; an {@linkcode EnvironmentError} or
 * {@linkcode TransportError} one line and status 1, like all that isn't permitted. Anything else is a defect of ours and keeps its
 * stack.
 *
 * @param name What the line begins with.
 * @param main Gets what follows the script's name.
 */
export async function runCommand(
  name: string,
  main: (args: readonly string[]) => Promise<number> | number,
): Promise<void> {
  try {
    process.exit(await main(process.argv.slice(2)));
  } catch (error) {
    const isKnown = error instanceof UsageError || error instanceof EnvironmentError ||
      error instanceof TransportError;
    const said = isKnown ? error.message : refusal(error);
    complain(said === null ? error : `${name}: ${said}`);
    process.exit(error instanceof UsageError ? 2 : 1);
  }
}

/** What an error says that means that something isn't permitted; `null` for any other error. */
function refusal(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { name, message, code } = error as Error & { readonly code?: unknown };
  const [line] = message.split("\n", 1);
  if (name === "NotCapable") return `${line}, or run the command as its task (deno task)`;
  return name === "PermissionDenied" || code === "EACCES" || code === "EPERM" ? line! : null;
}

/**
 * Answers what a command is asked in place of its work.
 *
 * @param help What `--help` prints.
 * @returns The command's exit status.
 * @throws {EnvironmentError} if standard output doesn't take it.
 */
export function answer({ does }: Question, help: string): number {
  try {
    console.log(does === "help" ? help.trimEnd() : manifest.version);
  } catch (cause) {
    const { message } = cause as Error;
    throw new EnvironmentError(`can't write to standard output: ${message}`, { cause });
  }
  return 0;
}

/**
 * Lets a signal that would end this process end what it has started as well, with the status that a
 * shell expects of it.
 *
 * @param end Ends that, without waiting.
 */
export function endOnSignal(end: () => void): void {
  for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]] as const) {
    process.on(signal, () => {
      end();
      process.exit(128 + number);
    });
  }
}
