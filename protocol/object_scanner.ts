/**
 * Checks a JSON object byte by byte, in as many pieces as the network makes of it, and notes where
 * some of its members stand. Nothing is decoded and nothing is recursive, so that hostile nesting
 * costs the same on every runtime: one bit a level.
 *
 * @module
 */

import { asciiBytes, isJsonSpace, isWord } from "./frames.ts";
import { decodeJsonString } from "./json_string.ts";
import { quoteBytes } from "./printable.ts";

/** {@linkcode ObjectScanner.scan}: the bytes ended before the object did. */
export const INCOMPLETE = -1;
/** {@linkcode ObjectScanner.scan}: the bytes can't be the beginning of a JSON object. */
export const MALFORMED = -2;

/** A top-level member that the scanner was asked to find; offsets count from the object's `{`. */
export interface ScannedMember {
  /** Whether the object has it. The other fields mean nothing if not. */
  readonly isPresent: boolean;
  readonly isString: boolean;
  /** Whether the string holds a backslash. */
  readonly isEscaped: boolean;
  /** Where its value begins, quotation mark included. */
  readonly start: number;
  /** Where its value has ended, quotation mark included. */
  readonly end: number;
}

class Member implements ScannedMember {
  readonly name: string;
  readonly nameBytes: Uint8Array;
  isPresent = false;
  isString = false;
  isEscaped = false;
  start = 0;
  end = 0;

  constructor(name: string) {
    this.name = name;
    this.nameBytes = asciiBytes(name);
  }
}

// Where in the grammar the next byte stands. The first three are also results of STRING_STEP.
const BAD = 0;
const STRING = 1;
const ESCAPE = 2;
/** The next byte must be a UTF-8 continuation that ends a character; TAIL_2 wants two, and so on. */
const TAIL_1 = 3;
const TAIL_2 = 4;
const TAIL_3 = 5;
/** The second bytes that Unicode's table 3-7 narrows: no overlong forms, surrogates, or beyond U+10FFFF. */
const TAIL_E0 = 6;
const TAIL_ED = 7;
const TAIL_F0 = 8;
const TAIL_F4 = 9;
/** In STRING_STEP: the closing quotation mark. */
const QUOTE = 10;
const HEX_1 = 11;
const HEX_2 = 12;
const HEX_3 = 13;
const HEX_4 = 14;
const OPENING = 15;
const FIRST_NAME = 16;
const NAME = 17;
const COLON = 18;
const FIRST_ITEM = 19;
const VALUE = 20;
const AFTER_VALUE = 21;
const LITERAL = 22;
const MINUS = 23;
const ZERO = 24;
const INTEGER = 25;
const POINT = 26;
const FRACTION = 27;
const EXPONENT = 28;
const EXPONENT_SIGN = 29;
const EXPONENT_DIGITS = 30;

/** The state after each byte inside a string. */
const STRING_STEP = new Uint8Array(256);
STRING_STEP.fill(STRING, 0x20, 0x80);
STRING_STEP.fill(TAIL_1, 0xc2, 0xe0);
STRING_STEP.fill(TAIL_2, 0xe0, 0xf0);
STRING_STEP.fill(TAIL_3, 0xf0, 0xf5);
STRING_STEP[0x22] = QUOTE;
STRING_STEP[0x5c] = ESCAPE;
STRING_STEP[0xe0] = TAIL_E0;
STRING_STEP[0xed] = TAIL_ED;
STRING_STEP[0xf0] = TAIL_F0;
STRING_STEP[0xf4] = TAIL_F4;

/** The state after a value's first byte. */
const VALUE_START = new Uint8Array(256);
VALUE_START.fill(INTEGER, 0x31, 0x3a);
VALUE_START[0x22] = STRING;
VALUE_START[0x2d] = MINUS;
VALUE_START[0x30] = ZERO;
VALUE_START[0x5b] = FIRST_ITEM;
VALUE_START[0x66] = LITERAL;
VALUE_START[0x6e] = LITERAL;
VALUE_START[0x74] = LITERAL;
VALUE_START[0x7b] = FIRST_NAME;

const LITERALS = new TextEncoder().encode("true\0false\0null\0");
const TRUE_TAIL = 1;
const FALSE_TAIL = 6;
const NULL_TAIL = 12;

const LEVELS_PER_WORD = 32;

/**
 * A scanner for one object at a time. {@linkcode begin} readies it for the next, whatever came of
 * the last.
 */
export class ObjectScanner {
  readonly #members: readonly Member[];
  #state = OPENING;
  #scanned = 0;
  /** Open arrays and objects. The innermost 1 to 32 are bits of `#kinds`, 1 for an object. */
  #depth = 0;
  #kinds = 0;
  /** The full words of bits outside `#kinds`, outermost first. */
  #outerKinds: number[] | undefined;
  /** The string being scanned is a member's name. */
  #isName = false;
  #isEscaped = false;
  #nameStart = 0;
  /** The next byte of the literal being scanned. */
  #literal = 0;
  /** The wanted member whose value is next, or being scanned. */
  #current: Member | undefined;

