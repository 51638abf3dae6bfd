/**
 * Reads files of keys, one key a line.
 *
 * @module
 */

import { EnvironmentError, quote } from "./command_line.ts";
import { readFile } from "./text_file.ts";

/** A key in a file. */
export interface FiledKey {
  readonly key: string;
  /** The key's line, from 1. */
  readonly line: number;
}

/**
 * Reads the keys of a UTF-8 file. Space around a key is ignored; empty lines and lines that begin with
 * `#` hold no key. A key that itself begins with `#` has a `\` before it, and one that begins with such a
 * `\` another.
 *
 * @param what The file's name in the message if it can't be read, such as `--key-file FILE`.
 * @throws {EnvironmentError} if it can't be read, or isn't UTF-8. In another encoding its bytes would be
 * other keys than its reader sees.
 */
export function readKeyFile(what: string, path: string): FiledKey[] {
  const bytes = readFile(what, path);
  checkEncoding(bytes, path);
  const utf8 = new TextDecoder("utf-8", { fatal: true });
  const keys: FiledKey[] = [];
  for (let line = 1, start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline;
    let text: string;
    try {
      text = utf8.decode(bytes.subarray(start, end)).trim();
    } catch (cause) {
      throw new EnvironmentError(
        `line ${line} of ${
          quote(path)
        } isn't UTF-8: save the file in UTF-8, and write random keys as ` +
          "letters and digits, such as openssl rand -hex 32 prints",
        { cause },
      );
    }
    if (text !== "" && !text.startsWith("#")) {
      keys.push({ key: text.replace(/^\\(?=\\*#)/, ""), line });
    }
    start = end + 1;
  }
  return keys;
}

function checkEncoding(bytes: Uint8Array, path: string): void {
  const [first, second] = bytes;
  const hasMark = first === 0xff && second === 0xfe || first === 0xfe && second === 0xff;
  const nul = bytes.indexOf(0);
  if (!hasMark && nul === -1) return;
  const line = hasMark ? 1 : bytes.subarray(0, nul).filter((byte) => byte === 0x0a).length + 1;
  const what = hasMark ? "begins as UTF-16 does" : "has a NUL byte, as UTF-16 does";
  throw new EnvironmentError(`line ${line} of ${quote(path)} ${what}: save the file in UTF-8`);
}
