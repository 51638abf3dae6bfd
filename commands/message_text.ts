/**
 * Messages as lines of text.
 *
 * @module
 */

/** Characters that JSON allows in a string as they are, and that may act on a terminal. */
const ACTIVE = /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A JSON text in one line that does nothing in a terminal. It means the same, and keeps its spelling. */
export function inOneLine(json: string): string {
  // White space stands between tokens only: in a string it is escaped.
  return json.replaceAll(/[\n\r\t]/g, " ").replaceAll(ACTIVE, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/**
 * The text of a member of a JSON object, as it is spelled there; of repeated ones the last. `undefined` if
 * there is none.
 *
 * @param json An object in valid JSON.
 */
export function memberText(json: string, name: string): string | undefined {
  let found: string | undefined;
  let depth = 0;
  let member = "";
  let start = 0;
  // Strings, and what gives an object its structure.
  for (const { 0: token, index } of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g)) {
    const isAtTop = depth === 1;
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (isAtTop && token === ":") start = index + 1;
    else if (isAtTop && token.startsWith('"') && start === 0) member = JSON.parse(token) as string;
    if (!isAtTop || token !== "," && depth !== 0) continue;
    if (member === name && start !== 0) found = json.slice(start, index).trim();
    start = 0;
  }
  return found;
}
