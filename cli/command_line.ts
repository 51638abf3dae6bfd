/**
 * Parses command lines, the same way for every command of the project.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import leven from "leven";

/** The command line is wrong. The message is one line that names the value and the remedy. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * The command line is right, but this machine or a server doesn't let the command do its work. The
 * message names the obstacle and the remedy.
 */
export class EnvironmentError extends Error {
  override readonly name = "EnvironmentError";
}

const MAX_DURATION_MS = 24 * 3_600_000;

/** The milliseconds of each unit of time. */
const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** The questions that every command answers in place of its work; see `answer` in `command.ts`. */
export type Question = { readonly does: "help" } | { readonly does: "version" };

/** A place, other than the command line, in which flags may have their values. */
export interface SettingsSource {
  /** A flag's value there, if any; never empty. */
  valueOf(flag: string): string | undefined;
  /** The flag's name there, such as `HOTWHEELS_PORT`. */
  nameOf(flag: string): string;
}

/** The flags of the questions. */
const QUESTIONS = ["help", "version"] as const;

/**
 * A command's arguments. Unknown flags are refused at once, and each value is checked when it is read.
 */
export class CommandLine<Value extends string, Switch extends string> {
  /** The question on the command line, if any. */
  readonly question: Question | undefined;
  /** The arguments that aren't flags. */
  readonly positionals: readonly string[];
  readonly #values: Record<string, unknown>;
  readonly #sources: SettingsSource[] = [];

  /**
   * @param args The arguments after the script's name.
   * @param values The flags with a value, without their dashes. A lone dash is a value, and so is a
   * negative number.
   * @param switches The flags without a value; `help` and `version` need not be among them.
   * @throws {UsageError} if the text is anything else, or out of range.
   */
  constructor(
    args: readonly string[],
    values: readonly Value[],
    switches: readonly Switch[] = [],
  ) {
    for (const arg of beforeMarker(args)) {
      const [flag = "", value] = arg.split(/=(.*)/s);
      const isSwitch = [...switches, ...QUESTIONS].some((name) => flag === `--${name}`);
      if (isSwitch && value !== undefined) {
        throw new UsageError(`${flag} takes no value, not ${quote(value)}`);
      }
    }
    this.#values = parseArgs(args.map(mark), {
      string: [...values, "_"],
      boolean: [...switches, ...QUESTIONS],
      alias: { help: "h" },
      collect: values,
      unknown(arg, key) {
        if (key === undefined) return true;
        const flag = arg.split("=", 1)[0] ?? arg;
        const near = nearest(flag.replace(/^-+/, ""), [...values, ...switches, ...QUESTIONS]);
        const hint = near === undefined ? "see --help" : `did you mean --${near}?`;
        throw new UsageError(`there is no flag ${quote(flag)}; ${hint}`);
      },
    });
    const does = QUESTIONS.find((name) => this.#values[name] === true);
    this.question = does === undefined ? undefined : { does };
    this.positionals = (this.#values["_"] as string[]).map(unmark);
  }

  /**
   * Lets flags have their values elsewhere, too. The command line counts first, then the sources in the
   * order of these calls.
   */
  fallBackOn(source: SettingsSource): void {
    this.#sources.push(source);
  }

  /** The place that a flag's value is from; `undefined` without the flag, as on the command line. */
  sourceOf(name: Value): SettingsSource | undefined {
    if (this.isTyped(name)) return undefined;
    return this.#sources.find((source) => source.valueOf(name) !== undefined);
  }

  /** True if a flag is on the command line itself. */
  isTyped(name: Value): boolean {
    return (this.#values[name] as string[]).length > 0;
  }

  /** A flag's name at the place that its value is from: `--port`, or `HOTWHEELS_PORT`. */
  nameOf(name: Value): string {
    return this.sourceOf(name)?.nameOf(name) ?? `--${name}`;
  }

  /** True if a flag without a value is given. */
  has(name: Switch): boolean {
    return this.#values[name] === true;
  }

  /**
   * The arguments that aren't flags, at most `max`.
   *
   * @param instead The explanation for the message.
   * @throws {UsageError} if there are more.
   */
  upTo(max: number, instead: string): readonly string[] {
    const extra = this.positionals[max];
    if (extra === undefined) return this.positionals;
    throw new UsageError(`${quote(extra)} is one argument too many: ${instead}; see --help`);
  }

  /** All values of a flag, in order. */
  all(name: Value): readonly string[] {
    const values = (this.#values[name] as string[]).map(unmark);
    if (values.includes("")) throw new UsageError(`--${name} needs a value; see --help`);
    return values;
  }

  /** A flag's value as text; `undefined` without the flag. */
  text(name: Value): string | undefined {
    const values = this.all(name);
    if (values.length > 1) throw new UsageError(`--${name} is given ${values.length} times`);
    return values[0] ?? this.sourceOf(name)?.valueOf(name);
  }

  /** A flag's value as a whole number; `undefined` without the flag. */
  number(name: Value, min: number, max: number): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : wholeNumber(text, this.nameOf(name), min, max);
  }

  /**
   * A flag's time in milliseconds, such as `800ms`, `5s`, `5m` or `1.5h`; `undefined` without the flag.
   */
  duration(name: Value): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
    const milliseconds = Number(amount) * UNITS_MS[unit as keyof typeof UNITS_MS];
    if (milliseconds > 0 && milliseconds <= MAX_DURATION_MS) return milliseconds;
    throw new UsageError(
      `${this.nameOf(name)} must be a time of up to a day, such as 800ms, 5s, 5m or 1h, not ${
        quote(text)
      }`,
    );
  }

  /** A flag's value, which must be one of `words`; `undefined` without the flag. */
  choice<Word extends string>(name: Value, words: readonly Word[]): Word | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const word = words.find((word) => word === text);
    if (word !== undefined) return word;
    throw new UsageError(
      `${this.nameOf(name)} must be one of ${words.join(", ")}, not ${quote(text)}`,
    );
  }
}

