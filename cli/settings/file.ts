/**
 * Flags in a file: JSON with comments, an object with a member for each flag.
 *
 * @module
 */

import { parse } from "@std/jsonc/parse";
import { dirname, resolve } from "node:path";
import { nearest, quote, type SettingsSource, UsageError } from "../command_line.ts";
import { readTextFile } from "../text_file.ts";

/** The flags that may stand in a file. */
export interface FileFlags {
  /** All of them. */
  readonly names: readonly string[];
  /** Those that name files. A relative path begins at the folder of the settings' file. */
  readonly files: readonly string[];
}

/** The values of flags in a file. */
export class SettingsFile implements SettingsSource {
  readonly #path: string;
  readonly #values: ReadonlyMap<string, string>;

  /**
   * Reads the file.
   *
   * @throws {EnvironmentError} if it can't be read.
   * @throws {UsageError} if it isn't JSON with comments, or has a member that is no flag, or no value of one.
   */
  constructor(path: string, flags: FileFlags) {
    this.#path = path;
    this.#values = new Map(
      Object.entries(parseObject(readTextFile(`--config ${path}`, path), path)).map(
        ([name, value]) => [name, this.#textOf(name, value, flags)],
      ),
    );
  }

  valueOf(flag: string): string | undefined {
    return this.#values.get(flag);
  }

  nameOf(flag: string): string {
    return `"${flag}" in ${quote(this.#path)}`;
  }

  /** A member's value as the flag would have it. */
  #textOf(name: string, value: unknown, { names, files }: FileFlags): string {
    if (!names.includes(name)) {
      const near = nearest(name.replace(/^HOTWHEELS_/i, ""), names);
      const hint = near === undefined ? "--help lists the flags" : `did you mean "${near}"?`;
      throw new UsageError(`there is no flag ${quote(name)}, in ${quote(this.#path)}; ${hint}`);
    }
    const text = Array.isArray(value) && value.every((one) => typeof one === "string")
      ? value.join(",")
      : typeof value === "string" || Number.isSafeInteger(value)
      ? String(value)
      : "";
    if (text === "") {
      throw new UsageError(
        `${this.nameOf(name)} must be text, a whole number, or a list of texts, not ` +
          `${JSON.stringify(value)}; leave it out for its default`,
      );
    }
    return files.includes(name) ? resolve(dirname(this.#path), text) : text;
  }
}

/**
 * Parses JSON with comments that must be an object.
 *
 * @throws {UsageError} if it isn't.
 */
export function parseObject(text: string, path: string): object {
  let value: unknown;
  try {
    value = parse(text.replace(/^\ufeff/, ""));
  } catch (cause) {
    const { message } = cause as Error;
    throw new UsageError(`${quote(path)} isn't JSON with comments: ${problem(message, text)}`, {
      cause,
    });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new UsageError(`${quote(path)} must hold an object, such as { "port": 8081 }`);
}

/** The parser's message, with the line in place of the position. */
function problem(message: string, text: string): string {
  return message.replace(/^Cannot parse JSONC: /, "")
    .replace(/ in JSONC at position (\d+)$/, (_, position) => {
      return ` on line ${text.slice(0, Number(position)).split("\n").length}`;
    }).replaceAll("\n", " ");
}
