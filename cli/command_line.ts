/**
 * Reading a command line, the same way for every command of the house.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { levenshteinDistance } from "@std/text/levenshtein-distance";

/** The command line can't be understood. Its message is one line that names the value and the remedy. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * The command line is fine, but this machine, or a server, doesn't let the command do its work. The
 * message says what is in the way and how to mend it.
 */
export class EnvironmentError extends Error {
  override readonly name = "EnvironmentError";
}

const MAX_DURATION_MS = 24 * 3_600_000;

/** What a time's unit stands for. */
const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** What every command can be asked in place of its work; see `answer` in `command.ts`. */
export type Question = { readonly does: "help" } | { readonly does: "version" };

/** The flags that ask it. */
const QUESTIONS = ["help", "version"] as const;

/** A command's arguments, each flag known and each value checked where it's asked for. */
export class CommandLine<Value extends string, Switch extends string> {
  /** What the command is asked, if it is. */
  readonly question: Question | undefined;
  /** What stands on the command line without a flag. */
  readonly positionals: readonly string[];
  readonly #values: Record<string, unknown>;

  /**
   * @param args What follows the script's name.
   * @param values The flags that take a value, without their dashes. A lone dash is such a value, and so
   * is a negative number.
   * @param switches The flags that take none; `help` and `version` need not be among them.
   * @throws {UsageError} if there is a flag that is in neither list.
   */
  constructor(
    args: readonly string[],
    values: readonly Value[],
    switches: readonly Switch[] = [],
  ) {
    this.#values = parseArgs(args.map(mark), {
      string: [...values, "_"],
      boolean: [...switches, ...QUESTIONS],
      alias: { help: "h" },
      collect: values,
      unknown(arg, key) {
        if (key === undefined) return true;
        const flag = arg.split("=", 1)[0] ?? arg;
        const near = nearest(flag, [...values, ...switches, ...QUESTIONS]);
        const hint = near === undefined ? "see --help" : `did you mean --${near}?`;
        throw new UsageError(`there is no flag ${quote(flag)}; ${hint}`);
      },
    });
    const does = QUESTIONS.find((name) => this.#values[name] === true);
    this.question = does === undefined ? undefined : { does };
    this.positionals = (this.#values["_"] as string[]).map(unmark);
  }

  /** Whether a flag without a value is given. */
  has(name: Switch): boolean {
    return this.#values[name] === true;
  }

  /**
   * What stands on the command line without a flag, no more than `max` of them.
   *
   * @param instead What more of them should have been, for the message.
   * @throws {UsageError} if there are more.
   */
  upTo(max: number, instead: string): readonly string[] {
    const extra = this.positionals[max];
    if (extra === undefined) return this.positionals;
    throw new UsageError(`${quote(extra)} is one argument too many: ${instead}; see --help`);
  }

  /** Every value that a flag is given with, in order. */
  all(name: Value): readonly string[] {
    const values = (this.#values[name] as string[]).map(unmark);
    if (values.includes("")) throw new UsageError(`--${name} needs a value; see --help`);
    return values;
  }

  /** A flag's text. */
  text(name: Value): string | undefined {
    const values = this.all(name);
    if (values.length > 1) throw new UsageError(`--${name} is given ${values.length} times`);
    return values[0];
  }

  /** A flag's whole number. */
  number(name: Value, min: number, max: number): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : wholeNumber(text, `--${name}`, min, max);
  }

  /** A flag's time in milliseconds; the user writes `800ms`, `5s`, `5m` or `1.5h`. */
  duration(name: Value): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
    const milliseconds = Number(amount) * UNITS_MS[unit as keyof typeof UNITS_MS];
    if (milliseconds > 0 && milliseconds <= MAX_DURATION_MS) return milliseconds;
    throw new UsageError(
      `--${name} must be a time of up to a day, such as 800ms, 5s, 5m or 1h, not ${quote(text)}`,
    );
  }

  /** A flag's word, one of those given. */
  choice<Word extends string>(name: Value, words: readonly Word[]): Word | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const word = words.find((word) => word === text);
    if (word !== undefined) return word;
    throw new UsageError(`--${name} must be one of ${words.join(", ")}, not ${quote(text)}`);
  }
}

/**
 * The parser takes whatever begins with a dash for a flag, a lone dash and a negative number too. Behind
 * this mark, which no argument of a process can hold, it doesn't.
 */
const MARK = "\0";

function mark(arg: string): string {
  return /^-(?:$|\.?\d)/.test(arg) ? MARK + arg : arg;
}

function unmark(arg: string): string {
  return arg.startsWith(MARK) ? arg.slice(MARK.length) : arg;
}

/** The flag that is meant by one that doesn't exist, if one is close enough: mistyped, or cut short. */
function nearest(flag: string, names: readonly string[]): string | undefined {
  const typed = flag.replace(/^-+/, "");
  const distanceOf = (name: string) =>
    typed.length > 2 && name.startsWith(typed) ? 0 : levenshteinDistance(typed, name);
  const [near] = names.toSorted((a, b) => distanceOf(a) - distanceOf(b));
  const most = typed.length < 3 ? 1 : Math.max(2, Math.floor(typed.length / 3));
  return near !== undefined && typed.length > 1 && distanceOf(near) <= most ? near : undefined;
}

/**
 * A whole number in decimal digits.
 *
 * @param name How the message calls it.
 * @throws {UsageError}
 */
export function wholeNumber(text: string, name: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${name} must be a whole number from ${min} to ${max}, not ${quote(text)}`);
}

/** A user's text for a message: quoted, and cut where it's long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? text.slice(0, 57) + "..." : text);
}
