/**
 * Decodes a JSON string that a scanner has already checked.
 *
 * @module
 */

// Without ignoreBOM a topic that begins with U+FEFF would lose it.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The value of a JSON string.
 *
 * @param start Where it stands in `bytes`, its opening quotation mark included.
 * @param end Behind its closing quotation mark.
 * @param isEscaped Whether it holds a backslash.
 */
export function decodeJsonString(
  bytes: Uint8Array,
  start: number,
  end: number,
  isEscaped: boolean,
): string {
  if (isEscaped) return JSON.parse(decoder.decode(bytes.subarray(start, end)));
  return decoder.decode(bytes.subarray(start + 1, end - 1));
}
