import { MAX_SPELLED_KEY_BYTES } from "../../protocol/action.ts";
import { EnvironmentError, quote } from "../../cli/command_line.ts";
import { readKeyFile } from "../../cli/key_file.ts";
import { isReadByAll, readTextFile } from "../../cli/text_file.ts";
import type { AccessOptions } from "../access/access.ts";
import { parseCidr } from "../access/cidr.ts";
import type { CommandOptions } from "./options.ts";

const utf8 = new TextEncoder();

/** A shorter key may be guessed: 16 random hexadecimal digits are 64 bits. */
const MIN_STRONG_CHARACTERS = 16;

/**
 * Reads the access rules of a command line, with keys and addresses from their files.
 *
 * @param warn Receives one line for each weakness of a file that can still be used.
 * @throws {EnvironmentError} if a file can't be read, is empty, or holds something else.
 */
export function readAccess(options: CommandOptions, warn: (line: string) => void): AccessOptions {
  const { publishKeyFile, subscribeKeyFile } = options;
  const publishFrom = networksOf(options.publishFrom, options.publishFromFile);
  const subscribeFrom = networksOf(options.subscribeFrom, options.subscribeFromFile);
  return {
    ...publishFrom === undefined ? {} : { publishFrom },
    ...subscribeFrom === undefined ? {} : { subscribeFrom },
    ...publishKeyFile === undefined ? {} : { publishKeys: readKeys(publishKeyFile, warn) },
    ...subscribeKeyFile === undefined ? {} : { subscribeKeys: readKeys(subscribeKeyFile, warn) },
  };
}

/**
 * Reads the keys of the admin port; `undefined` without a file of them.
 *
 * @param warn Receives one line for each weakness of the file.
 * @throws {EnvironmentError} if the file can't be read, is empty, or holds something else.
 */
export function readAdminKeys(
  { adminKeyFile }: CommandOptions,
  warn: (line: string) => void,
): string[] | undefined {
  return adminKeyFile === undefined ? undefined : readKeys(adminKeyFile, warn);
}

/** The keys in a file. */
function readKeys(path: string, warn: (line: string) => void): string[] {
  const keys = readKeyFile(`the keys in ${quote(path)}`, path);
  if (keys.length === 0) {
    throw new EnvironmentError(`${quote(path)} holds no key: write one on a line`);
  }
  for (const { key, line } of keys) {
    if (utf8.encode(JSON.stringify(key)).length <= MAX_SPELLED_KEY_BYTES) continue;
    throw new EnvironmentError(
      `the key on line ${line} of ${quote(path)} is too long: ` +
        `at most ${MAX_SPELLED_KEY_BYTES - 2} bytes`,
    );
  }
  const weak = keys.filter(({ key }) => [...key].length < MIN_STRONG_CHARACTERS);
  if (weak.length > 0) {
    const others = weak.length === 1 ? "" : ` and of ${weak.length - 1} more`;
    warn(
      `the key on line ${weak[0]!.line}${others} of ${
        quote(path)
      } may be guessed, being shorter than ` +
        `${MIN_STRONG_CHARACTERS} characters: make one with openssl rand -hex 32`,
    );
  }
  if (isReadByAll(path)) {
    warn(`every user of this machine may read the keys in ${quote(path)}: chmod o-r that file`);
  }
  return keys.map(({ key }) => key);
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
  for (const [index, line] of readLines(path).entries()) {
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

function readLines(path: string): string[] {
  return readTextFile(`the addresses in ${quote(path)}`, path).split("\n");
}