  /** @param names The wanted top-level members' names, in ASCII. */
  constructor(names: readonly string[]) {
    this.#members = names.map((name) => new Member(name));
  }

  /** Bytes of memory held for deep nesting; 0 for objects up to 32 levels deep. */
  get heldBytes(): number {
    return (this.#outerKinds?.length ?? 0) * 8;
  }

  /** The member with the name at `index` of those given to the constructor. */
  member(index: number): ScannedMember {
    const member = this.#members[index];
    if (member === undefined) throw new RangeError(`No name at ${index}`);
    return member;
  }

  /** Forgets everything but the wanted names; the next byte is an object's first. */
  begin(): void {
    this.#state = OPENING;
    this.#scanned = 0;
    this.#depth = 0;
    this.#kinds = 0;
    this.#outerKinds = undefined;
    this.#current = undefined;
    for (const member of this.#members) member.isPresent = false;
  }

  /**
   * Scans `bytes` from `from` to `to`, the object's next. Its bytes before those must still stand
   * before `from`, in this array or another: names are compared where they stand.
   *
   * @returns the offset behind the closing `}`, where it stops; or {@linkcode INCOMPLETE} or
   * {@linkcode MALFORMED}.
   */
  scan(bytes: Uint8Array, from: number, to: number): number {
    const origin = from - this.#scanned;
    let state = this.#state;
    let pos = from;
    scanning: while (pos < to) {
      const byte = bytes[pos]!;
      switch (state) {
        case STRING: {
          let step = STRING_STEP[byte]!;
          while (step === STRING) {
            if (++pos === to) break scanning;
            step = STRING_STEP[bytes[pos]!]!;
          }
          if (step === QUOTE) {
            if (this.#isName) {
              if (this.#depth === 1) this.#matchName(bytes, origin + this.#nameStart, pos + 1);
              state = COLON;
            } else {
              this.#endValue(pos + 1 - origin);
              state = AFTER_VALUE;
            }
          } else {
            if (step === BAD) break scanning;
            if (step === ESCAPE) this.#isEscaped = true;
            state = step;
          }
          break;
        }

        case NAME:
        case FIRST_NAME:
          if (byte === 0x22) {
            this.#isName = true;
            this.#isEscaped = false;
            this.#nameStart = pos - origin;
            state = STRING;
          } else if (byte === 0x7d && state === FIRST_NAME) {
            this.#close(pos + 1 - origin);
            if (this.#depth === 0) return pos + 1;
            state = AFTER_VALUE;
          } else if (!isJsonSpace(byte)) break scanning;
          break;

        case COLON:
          if (byte === 0x3a) state = VALUE;
          else if (!isJsonSpace(byte)) break scanning;
          break;

        case VALUE:
        case FIRST_ITEM:
          if (isJsonSpace(byte)) break;
          if (byte === 0x5d && state === FIRST_ITEM) {
            this.#close(pos + 1 - origin);
            state = AFTER_VALUE;
            break;
          }
          if (VALUE_START[byte] === BAD) break scanning;
          state = VALUE_START[byte]!;
          this.#beginValue(byte, pos - origin);
          break;

        case AFTER_VALUE: {
          const isObject = (this.#kinds & 1) === 1;
          if (byte === 0x2c) state = isObject ? NAME : VALUE;
          else if (byte === (isObject ? 0x7d : 0x5d)) {
            this.#close(pos + 1 - origin);
            if (this.#depth === 0) return pos + 1;
          } else if (!isJsonSpace(byte)) break scanning;
          break;
        }

        case OPENING:
          if (byte !== 0x7b) break scanning;
          this.#open(byte);
          state = FIRST_NAME;
          break;

        case ESCAPE:
          if (byte === 0x75) state = HEX_4;
          else if (isSimpleEscape(byte)) state = STRING;
          else break scanning;
          break;
        case HEX_4:
        case HEX_3:
        case HEX_2:
        case HEX_1:
          if (!isHexDigit(byte)) break scanning;
          state = state === HEX_1 ? STRING : state - 1;
          break;

        case TAIL_1:
        case TAIL_2:
        case TAIL_3:
          if (byte < 0x80 || byte > 0xbf) break scanning;
          state = state === TAIL_1 ? STRING : state - 1;
          break;
        case TAIL_E0:
          if (byte < 0xa0 || byte > 0xbf) break scanning;
          state = TAIL_1;
          break;
        case TAIL_ED:
          if (byte < 0x80 || byte > 0x9f) break scanning;
          state = TAIL_1;
          break;
        case TAIL_F0:
          if (byte < 0x90 || byte > 0xbf) break scanning;
          state = TAIL_2;
          break;
        case TAIL_F4:
          if (byte < 0x80 || byte > 0x8f) break scanning;
          state = TAIL_2;
          break;

        case LITERAL:
          if (byte !== LITERALS[this.#literal]) break scanning;
          if (LITERALS[++this.#literal] === 0) {
            this.#endValue(pos + 1 - origin);
            state = AFTER_VALUE;
          }
          break;

        case MINUS:
          if (byte === 0x30) state = ZERO;
          else if (isDigit(byte)) state = INTEGER;
          else break scanning;
          break;
        case POINT:
          if (!isDigit(byte)) break scanning;
          state = FRACTION;
          break;
        case EXPONENT:
          if (byte === 0x2b || byte === 0x2d) state = EXPONENT_SIGN;
          else if (isDigit(byte)) state = EXPONENT_DIGITS;
          else break scanning;
          break;
        case EXPONENT_SIGN:
          if (!isDigit(byte)) break scanning;
          state = EXPONENT_DIGITS;
          break;

        // The remaining states may end the number: the byte behind it is looked at once more.
        default:
          if (state !== ZERO && isDigit(byte)) break;
          if (byte === 0x2e && (state === ZERO || state === INTEGER)) state = POINT;
          else if ((byte | 0x20) === 0x65 && state !== EXPONENT_DIGITS) state = EXPONENT;
          else {
            this.#endValue(pos - origin);
            state = AFTER_VALUE;
            continue;
          }
      }
      pos++;
    }
    this.#state = state;
    this.#scanned = pos - origin;
    return pos === to ? INCOMPLETE : MALFORMED;
  }

  /**
   * What is wrong, for the peer's developer, after {@linkcode MALFORMED}.
   *
   * @param bytes Those given to {@linkcode scan}.
   * @param origin Where the object begins in them.
   */
  problem(bytes: Uint8Array, origin: number): string {
    const at = origin + this.#scanned;
    const found = quoteBytes(bytes, at, at + 1);
    return `${found} at byte ${this.#scanned}, where ${expectation(this.#state)} should be`;
  }

  #open(opening: number): void {
    if (this.#depth > 0 && this.#depth % LEVELS_PER_WORD === 0) {
      (this.#outerKinds ??= []).push(this.#kinds);
    }
    this.#kinds = (this.#kinds << 1) | (opening === 0x7b ? 1 : 0);
    this.#depth++;
  }

  #close(end: number): void {
    this.#depth--;
    if (this.#depth > 0 && this.#depth % LEVELS_PER_WORD === 0) {
      this.#kinds = this.#outerKinds!.pop()!;
    } else {
      this.#kinds >>>= 1;
    }
    this.#endValue(end);
  }

  #beginValue(first: number, start: number): void {
    const current = this.#current;
    if (current !== undefined && this.#depth === 1) {
      current.isPresent = true;
      current.isString = first === 0x22;
      current.start = start;
    }
    switch (first) {
      case 0x22:
        this.#isName = false;
        this.#isEscaped = false;
        break;
      case 0x7b:
      case 0x5b:
        this.#open(first);
        break;
      case 0x74:
        this.#literal = TRUE_TAIL;
        break;
      case 0x66:
        this.#literal = FALSE_TAIL;
        break;
      case 0x6e:
        this.#literal = NULL_TAIL;
        break;
    }
  }

  #endValue(end: number): void {
    const current = this.#current;
    if (current === undefined || this.#depth !== 1) return;
    current.isEscaped = this.#isEscaped;
    current.end = end;
    this.#current = undefined;
  }

  #matchName(bytes: Uint8Array, start: number, end: number): void {
    for (const member of this.#members) {
      if (isWord(bytes, start + 1, end - 1, member.nameBytes)) {
        this.#current = member;
        return;
      }
    }
    if (this.#isEscaped) {
      const name = decodeJsonString(bytes, start, end, true);
      this.#current = this.#members.find((member) => member.name === name);
    }
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isHexDigit(byte: number): boolean {
  const lower = byte | 0x20;
  return isDigit(byte) || (lower >= 0x61 && lower <= 0x66);
}

/** The bytes that may stand behind a backslash, `u` apart: `"\/bfnrt`. */
function isSimpleEscape(byte: number): boolean {
  switch (byte) {
    case 0x22:
    case 0x5c:
    case 0x2f:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return true;
    default:
      return false;
  }
}

function expectation(state: number): string {
  switch (state) {
    case OPENING:
      return "an object";
    case FIRST_NAME:
      return "a member or the object's end";
    case NAME:
      return "a member's name";
    case COLON:
      return "a colon";
    case VALUE:
    case FIRST_ITEM:
      return "a value";
    case AFTER_VALUE:
      return "a comma or a closing bracket";
    case STRING:
      return "a character of a string in UTF-8, with control characters escaped";
    case ESCAPE:
      return "an escape";
    case HEX_1:
    case HEX_2:
    case HEX_3:
    case HEX_4:
      return "a hexadecimal digit";
    case LITERAL:
      return "true, false or null";
    case TAIL_1:
    case TAIL_2:
    case TAIL_3:
    case TAIL_E0:
    case TAIL_ED:
    case TAIL_F0:
    case TAIL_F4:
      return "the rest of a character in UTF-8";
    default:
      return "a digit";
  }
}
