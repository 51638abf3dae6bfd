/**
 * The result of a check of this machine, and its text for people.
 *
 * @module
 */

/** The result of a check. */
export interface Finding {
  /** The checked resource, in a few words. */
  readonly about: string;
  /** Nothing needs to change. Unknown values count as enough. */
  readonly isFine: boolean;
  /** The load can't work on this machine as it is. */
  readonly isFatal: boolean;
  /** One line that says what is needed and what is there. */
  readonly says: string;
  /** The exact commands and flags that help; empty if nothing needs to change. */
  readonly remedies: readonly Remedy[];
}

/** One remedy. */
export interface Remedy {
  /** The system that the remedy is for, or `here` for flags of the same command. */
  readonly where: string;
  readonly what: string;
}

/** A finding that needs no change. */
export function fine(about: string, says: string): Finding {
  return { about, isFine: true, isFatal: false, says, remedies: [] };
}

/** A finding for a value that can't be found out, or doesn't exist here. */
export function unknown(about: string): Finding {
  return fine(about, "not known here; taken to be enough");
}

/** A finding with which the load works, but not well. */
export function note(about: string, says: string, remedies: readonly Remedy[]): Finding {
  return { about, isFine: false, isFatal: false, says, remedies };
}

/** A finding with which the load can't work. */
export function fatal(about: string, says: string, remedies: readonly Remedy[]): Finding {
  return { about, isFine: false, isFatal: true, says, remedies };
}

/** A finding's remedies as lines, each with its system. */
export function remedyLines({ remedies }: Finding): string[] {
  const width = Math.max(...remedies.map(({ where }) => where.length));
  return remedies.map(({ where, what }) => `${(where + ":").padEnd(width + 2)}${what}`);
}

/**
 * A finding in one line, with the first remedy for this system.
 *
 * @param os The system, as in {@linkcode SystemFacts.os}.
 */
export function findingLine({ says, remedies }: Finding, os: string): string {
  const system = os === "Darwin" ? "macOS" : os;
  const remedy = remedies.find(({ where }) => where === system) ?? remedies[0];
  return remedy === undefined ? says : `${says}; to mend it: ${remedy.what}`;
}
