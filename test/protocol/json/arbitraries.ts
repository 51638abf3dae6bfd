/**
 * Random JSON objects in random spellings, and streams with a few bytes wrong.
 *
 * @module
 */

import fc from "fast-check";
import { anyText } from "../../support/any_text.ts";

/** Characters of each length in UTF-8, and those that JSON treats in some way of their own. */
const character = fc.oneof(
  fc.constantFrom("a", "topic", "}", "{", "]", "[", ",", ":", " ", "0", "é", "€", "\ufeff", "😀"),
  anyText({ minLength: 1, maxLength: 1 }),
);

function escapeUnits(text: string): string {
  let escaped = "";
  for (let i = 0; i < text.length; i++) {
    escaped += "\\u" + text.charCodeAt(i).toString(16).padStart(4, "0");
  }
  return escaped;
}

const spelledCharacter = fc.oneof(
  { weight: 8, arbitrary: character.map((text) => JSON.stringify(text).slice(1, -1)) },
  { weight: 1, arbitrary: character.map(escapeUnits) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("\\/", "\\n", '\\"', "\\\\", "\\ud800", "\\uDC00", "\\b"),
  },
);

const stringText = fc.array(spelledCharacter, { maxLength: 8 }).map((all) => `"${all.join("")}"`);

/** A word with some of its characters escaped. */
function respelled(word: string): fc.Arbitrary<string> {
  return fc.array(fc.boolean(), { minLength: word.length, maxLength: word.length }).map(
    (escape) => {
      const spelled = [...word].map((letter, i) => escape[i] ? escapeUnits(letter) : letter);
      return `"${spelled.join("")}"`;
    },
  );
}

const nameText = fc.oneof(
  stringText,
  fc.constantFrom('"topic"', '"timestamp"', '"action"', '"data"'),
  respelled("topic"),
  respelled("timestamp"),
);

const numberText = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => JSON.stringify(number)),
  fc.constantFrom("0", "-0", "-0.0", "10", "1e5", "1E+05", "0e-1", "12.50", "1e400"),
);

const space = fc.oneof(
  { weight: 6, arbitrary: fc.constant("") },
  { weight: 1, arbitrary: fc.constantFrom(" ", "\n", "\t\r", "  ") },
);

const { object } = fc.letrec<{ value: string; object: string; array: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom("true", "false", "null"),
    numberText,
    stringText,
    tie("array"),
    tie("object"),
  ),
  array: fc.array(fc.tuple(space, tie("value"), space).map((parts) => parts.join("")), {
    maxLength: 4,
  }).chain((items) => space.map((inner) => `[${inner}${items.join(",")}]`)),
  object: fc.array(
    fc.tuple(space, nameText, space, fc.constant(":"), space, tie("value"), space)
      .map((parts) => parts.join("")),
    { maxLength: 5 },
  ).chain((members) => space.map((inner) => `{${inner}${members.join(",")}}`)),
}));

/** The text of a random object, without white space around it; lone surrogates only as escapes. */
export const objectText: fc.Arbitrary<string> = object;

const byte = fc.oneof(
  fc.nat(255),
  fc.constantFrom(...'{}[]",:\\ \0\x01\x1f09-.eEtu\x7f\x80\xbf\xc2\xe0\xed\xf0\xf4\xff')
    .map((one) => one.charCodeAt(0)),
);

/** Each of `source`, with one to three bytes replaced, added or removed. */
export function editedBytes(source: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const edit = fc.tuple(fc.nat(), fc.constantFrom(0, 1), fc.array(byte, { maxLength: 2 }));
  return fc.tuple(source, fc.array(edit, { minLength: 1, maxLength: 3 })).map(([bytes, edits]) => {
    const edited = [...bytes];
    for (const [mark, removed, added] of edits) {
      edited.splice(mark % (edited.length + 1), removed, ...added);
    }
    return Uint8Array.from(edited);
  });
}
