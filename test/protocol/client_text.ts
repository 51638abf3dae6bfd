/**
 * Says in one line what a stream of text leads to.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { ErrorCode } from "../../protocol/errors.ts";
import { decodeCut, everyByte, type Heard, type Outcome, violation } from "./client_stream.ts";

const utf8 = new TextEncoder();

/** The MESSAGE of the 2009 bots. */
export const EVENT = '{"topic":"events","event":"test_event","message_id":"","data":"test"}';

/** The result of a stream of text in UTF-8, which is the same in one chunk and byte by byte. */
export function outcome(text: string): Outcome {
  const bytes = utf8.encode(text);
  const whole = decodeCut(bytes);
  assertEquals(decodeCut(bytes, everyByte(bytes)), whole);
  return whole;
}

/** Checks that `text` leads to this, and to no error. */
export function assertHeard(text: string, ...heard: Heard[]): void {
  assertEquals(outcome(text), { heard }, text);
}

/** Checks that `text` is refused with `code` after `heard`, and why. */
export function assertRefused(
  text: string,
  code: ErrorCode,
  reason: string,
  ...heard: Heard[]
): void {
  assertEquals(outcome(text), { heard, error: code }, text);
  const error = violation(utf8.encode(text))!;
  assertStringIncludes(error.message, reason);
  assert(/^[\x20-\x7e]{1,200}$/.test(error.message), error.message);
}

/** As {@linkcode assertRefused}, where the last byte of `text` is the one that is wrong. */
export function assertRefusedAtOnce(text: string, code: ErrorCode, reason: string): void {
  assertRefused(text, code, reason);
  assertEquals(outcome(text.slice(0, -1)).error, undefined, text);
}
