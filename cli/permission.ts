/**
 * Permissions that a command can't do without. In a terminal Deno asks the user for a missing permission
 * in the middle of a command's work. So commands check first, and say which flag is missing.
 *
 * @module
 */

import { type Access, isAllowed } from "../runtime/permissions.ts";
import { EnvironmentError } from "./command_line.ts";

/**
 * Checks that this program has a permission.
 *
 * @throws {EnvironmentError} with Deno's flag that allows it, if it hasn't.
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
