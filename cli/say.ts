/**
 * Prints lines for the user if possible. A command's work doesn't depend on them: a disk may be full, a
 * reader gone, an output closed.
 *
 * @module
 */

/** Prints a line on standard output, if possible. */
export function say(line: string): void {
  try {
    console.log(line);
  } catch {
    // Deno throws if the output is closed; Bun ignores it.
  }
}

/** Prints an error on standard error, if possible. */
export function complain(what: unknown): void {
  try {
    console.error(what);
  } catch {
    // There is no other place for the message.
  }
}
