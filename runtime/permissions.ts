/**
 * The permissions that Deno's sandbox gives this program. Bun has no sandbox, so everything is allowed
 * there. Nothing in this module makes Deno ask its user.
 *
 * @module
 */

import process from "node:process";

/** One permission, such as to read one file or to run one program. */
export type Access = Exclude<Deno.PermissionDescriptor, { readonly name: "import" | "ffi" }>;

/** True if this program has the permission. */
export function isAllowed(access: Access): boolean {
  return !("Deno" in globalThis) || Deno.permissions.querySync(access).state === "granted";
}

/** A variable of the environment; `undefined` also if this program may not read it. */
export function readEnvironment(variable: string): string | undefined {
  return isAllowed({ name: "env", variable }) ? process.env[variable] : undefined;
}

/** Gives permissions up for good, for all code of this process. */
export function renounce(...accesses: readonly Access[]): void {
  if (!("Deno" in globalThis)) return;
  for (const access of accesses) Deno.permissions.revokeSync(access);
}
