/**
 * What to do about what a server says to those it refuses.
 *
 * @module
 */

import { counted } from "../../cli/counted.ts";

/** The server's own words, as the cause of what is thrown on their account. */
export class RefusalError extends Error {
  override readonly name = "RefusalError";
}

/**
 * How to mend a refusal, as a sentence's next part; empty where the words say all.
 *
 * @param refusal The code, and perhaps more words behind it.
 * @param n How many bots the server should have had room for.
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
