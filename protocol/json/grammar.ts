/**
 * The grammar of a JSON object (RFC 8259) in UTF-8, as a table of steps: what to do with a byte in a
 * state, and the state that follows.
 *
 * A table can't count nesting: when a container closes, the caller that walks the table decides which
 * state follows.
 *
 * @module
 */

// The actions of a step, besides going on to the next state.
/**
 * The byte opens an array, or an object. These two come first and are told apart by their lowest bit,
 * which is what is kept of an open container.
 */
export const OPEN_OBJECT = 1;
const OPEN_ARRAY = 2;
export const LAST_OPENING = OPEN_ARRAY;
/** The byte closes the innermost container, and thereby a value. */
export const CLOSE = 3;
/** The byte is the last of a value; the container decides the next state. */
const END_VALUE = 4;
/** The byte ends the number before it without being part of it, and must be scanned once more. */
export const END_NUMBER = 5;
export const LAST_ENDING = END_NUMBER;
/** The byte can't stand here. */
export const REFUSE = 6;
/** The byte opens a member's name. */
export const BEGIN_NAME = 7;
/** The byte closes a member's name. */
const END_NAME = 8;
/** The byte begins an escape in a member's name. */
export const ESCAPE_NAME = 9;
/** The byte is the first of a value that isn't a container. */
export const BEGIN_VALUE = 10;

/** A state is a multiple of 256, so that `state | byte` is an index of the table. */
export const STATE_SHIFT = 8;

/** The bits of a step that hold its action, or 0; the others hold the next state. */
export const ACTION = 0xff;

/** The table, and the states that the scanner must know. */
export interface JsonGrammar {
  /** The step for a byte in a state is at `state | byte`. */
  readonly steps: Uint16Array;
  /** Before the object. */
  readonly start: number;
  /** Behind a value in an object. */
  readonly afterMember: number;
  /** Behind a value in an array. */
  readonly afterItem: number;
  /** The expected next byte, for messages; for a state at `state >> STATE_SHIFT`. */
  readonly expectations: readonly string[];
}

/** Unicode 17, table 3-7, without ASCII: ranges of lead and second bytes, number of bytes behind. */
const MULTIBYTE_CHARACTERS: readonly (readonly [number, number, number, number, number])[] = [
  [0xc2, 0xdf, 0x80, 0xbf, 0],
  [0xe0, 0xe0, 0xa0, 0xbf, 1],
  [0xe1, 0xec, 0x80, 0xbf, 1],
  [0xed, 0xed, 0x80, 0x9f, 1],
  [0xee, 0xef, 0x80, 0xbf, 1],
  [0xf0, 0xf0, 0x90, 0xbf, 2],
  [0xf1, 0xf3, 0x80, 0xbf, 2],
  [0xf4, 0xf4, 0x80, 0x8f, 2],
];

class GrammarBuilder {
  readonly #rows: Uint16Array[] = [];
  readonly expectations: string[] = [];

  /** Adds a state in which each byte takes the step `otherwise`. */
  state(expectation: string, otherwise = REFUSE): number {
    this.#rows.push(new Uint16Array(256).fill(otherwise));
    return (this.expectations.push(expectation) - 1) << STATE_SHIFT;
  }

  /** Adds a state in which whitespace changes nothing. */
  spaced(expectation: string): number {
    const state = this.state(expectation);
    this.on(state, " \t\r\n", state);
    return state;
  }

  on(state: number, bytes: string, next: number, action = 0): void {
    for (const byte of bytes) {
      const code = byte.charCodeAt(0);
      this.range(state, code, code, next, action);
    }
  }

  range(state: number, first: number, last: number, next: number, action = 0): void {
    this.#rows[state >> STATE_SHIFT]!.fill(next | action, first, last + 1);
  }

