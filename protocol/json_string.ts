/**
 * Decodes a JSON string that a scanner has already checked.
 *
 * @module
 */

// Without ignoreBOM a topic that begins with U+FEFF would lose it.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The value of the JSON string in `bytes` from `start` to `end`, quotation marks included. */
export function decodeJsonString(bytes: Uint8Array, start: number, end: number): string {
  const spelling = decoder.decode(bytes.subarray(start, end));
  return spelling.includes("\\") ? JSON.parse(spelling) : spelling.slice(1, -1);
}
