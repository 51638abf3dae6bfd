/**
 * Checks UTF-8 that arrives in pieces.
 *
 * @module
 */

/** The state between characters. */
export const BETWEEN_CHARACTERS = 0;

/** The state behind bytes that can't be UTF-8, from which nothing leads away. */
export const NOT_UTF8 = 1;

// The other states, by the bytes that may come next.
const ONE_MORE = 2;
const TWO_MORE = 3;
const THREE_MORE = 4;
const AFTER_E0 = 5;
const AFTER_ED = 6;
const AFTER_F0 = 7;
const AFTER_F4 = 8;
const STATES = 9;

/** The next state for each state and byte, at `state * 256 + byte`. */
const table = makeTable();

function makeTable(): Uint8Array {
  const steps = new Uint8Array(STATES * 256).fill(NOT_UTF8);
  const lead = (state: number, from: number, to: number, next: number) =>
    steps.fill(next, state * 256 + from, state * 256 + to + 1);
  lead(BETWEEN_CHARACTERS, 0x00, 0x7f, BETWEEN_CHARACTERS);
  // Not from 0xc0: these and some others would spell characters longer than necessary.
  lead(BETWEEN_CHARACTERS, 0xc2, 0xdf, ONE_MORE);
  lead(BETWEEN_CHARACTERS, 0xe0, 0xef, TWO_MORE);
  lead(BETWEEN_CHARACTERS, 0xe0, 0xe0, AFTER_E0);
  lead(BETWEEN_CHARACTERS, 0xed, 0xed, AFTER_ED);
  lead(BETWEEN_CHARACTERS, 0xf1, 0xf3, THREE_MORE);
  lead(BETWEEN_CHARACTERS, 0xf0, 0xf0, AFTER_F0);
  lead(BETWEEN_CHARACTERS, 0xf4, 0xf4, AFTER_F4);
  lead(ONE_MORE, 0x80, 0xbf, BETWEEN_CHARACTERS);
  lead(TWO_MORE, 0x80, 0xbf, ONE_MORE);
  lead(THREE_MORE, 0x80, 0xbf, TWO_MORE);
  lead(AFTER_E0, 0xa0, 0xbf, ONE_MORE);
  // Not the surrogates.
  lead(AFTER_ED, 0x80, 0x9f, ONE_MORE);
  lead(AFTER_F0, 0x90, 0xbf, TWO_MORE);
  // Nothing above U+10FFFF.
  lead(AFTER_F4, 0x80, 0x8f, TWO_MORE);
  return steps;
}

/**
 * Checks the bytes from `start` to `end`.
 *
 * @param state The state behind the bytes before them; {@linkcode BETWEEN_CHARACTERS} at the beginning.
 * @returns The state behind them.
 */
export function checkUtf8(state: number, bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) state = table[state * 256 + bytes[i]!]!;
  return state;
}
