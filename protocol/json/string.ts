/**
 * Decodes and compares JSON strings that a scanner has already checked.
 *
 * @module
 */

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The value of the JSON string in `bytes` from `start` to `end`, quotation marks included. */
export function decodeJsonString(bytes: Uint8Array, start: number, end: number): string {
  const spelling = decoder.decode(bytes.subarray(start, end));
  return spelling.includes("\\") ? JSON.parse(spelling) : spelling.slice(1, -1);
}

const BACKSLASH = 0x5c;
const LETTER_U = 0x75;

/** The character of each short escape by its second byte, if that is ASCII. */
const SHORT_ESCAPES = new Uint8Array(128);
for (const [escape, character] of ['""', "\\\\", "//", "b\b", "f\f", "n\n", "r\r", "t\t"]) {
  SHORT_ESCAPES[escape!.charCodeAt(0)] = character!.charCodeAt(0);
}

/**
 * True if `bytes` from `start` to `end`, which stand between quotation marks and may have escapes, spell
 * the ASCII `word`. It takes at most as many steps as `word` is long, while a parser would read all bytes
 * and make a string.
 */
export function isEscapedWord(
  bytes: Uint8Array,
  start: number,
  end: number,
  word: Uint8Array,
): boolean {
  let pos = start;
  for (let i = 0; i < word.length; i++) {
    if (pos >= end) return false;
    let unit = bytes[pos]!;
    if (unit !== BACKSLASH) pos++;
    else if (bytes[pos + 1] !== LETTER_U) {
      unit = SHORT_ESCAPES[bytes[pos + 1]!]!;
      pos += 2;
    } else {
      unit = 0;
      for (let at = pos + 2; at < pos + 6; at++) unit = unit << 4 | hexDigit(bytes[at]!);
      pos += 6;
    }
    if (unit !== word[i]) return false;
  }
  return pos === end;
}

/** The value of a hexadecimal digit in ASCII. */
function hexDigit(byte: number): number {
  return byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x57;
}
