/**
 * Shows a peer's bytes in messages and logs.
 *
 * @module
 */

const MAX_QUOTED_CHARACTERS = 40;

/**
 * Quotes the beginning of `bytes` from `start` to `end` as printable ASCII: at most 40 characters
 * between the quotation marks, other bytes as `\xNN`, and `...` behind them if that isn't all.
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

function showByte(byte: number): string {
  const isPlain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
  return isPlain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
}
