/**
 * Remedies for a server's refusals.
 *
 * @module
 */

import { counted } from "../../cli/counted.ts";

/** A refusal in the server's own words, as the `cause` of another error. */
export class RefusalError extends Error {
  override readonly name = "RefusalError";
}

/**
 * The remedy for a refusal, to append to a sentence; empty if there is none to add.
 *
 * @param refusal The server's code, and perhaps its text after it.
 * @param n The number of bots that the server should have admitted.
 */
export function remedyFor(refusal: string, n: number): string {
  if (refusal.startsWith("too_many_connections")) {
    return `; for ${
      counted(n, "bot")
    } start the server with \`--workers 2\`, a higher descriptor ` +
      `limit (\`ulimit -n\`) or higher limits of its own; \`deno task doctor ${n}\` says what it needs`;
  }
  if (refusal.startsWith("forbidden")) return "; --key-file FILE shows the server a key";
  if (refusal.startsWith("frame_too_large")) {
    return "; --size takes fewer bytes, and the server's --max-frame-bytes more";
  }
  return "";
}
