/**
 * Checks a JSON object byte by byte, in as many pieces as the network makes of it, and notes where
 * some of its members stand. Nothing is decoded and nothing is recursive, so that hostile nesting
 * costs the same on every runtime: some bits a level.
 *
 * @module
 */

import { isWord, utf8Bytes } from "./frames.ts";
import {
  ACTION_SHIFT,
  BEGIN_NAME,
  BEGIN_VALUE,
  buildJsonGrammar,
  CLOSE,
  END_NAME,
  END_NUMBER,
  END_VALUE,
  ESCAPE_NAME,
  OPEN_ARRAY,
  OPEN_OBJECT,
  REFUSE,
} from "./json_grammar.ts";
import { decodeJsonString } from "./json_string.ts";
import { quoteBytes } from "./printable.ts";

/** {@linkcode ObjectScanner.scan}: the bytes ended before the object did. */
export const INCOMPLETE: number = -1;
/** {@linkcode ObjectScanner.scan}: the bytes can't be the beginning of a JSON object. */
export const MALFORMED: number = -2;

/** A member's name to look for. */
export interface MemberName {
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** Readies an ASCII name for comparison; once, not for each scanner. */
export function memberName(text: string): MemberName {
  return { text, bytes: utf8Bytes(text) };
}

/** A top-level member that the scanner was asked to find; offsets count from the object's `{`. */
export interface ScannedMember {
  /** Whether the object has it. The other fields mean nothing if not. */
  readonly isPresent: boolean;
  /** Whether its value is a string. */
  readonly isString: boolean;
  /** Where its value begins, quotation mark included. */
  readonly start: number;
  /** Where its value has ended, quotation mark included. */
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

const OBJECT = 1;
const ARRAY = 0;
const LEVELS_PER_WORD = 32;

/**
 * A scanner for one object at a time. {@linkcode begin} readies it for the next, whatever came of
 * the last.
 */
export class ObjectScanner {
  readonly #members: Member[] = [];
  #state = START;
  #scanned = 0;
  /** Open arrays and objects. The innermost 1 to 32 are bits of `#kinds`, the last one lowest. */
  #depth = 0;
  #kinds = 0;
  /** The full words of bits outside `#kinds`, outermost first. */
  #outerKinds: number[] | undefined;
  #nameStart = 0;
  #nameIsEscaped = false;
  /** The wanted member whose value is next, or being scanned. */
  #current: Member | undefined;

  /** @param names The wanted top-level members' names. */
  constructor(names: readonly MemberName[]) {
    for (const name of names) this.#members.push(new Member(name));
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
    this.#state = START;
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
    scanning: for (; pos < to; pos++) {
      const row = state << 8;
      let step = STEPS[row | bytes[pos]!]!;
      // Most bytes of a message are inside strings and change nothing.
      while (step === state) {
        if (++pos === to) break scanning;
        step = STEPS[row | bytes[pos]!]!;
      }
      const action = step >> ACTION_SHIFT;
      if (action === 0) {
        state = step;
        continue;
      }
      switch (action) {
        case BEGIN_NAME:
          this.#nameStart = pos - origin;
          this.#nameIsEscaped = false;
          break;
        case END_NAME:
          if (this.#depth === 1) this.#matchName(bytes, origin + this.#nameStart, pos + 1);
          break;
        case BEGIN_VALUE:
          this.#beginValue(bytes[pos]!, pos - origin);
          break;
        case END_VALUE:
          state = this.#endValue(pos + 1 - origin);
          continue;
        case CLOSE:
          this.#pop();
          if (this.#depth === 0) return pos + 1;
          state = this.#endValue(pos + 1 - origin);
          continue;
        case OPEN_OBJECT:
          this.#beginValue(bytes[pos]!, pos - origin);
          this.#push(OBJECT);
          break;
        case OPEN_ARRAY:
          this.#beginValue(bytes[pos]!, pos - origin);
          this.#push(ARRAY);
          break;
        case END_NUMBER:
          state = this.#endValue(pos - origin);
          pos--;
          continue;
        case ESCAPE_NAME:
          this.#nameIsEscaped = true;
          break;
        case REFUSE:
          break scanning;
      }
      state = step & 0xff;
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
    return `${found} at byte ${this.#scanned}, where ${expectations[this.#state]} should be`;
  }

  #beginValue(first: number, start: number): void {
    const member = this.#current;
    if (member === undefined || this.#depth !== 1) return;
    member.isPresent = true;
    member.isString = first === 0x22;
    member.start = start;
  }

  /** Returns the state behind a value in the innermost container. */
  #endValue(end: number): number {
    if (this.#current !== undefined && this.#depth === 1) {
      this.#current.end = end;
      this.#current = undefined;
    }
    return (this.#kinds & 1) === OBJECT ? AFTER_MEMBER : AFTER_ITEM;
  }

  #push(kind: number): void {
    if (this.#depth > 0 && this.#depth % LEVELS_PER_WORD === 0) {
      (this.#outerKinds ??= []).push(this.#kinds);
    }
    this.#kinds = (this.#kinds << 1) | kind;
    this.#depth++;
  }

  #pop(): void {
    this.#depth--;
    if (this.#depth > 0 && this.#depth % LEVELS_PER_WORD === 0) {
      this.#kinds = this.#outerKinds!.pop()!;
    } else {
      this.#kinds >>>= 1;
    }
  }

  #matchName(bytes: Uint8Array, start: number, end: number): void {
    for (const member of this.#members) {
      if (isWord(bytes, start + 1, end - 1, member.name.bytes)) {
        this.#current = member;
        return;
      }
    }
    if (this.#nameIsEscaped) {
      const name = decodeJsonString(bytes, start, end);
      this.#current = this.#members.find((member) => member.name.text === name);
    }
  }
}
