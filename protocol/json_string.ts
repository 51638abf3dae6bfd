/**
 * Decodes a JSON string that a scanner has already checked.
 *
 * @module
 */

const decoder = new TextDecoder();

/** The value of the JSON string in `bytes` from `start` to `end`, quotation marks included. */
export function decodeJsonString(bytes: Uint8Array, start: number, end: number): string {
  // With the quotation mark in front, a string's U+FEFF is no byte order mark to be dropped.
  const spelling = decoder.decode(bytes.subarray(start, end));
  return spelling.includes("\\") ? JSON.parse(spelling) : spelling.slice(1, -1);
}
