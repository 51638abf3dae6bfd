/**
 * Random text of any characters.
 *
 * @module
 */

import fc from "fast-check";

/**
 * Any character but half of one, those of ASCII the most often. The unit that fast-check has for it
 * takes Deno a second and more to make.
 */
const character = fc.oneof(
  fc.integer({ min: 0, max: 0x7f }),
  fc.integer({ min: 0, max: 0xd7ff }),
  fc.integer({ min: 0xe000, max: 0x10ffff }),
).map((code) => String.fromCodePoint(code));

/** Text of so many characters. */
export function anyText(
  lengths: { readonly minLength?: number; readonly maxLength?: number } = {},
): fc.Arbitrary<string> {
  return fc.string({ ...lengths, unit: character });
}
