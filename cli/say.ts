/**
 * Lines for the one who started a command, where its work doesn't depend on them: a disk may be full, a
 * reader gone, an output closed.
 *
 * @module
 */

/** Says a line on standard output, if it can. */
export function say(line: string): void {
  try {
    console.log(line);
  } catch {
    // Deno throws; Bun says nothing.
  }
}

/** Says what is wrong on standard error, if it can. */
export function complain(what: unknown): void {
  try {
    console.error(what);
  } catch {
    // There is no better place to say that.
  }
}