  steps(): Uint16Array {
    const steps = new Uint16Array(this.#rows.length * 256);
    this.#rows.forEach((row, state) => steps.set(row, state << STATE_SHIFT));
    return steps;
  }
}

/** Adds the inside of a string; the closing quotation mark takes the given step. */
function addString(grammar: GrammarBuilder, next: number, close: number, escape: number): number {
  const body = grammar.state("a character that needs no escape");
  grammar.range(body, 0x20, 0x7f, body);
  grammar.on(body, '"', next, close);

  const escaped = grammar.state("an escape");
  grammar.on(body, "\\", escaped, escape);
  grammar.on(escaped, '"\\/bfnrt', body);
  let digit = body;
  for (let i = 0; i < 4; i++) {
    const before = grammar.state("a hexadecimal digit");
    grammar.on(before, "0123456789abcdefABCDEF", digit);
    digit = before;
  }
  grammar.on(escaped, "u", digit);

  const tails = [body];
  for (let i = 0; i < 2; i++) {
    const tail = grammar.state("the rest of a character in UTF-8");
    grammar.range(tail, 0x80, 0xbf, tails[i]!);
    tails.push(tail);
  }
  for (const [firstLead, lastLead, firstSecond, lastSecond, rest] of MULTIBYTE_CHARACTERS) {
    const second = grammar.state("the rest of a character in UTF-8");
    grammar.range(body, firstLead, lastLead, second);
    grammar.range(second, firstSecond, lastSecond, tails[rest]!);
  }
  return body;
}

/** Adds numbers, which may begin in each state of `before`. */
function addNumber(grammar: GrammarBuilder, before: readonly number[]): void {
  const minus = grammar.state("a digit");
  const zero = grammar.state("the rest of a number", END_NUMBER);
  const integer = grammar.state("the rest of a number", END_NUMBER);
  const point = grammar.state("a digit");
  const fraction = grammar.state("the rest of a number", END_NUMBER);
  const exponent = grammar.state("a digit or a sign");
  const sign = grammar.state("a digit");
  const power = grammar.state("the rest of a number", END_NUMBER);
  for (const state of before) {
    grammar.on(state, "-", minus, BEGIN_VALUE);
    grammar.on(state, "0", zero, BEGIN_VALUE);
    grammar.on(state, "123456789", integer, BEGIN_VALUE);
  }
  grammar.on(minus, "0", zero);
  grammar.on(minus, "123456789", integer);
  grammar.on(integer, "0123456789", integer);
  for (const state of [zero, integer]) grammar.on(state, ".", point);
  for (const state of [point, fraction]) grammar.on(state, "0123456789", fraction);
  for (const state of [zero, integer, fraction]) grammar.on(state, "eE", exponent);
  grammar.on(exponent, "+-", sign);
  for (const state of [exponent, sign, power]) grammar.on(state, "0123456789", power);
}

function addLiteral(grammar: GrammarBuilder, before: readonly number[], word: string): void {
  let state = grammar.state(word);
  for (const value of before) grammar.on(value, word[0]!, state, BEGIN_VALUE);
  for (let i = 1; i < word.length - 1; i++) {
    const next = grammar.state(word);
    grammar.on(state, word[i]!, next);
    state = next;
  }
  grammar.on(state, word.at(-1)!, 0, END_VALUE);
}

/** Builds the table. */
export function buildJsonGrammar(): JsonGrammar {
  const grammar = new GrammarBuilder();
  const start = grammar.state("an object");
  const firstName = grammar.spaced("a member or the object's end");
  const name = grammar.spaced("a member's name");
  const colon = grammar.spaced("a colon");
  const value = grammar.spaced("a value");
  const firstItem = grammar.spaced("a value or the array's end");
  const afterMember = grammar.spaced("a comma or the object's end");
  const afterItem = grammar.spaced("a comma or the array's end");

  grammar.on(start, "{", firstName, OPEN_OBJECT);
  grammar.on(firstName, "}", 0, CLOSE);
  grammar.on(colon, ":", value);
  grammar.on(firstItem, "]", 0, CLOSE);
  grammar.on(afterMember, ",", name);
  grammar.on(afterMember, "}", 0, CLOSE);
  grammar.on(afterItem, ",", value);
  grammar.on(afterItem, "]", 0, CLOSE);

  const nameString = addString(grammar, colon, END_NAME, ESCAPE_NAME);
  for (const state of [firstName, name]) grammar.on(state, '"', nameString, BEGIN_NAME);

  const values = [value, firstItem];
  const string = addString(grammar, 0, END_VALUE, 0);
  for (const state of values) {
    grammar.on(state, '"', string, BEGIN_VALUE);
    grammar.on(state, "{", firstName, OPEN_OBJECT);
    grammar.on(state, "[", firstItem, OPEN_ARRAY);
  }
  addNumber(grammar, values);
  for (const word of ["true", "false", "null"]) addLiteral(grammar, values, word);

  const { expectations } = grammar;
  return { steps: grammar.steps(), start, afterMember, afterItem, expectations };
}
