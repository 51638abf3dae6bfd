import { assert, assertEquals } from "@std/assert";
import {
  INCOMPLETE,
  MALFORMED,
  memberName,
  ObjectScanner,
} from "../../../protocol/json/object_scanner.ts";

export const NAMES = ["topic", "timestamp"];
export const utf8 = new TextEncoder();

export function newScanner(): ObjectScanner {
  return new ObjectScanner(NAMES.map(memberName));
}

/** A new scanner's result for `bytes` cut at `cuts`, and the place of a malformed byte. */
export function scan(bytes: Uint8Array, cuts: readonly number[] = []): { end: number; at: number } {
  const scanner = newScanner();
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    const end = scanner.scan(bytes, from, to);
    if (end === MALFORMED) {
      const [, at] = /at byte (\d+),/.exec(scanner.problem(bytes, 0))!;
      return { end, at: Number(at) };
    }
    if (end !== INCOMPLETE) return { end, at: -1 };
    from = to;
  }
  return { end: INCOMPLETE, at: -1 };
}

/** As {@linkcode scan}, and checks that it is the same byte by byte. */
export function scanEachWay(bytes: Uint8Array): { end: number; at: number } {
  const whole = scan(bytes);
  assertEquals(scan(bytes, [...bytes.keys()]), whole);
  return whole;
}

/** The scanner's findings in a complete object, as JSON.parse would have them. */
export function findings(bytes: Uint8Array): Record<string, unknown> {
  const scanner = newScanner();
  assertEquals(scanner.scan(bytes, 0, bytes.length), bytes.length);
  const found: Record<string, unknown> = {};
  NAMES.forEach((name, index) => {
    const { isPresent, isString, start, end } = scanner.member(index);
    if (!isPresent) return;
    found[name] = JSON.parse(new TextDecoder().decode(bytes.subarray(start, end)));
    assertEquals(isString, typeof found[name] === "string");
    assert(!/\s/.test(String.fromCharCode(bytes[start]!, bytes[end - 1]!)), "span has white space");
  });
  return found;
}
