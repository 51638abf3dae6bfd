import { readFileSync } from "node:fs";
import { MAX_SPELLED_KEY_BYTES } from "../protocol/action.ts";
import { EnvironmentError, quote } from "../runtime/command_line.ts";
import type { AccessOptions } from "./access.ts";
import type { ServerOptions } from "./options.ts";

/**
 * The access rules of a command line, with the keys from their files.
 *
 * @throws {EnvironmentError} where a file can't be read, or holds no keys.
 */
export function readAccess(options: ServerOptions): AccessOptions {
  const { publishFrom, subscribeFrom, publishKeyFile, subscribeKeyFile } = options;
  return {
    ...publishFrom === undefined ? {} : { publishFrom },
    ...subscribeFrom === undefined ? {} : { subscribeFrom },
    ...publishKeyFile === undefined ? {} : { publishKeys: readKeys(publishKeyFile) },
    ...subscribeKeyFile === undefined ? {} : { subscribeKeys: readKeys(subscribeKeyFile) },
  };
}

/** The keys in a file, one a line; empty lines and the space around keys don't count. */
function readKeys(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as { code?: string };
    const why = code === "ENOENT" ? "there is no such file" : "it needs the permission to";
    throw new EnvironmentError(
      `the keys in ${quote(path)} can't be read: ${why}; Deno's is --allow-read=FILE`,
      { cause: error },
    );
  }
  const keys = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (keys.length === 0) {
    throw new EnvironmentError(`${quote(path)} holds no key: write one on a line`);
  }
  for (const [index, key] of keys.entries()) {
    if (JSON.stringify(key).length <= MAX_SPELLED_KEY_BYTES) continue;
    throw new EnvironmentError(
      `key ${index + 1} in ${quote(path)} is too long: at most ${MAX_SPELLED_KEY_BYTES - 2} bytes`,
    );
  }
  return keys;
}
