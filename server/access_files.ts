import { MAX_SPELLED_KEY_BYTES } from "../protocol/action.ts";
import { EnvironmentError, quote } from "../runtime/command_line.ts";
import { readTextFile } from "../runtime/text_file.ts";
import type { AccessOptions } from "./access.ts";
import { parseCidr } from "./cidr.ts";
import type { ServerOptions } from "./options.ts";

/**
 * The access rules of a command line, with the keys and the addresses from their files.
 *
 * @throws {EnvironmentError} where a file can't be read, or holds none, or something else.
 */
export function readAccess(options: ServerOptions): AccessOptions {
  const { publishKeyFile, subscribeKeyFile } = options;
  const publishFrom = networksOf(options.publishFrom, options.publishFromFile);
  const subscribeFrom = networksOf(options.subscribeFrom, options.subscribeFromFile);
  return {
    ...publishFrom === undefined ? {} : { publishFrom },
    ...subscribeFrom === undefined ? {} : { subscribeFrom },
    ...publishKeyFile === undefined ? {} : { publishKeys: readKeys(publishKeyFile) },
    ...subscribeKeyFile === undefined ? {} : { subscribeKeys: readKeys(subscribeKeyFile) },
  };
}

/** The keys in a file, one a line; empty lines and the space around keys don't count. */
function readKeys(path: string): string[] {
  const keys = readLines(path, "keys").filter((line) => line !== "");
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

/** The blocks of addresses of a flag and of a file together. */
function networksOf(
  given: readonly string[] | undefined,
  file: string | undefined,
): readonly string[] | undefined {
  return file === undefined ? given : [...given ?? [], ...readNetworks(file)];
}

/** The blocks of addresses in a file, one a line; what follows a `#` is a comment. */
function readNetworks(path: string): string[] {
  const networks: string[] = [];
  for (const [index, line] of readLines(path, "addresses").entries()) {
    const block = line.replace(/#.*/, "").trim();
    if (block === "") continue;
    try {
      parseCidr(block);
    } catch (cause) {
      throw new EnvironmentError(
        `line ${index + 1} of ${quote(path)} must be an address such as 192.0.2.0/24 or ` +
          `2001:db8::/32, not ${quote(block)}`,
        { cause },
      );
    }
    networks.push(block);
  }
  if (networks.length > 0) return networks;
  throw new EnvironmentError(`${quote(path)} holds no address: write one on a line`);
}

/** @param what What the file should hold, for the message. */
function readLines(path: string, what: string): string[] {
  const text = readTextFile(`the ${what} in ${quote(path)}`, path);
  return text.split("\n").map((line) => line.trim());
}
