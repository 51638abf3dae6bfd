/**
 * Deno's sandbox. In a terminal Deno asks the user, in the middle of a command's work, for what the
 * command wasn't allowed. So commands look first, and do without, or say what is missing.
 *
 * @module
 */

import process from "node:process";
import { EnvironmentError } from "./command_line.ts";

/** What the sandbox may keep from a program. */
export type Access = Exclude<Deno.PermissionDescriptor, { readonly name: "import" | "ffi" }>;

/** Whether this program may do that, without anyone being asked. Everywhere but on Deno it may. */
export function isAllowed(access: Access): boolean {
  return !("Deno" in globalThis) || Deno.permissions.querySync(access).state === "granted";
}

/** A variable of the environment; `undefined` also where it may not be read. */
export function readEnvironment(variable: string): string | undefined {
  return isAllowed({ name: "env", variable }) ? process.env[variable] : undefined;
}

/**
 * Sees to it that this program may do that.
 *
 * @throws {EnvironmentError} with the flag that allows it.
 */
export function demand(access: Access): void {
  if (isAllowed(access)) return;
  const object = objectOf(access);
  throw new EnvironmentError(
    `Deno lacks the permission --allow-${access.name}${
      object === undefined ? "" : `=${object}`
    }; ` +
      `give it that, or run the command as its task (deno task)`,
  );
}

/**
 * Gives permissions up for good, also for whatever else comes to run in this process. On Bun there are
 * none.
 */
export function renounce(...accesses: readonly Access[]): void {
  if (!("Deno" in globalThis)) return;
  for (const access of accesses) Deno.permissions.revokeSync(access);
}

function objectOf(access: Access): string | URL | undefined {
  switch (access.name) {
    case "env":
      return access.variable;
    case "run":
      return access.command;
    case "net":
      return access.host;
    case "sys":
      return access.kind;
    default:
      return access.path;
  }
}
