/**
 * Checks a JSON object byte by byte, in any number of pieces, and notes the positions of some of its
 * members. It decodes nothing and uses no recursion, so that hostile nesting costs the same on every
 * runtime: one bit a level.
 *
 * @module
 */

import { type BufferPool, NEW_BUFFERS } from "../framing/buffer_pool.ts";
import { isWord, utf8Bytes } from "../framing/frames.ts";
import {
  ACTION,
  BEGIN_NAME,
  BEGIN_VALUE,
  buildJsonGrammar,
  CLOSE,
  END_NUMBER,
  ESCAPE_NAME,
  LAST_ENDING,
  LAST_OPENING,
  OPEN_OBJECT,
  REFUSE,
  STATE_SHIFT,
} from "./grammar.ts";
import { isEscapedWord } from "./string.ts";
import { quoteByte } from "./printable.ts";

/** {@linkcode ObjectScanner.scan}: the bytes ended before the object did. */
export const INCOMPLETE: number = -1;
/** {@linkcode ObjectScanner.scan}: the bytes can't be the beginning of a JSON object. */
export const MALFORMED: number = -2;

/** The name of a member that a scanner has to find. */
export type MemberName = Uint8Array;

/**
 * Prepares a name for comparison. Call it once, not for each scanner.
 *
 * @throws {RangeError} if it has characters that aren't ASCII.
 */
export function memberName(text: string): MemberName {
  const name = utf8Bytes(text);
  if (name.length !== text.length) throw new RangeError(`The name ${text} isn't ASCII`);
  return name;
}

/** A top-level member that the scanner was asked to find; offsets count from the object's `{`. */
export interface ScannedMember {
  /** True if the object has the member. If not, the other fields mean nothing. */
  readonly isPresent: boolean;
  /** True if the value is a string. */
  readonly isString: boolean;
  /** The offset at which the value begins, including a quotation mark. */
  readonly start: number;
  /** The offset behind the value, including a quotation mark. */
  readonly end: number;
}

class Member implements ScannedMember {
  readonly name: MemberName;
  isPresent = false;
  isString = false;
  start = 0;
  end = 0;

  constructor(name: MemberName) {
    this.name = name;
  }
}

const {
  steps: STEPS,
  start: START,
  afterMember: AFTER_MEMBER,
  afterItem: AFTER_ITEM,
  expectations,
} = buildJsonGrammar();

/** Open arrays and objects of which one word keeps the kinds, a bit each. */
const LEVELS_PER_WORD = 32;
const WORD_BYTES = 4;

/** The offset of the first byte from `pos` on that changes the state; `to` if none does. */
function skipUnchanged(bytes: Uint8Array, pos: number, to: number, state: number): number {
  // Four at a time: in Bun a loop over single bytes takes twice as long.
  for (; pos + 4 <= to; pos += 4) {
    const changes = (STEPS[state | bytes[pos]!]! ^ state) |
      (STEPS[state | bytes[pos + 1]!]! ^ state) |
      (STEPS[state | bytes[pos + 2]!]! ^ state) |
      (STEPS[state | bytes[pos + 3]!]! ^ state);
    if (changes !== 0) break;
  }
  while (pos < to && STEPS[state | bytes[pos]!] === state) pos++;
  return pos;
}

/**
 * Scans one object at a time. {@linkcode begin} prepares it for the next, even if the last one wasn't
 * completed.
 */
export class ObjectScanner {
  readonly #members: Member[] = [];
  readonly #pool: BufferPool;
  #state = START;
  #scanned = 0;
  /** Open arrays and objects. `#kinds` has a bit for each of the innermost 1 to 32, the last lowest. */
  #depth = 0;
  #kinds = 0;
  /** The full words of bits outside `#kinds`, outermost first. */
  #outerKinds: Uint8Array | undefined;
  #nameStart = 0;
  #nameIsEscaped = false;
  /** The wanted member whose value comes next, or is being scanned. */
  #current: Member | undefined;

  /**
   * @param names The wanted top-level members' names.
   * @param pool Lends memory for deep nesting.
   */
  constructor(names: readonly MemberName[], pool: BufferPool = NEW_BUFFERS) {
    this.#pool = pool;
    for (const name of names) this.#members.push(new Member(name));
  }

  /** Bytes of memory held for deep nesting; 0 for objects up to 32 levels deep. */
  get heldBytes(): number {
    return this.#outerKinds?.length ?? 0;
  }

  /**
   * The member with the name at `index` of those given to the constructor.
   *
   * @throws {RangeError} if there is no such name.
   */
  member(index: number): ScannedMember {
    const member = this.#members[index];
    if (member === undefined) throw new RangeError(`No name at ${index}`);
    return member;
  }