/**
 * The parser takes every argument that begins with a dash for a flag, also a lone dash and a negative
 * number, and an empty one for no flag's value. This mark before such an argument prevents it; no argument
 * of a process can contain it.
 */
const MARK = "\0";

function mark(arg: string): string {
  return arg === "" || /^-(?:$|\.?\d)/.test(arg) ? MARK + arg : arg;
}

function unmark(arg: string): string {
  return arg.startsWith(MARK) ? arg.slice(MARK.length) : arg;
}

/**
 * The known name that is closest to an unknown one, if it is close enough: mistyped, cut short, or spelled as
 * names are elsewhere, as `MAX_TOPICS` and `maxTopics` for `max-topics`.
 */
export function nearest(typed: string, names: readonly string[]): string | undefined {
  const plain = plainOf(typed);
  const distanceOf = (name: string) =>
    plain.length > 2 && plainOf(name).startsWith(plain) ? 0 : leven(plain, plainOf(name));
  const [near] = names.toSorted((a, b) => distanceOf(a) - distanceOf(b));
  const most = typed.length < 3 ? 1 : Math.max(2, Math.floor(typed.length / 3));
  return near !== undefined && typed.length > 1 && distanceOf(near) <= most ? near : undefined;
}

/** A name without its case, and with hyphens between its words. */
function plainOf(name: string): string {
  return name.replace(/([a-z\d])([A-Z])/g, "$1-$2").replaceAll("_", "-").toLowerCase();
}

/**
 * A whole number in decimal digits.
 *
 * @param name The value's name in the message.
 * @throws {UsageError}
 */
export function wholeNumber(text: string, name: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${name} must be a whole number from ${min} to ${max}, not ${quote(text)}`);
}

/** Quotes a user's text for a message, and cuts it if it is long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? text.slice(0, 57) + "..." : text);
}

/** The arguments in front of `--`, behind which there are no flags. */
function beforeMarker(args: readonly string[]): readonly string[] {
  const at = args.indexOf("--");
  return at === -1 ? args : args.slice(0, at);
}
