/**
 * What a check of this machine found, and how people read it.
 *
 * @module
 */

/** What a check found. */
export interface Finding {
  /** What was looked at, in a few words. */
  readonly about: string;
  /** Nothing needs mending. What isn't known is taken to be enough. */
  readonly isFine: boolean;
  /** It can't work like this. */
  readonly isFatal: boolean;
  /** One line: what is needed, and what there is. */
  readonly says: string;
  /** The exact commands and flags that mend it; empty where nothing needs mending. */
  readonly remedies: readonly Remedy[];
}

/** One way to mend something. */
export interface Remedy {
  /** The system that it's for, or `here` for flags of the same command. */
  readonly where: string;
  readonly what: string;
}

/** Nothing needs mending. */
export function fine(about: string, says: string): Finding {
  return { about, isFine: true, isFatal: false, says, remedies: [] };
}

/** It couldn't be found out, or there is no such thing here. */
export function unknown(about: string): Finding {
  return fine(about, "not known here; taken to be enough");
}

/** It works, but not well. */
export function note(about: string, says: string, remedies: readonly Remedy[]): Finding {
  return { about, isFine: false, isFatal: false, says, remedies };
}

/** It can't work. */
export function fatal(about: string, says: string, remedies: readonly Remedy[]): Finding {
  return { about, isFine: false, isFatal: true, says, remedies };
}

/** A finding's remedies as lines, each with where it's to be used. */
export function remedyLines({ remedies }: Finding): string[] {
  const width = Math.max(...remedies.map(({ where }) => where.length));
  return remedies.map(({ where, what }) => `${(where + ":").padEnd(width + 2)}${what}`);
}

/**
 * A finding in one line, with the first remedy for this system.
 *
 * @param os As {@linkcode SystemFacts.os} has it.
 */
export function findingLine({ says, remedies }: Finding, os: string): string {
  const system = os === "Darwin" ? "macOS" : os;
  const remedy = remedies.find(({ where }) => where === system) ?? remedies[0];
  return remedy === undefined ? says : `${says}; to mend it: ${remedy.what}`;
}