  /** Forgets everything but the wanted names; the next byte is an object's first. */
  begin(): void {
    this.#state = START;
    this.#scanned = 0;
    this.#depth = 0;
    this.#kinds = 0;
    this.#current = undefined;
    this.release();
    for (const member of this.#members) member.isPresent = false;
  }

  /**
   * As {@linkcode begin}, but counts as scanned what leads up to a member's end: the object must begin with
   * the same bytes as the last one.
   *
   * @param index The member's, whose value must be a string.
   */
  beginBehind(index: number): void {
    const { end } = this.#members[index]!;
    this.#state = AFTER_MEMBER;
    this.#scanned = end;
    this.#depth = 1;
    this.#kinds = OPEN_OBJECT;
    this.#current = undefined;
    this.release();
    for (const member of this.#members) if (member.end > end) member.isPresent = false;
  }

  /** Gives back the memory held for deep nesting. Call {@linkcode begin} before the next scan. */
  release(): void {
    if (this.#outerKinds !== undefined) this.#pool.giveBack(this.#outerKinds);
    this.#outerKinds = undefined;
  }

  /**
   * Scans the object's next bytes, `bytes` from `from` to `to`. The object's earlier bytes must stand
   * directly before `from`, in this array or another, since names are compared in place.
   *
   * @returns The offset behind the closing `}`, where scanning stops; or {@linkcode INCOMPLETE} or
   * {@linkcode MALFORMED}.
   */
  scan(bytes: Uint8Array, from: number, to: number): number {
    const origin = from - this.#scanned;
    const steps = STEPS;
    let state = this.#state;
    let depth = this.#depth;
    let kinds = this.#kinds;
    let pos = from;
    for (; pos < to; pos++) {
      let step = steps[state | bytes[pos]!]!;
      // Most bytes of a message are inside strings and change nothing.
      if (step === state) {
        pos = skipUnchanged(bytes, pos + 1, to, state);
        if (pos === to) break;
        step = steps[state | bytes[pos]!]!;
      }
      const action = step & ACTION;
      if (action === 0) {
        state = step;
        continue;
      }
      if (action <= LAST_OPENING) {
        if (depth === 1) this.#beginValue(bytes[pos]!, pos - origin);
        if (depth % LEVELS_PER_WORD === 0 && depth > 0) this.#pushWord(depth, kinds);
        kinds = (kinds << 1) | (action & 1);
        depth++;
        state = step ^ action;
        continue;
      }
      if (action <= LAST_ENDING) {
        if (action === CLOSE) {
          if (--depth === 0) {
            this.release();
            return pos + 1;
          }
          if (depth % LEVELS_PER_WORD === 0) kinds = this.#popWord(depth);
          else kinds >>= 1;
        } else if (action === END_NUMBER) pos--;
        if (depth === 1) this.#endValue(pos + 1 - origin);
        state = (kinds & 1) === OPEN_OBJECT ? AFTER_MEMBER : AFTER_ITEM;
        continue;
      }
      if (action === REFUSE) break;
      if (action === BEGIN_NAME) {
        this.#nameStart = pos - origin;
        this.#nameIsEscaped = false;
      } else if (action === ESCAPE_NAME) this.#nameIsEscaped = true;
      else if (depth === 1) {
        if (action === BEGIN_VALUE) this.#beginValue(bytes[pos]!, pos - origin);
        else this.#matchName(bytes, origin + this.#nameStart, pos);
      }
      state = step ^ action;
    }
    this.#state = state;
    this.#depth = depth;
    this.#kinds = kinds;
    this.#scanned = pos - origin;
    return pos === to ? INCOMPLETE : MALFORMED;
  }

  /**
   * Describes the fault after {@linkcode MALFORMED}, for the peer's developer.
   *
   * @param bytes The bytes given to {@linkcode scan}.
   * @param origin The offset in them at which the object begins.
   */
  problem(bytes: Uint8Array, origin: number): string {
    const at = origin + this.#scanned;
    const found = quoteByte(bytes[at]!);
    return `${found} at byte ${this.#scanned}, where ${
      expectations[this.#state >> STATE_SHIFT]
    } should be`;
  }

  /** A value of the top level begins. */
  #beginValue(first: number, start: number): void {
    const member = this.#current;
    if (member === undefined) return;
    member.isPresent = true;
    member.isString = first === 0x22;
    member.start = start;
  }

  /** A value of the top level has ended. */
  #endValue(end: number): void {
    if (this.#current === undefined) return;
    this.#current.end = end;
    this.#current = undefined;
  }

  /** Stores a full word of kinds, for the levels up to `depth`. */
  #pushWord(depth: number, kinds: number): void {
    const end = depth / LEVELS_PER_WORD * WORD_BYTES;
    let words = this.#outerKinds;
    if (words === undefined || words.length < end) {
      const grown = this.#pool.take(end);
      if (words !== undefined) {
        grown.set(words);
        this.#pool.giveBack(words);
      }
      this.#outerKinds = words = grown;
    }
    for (let i = 1; i <= WORD_BYTES; i++) {
      words[end - i] = kinds;
      kinds >>= 8;
    }
  }

  /** Returns the stored word of kinds for the levels up to `depth`. */
  #popWord(depth: number): number {
    const words = this.#outerKinds!;
    const end = depth / LEVELS_PER_WORD * WORD_BYTES;
    let kinds = 0;
    for (let at = end - WORD_BYTES; at < end; at++) kinds = (kinds << 8) | words[at]!;
    return kinds;
  }

  /** Makes a wanted member current if its name stands between quotation marks at `start` and `end`. */
  #matchName(bytes: Uint8Array, start: number, end: number): void {
    const isSpelledBy = this.#nameIsEscaped ? isEscapedWord : isWord;
    for (const member of this.#members) {
      if (isSpelledBy(bytes, start + 1, end, member.name)) {
        this.#current = member;
        return;
      }
    }
  }
}
