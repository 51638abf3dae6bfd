/**
 * The words of the wire that both directions and both ends share.
 *
 * @module
 */

/** Ends each frame that a client sends. */
export const CLIENT_TERMINATOR = 0x00;

/** Ends each frame that a server sends. Valid JSON text can't contain it. */
export const SERVER_TERMINATOR = 0x01;

const encoder = new TextEncoder();

/** Encodes text as UTF-8, in a buffer of its own. */
export function utf8Bytes(text: string): Uint8Array {
  return encoder.encode(text);
}

/** True if `bytes` from `start` to `end` are exactly `word`. */
export function isWord(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  const length = word.length;
  if (end - start !== length) return false;
  for (let i = 0; i < length; i++) if (bytes[start + i] !== word[i]) return false;
  return true;
}

/** True if `byte` is one of JSON's four white space characters. */
export function isJsonSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
