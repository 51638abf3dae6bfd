/**
 * The keys that bots show a server.
 *
 * @module
 */

import { MAX_SPELLED_KEY_BYTES } from "../../protocol/action.ts";
import { EnvironmentError, quote, UsageError } from "../../cli/command_line.ts";
import { readKeyFile } from "../../cli/key_file.ts";

/** The flag whose value is the key itself. */
const KEY_FLAG = "--key";

/**
 * The keys of a command line, and the first key of each file that it names.
 *
 * @param flag The flag that names the files.
 * @throws {UsageError} if a key is too long.
 * @throws {EnvironmentError} if a file can't be read, holds no key, or isn't UTF-8.
 */
export function readKeys(
  keys: readonly string[],
  files: readonly string[],
  flag = "--key-file",
): string[] {
  return [
    ...keys.map((key) => checked(key, KEY_FLAG)),
    ...files.map((file) => checked(firstKeyIn(file, flag), `the key in ${quote(file)}`)),
  ];
}

/**
 * The first key of a file.
 *
 * @param flag The flag that names the file.
 * @throws {EnvironmentError} if it can't be read, holds no key, or isn't UTF-8.
 */
export function firstKeyIn(file: string, flag = "--key-file"): string {
  const [first] = readKeyFile(`${flag} ${file}`, file);
  if (first !== undefined) return first.key;
  throw new EnvironmentError(`${flag} ${file} holds no key: write it on the first line`);
}

function checked(key: string, name: string): string {
  if (new TextEncoder().encode(JSON.stringify(key)).length <= MAX_SPELLED_KEY_BYTES) return key;
  throw new UsageError(`${name} is too long: at most ${MAX_SPELLED_KEY_BYTES - 2} bytes`);
}

/** A copy of a command line with stars in place of keys, so that it can be printed. */
export function withoutKeys(args: readonly string[]): string[] {
  return args.map((arg, at) => {
    if (args[at - 1] === KEY_FLAG) return "***";
    return arg.startsWith(`${KEY_FLAG}=`) ? `${KEY_FLAG}=***` : arg;
  });
}
