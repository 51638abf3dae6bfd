/**
 * Runs a command: its exit status, and the message if it fails.
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
 * @param name The beginning of the line.
 * @param main Receives the arguments after the script's name.
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

/** The message of an error that means a missing permission; `null` for any other error. */
function refusal(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { name, message, code } = error as Error & { readonly code?: unknown };
  const [line] = message.split("\n", 1);
  if (name === "NotCapable") return `${line}, or run the command as its task (deno task)`;
  return name === "PermissionDenied" || code === "EACCES" || code === "EPERM" ? line! : null;
}

/**
 * Answers `--help` or `--version`.
 *
 * @param help The text of `--help`.
 * @returns The command's exit status.
 * @throws {EnvironmentError} if standard output can't be written.
 */
export function answer({ does }: Question, help: string): number {
  return print(does === "help" ? help.trimEnd() : `${manifest.version} (${runtimeText()})`);
}

/** The runtime that runs this program, with its version. */
function runtimeText(): string {
  const { deno, bun } = process.versions;
  return deno === undefined ? `bun ${bun}` : `deno ${deno}`;
}

/**
 * Prints what a command was asked for, on standard output.
 *
 * @returns The command's exit status.
 * @throws {EnvironmentError} if standard output can't be written.
 */
export function print(text: string): number {
  try {
    console.log(text);
  } catch (cause) {
    const { message } = cause as Error;
    throw new EnvironmentError(`can't write to standard output: ${message}`, { cause });
  }
  return 0;
}

/**
 * Ends what this process has started when a signal ends the process, with the exit status that a shell
 * expects.
 *
 * @param end Ends what was started, without waiting.
 */
export function endOnSignal(end: () => void): void {
  for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]] as const) {
    process.on(signal, () => {
      end();
      process.exit(128 + number);
    });
  }
}
