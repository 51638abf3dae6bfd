/**
 * Shows a peer's bytes in messages and logs.
 *
 * @module
 */

const MAX_QUOTED_CHARACTERS = 40;

/**
 * Quotes the beginning of bytes that aren't secret, `bytes` from `start` to `end`, as printable ASCII: at
 * most 40 characters between the quotation marks, other bytes as `\xNN`, and `...` after them if that
 * isn't all.
 */
export function quoteBytes(bytes: Uint8Array, start: number, end: number): string {
  let quoted = "";
  for (let i = start; i < end; i++) {
    const shown = showByte(bytes[i]!);
    if (quoted.length + shown.length > MAX_QUOTED_CHARACTERS) return `"${quoted}"...`;
    quoted += shown;
  }
  return `"${quoted}"`;
}

/**
 * Describes bytes that a client sent in the wrong place only by the first byte and the length, since they
 * may be a key. Says so if they are empty.
 */
export function describeBytes(bytes: Uint8Array, start: number, end: number): string {
  if (start === end) return "nothing";
  const rest = end - start - 1;
  const first = quoteByte(bytes[start]!);
  return rest === 0 ? first : `${first} and ${rest} ${rest === 1 ? "byte" : "bytes"} more`;
}

/** Quotes one byte as printable ASCII. */
export function quoteByte(byte: number): string {
  return `"${showByte(byte)}"`;
}

function showByte(byte: number): string {
  const isPlain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
  return isPlain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
}
