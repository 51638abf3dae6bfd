/**
 * Positions in a topic, and what a subscriber that comes back says of its own.
 *
 * @module
 */

import { ProtocolError } from "./errors.ts";

/** The most origins that a client may name in a position. */
const MAX_NAMED_ORIGINS = 256;

/** The most stored messages that a client may ask for by their number. */
export const MAX_LAST_MESSAGES = 1_000;

/**
 * A position in a topic: of each origin the timestamp of its last message that was had, in microseconds
 * since the Unix epoch. An origin is the name of one run of one server process.
 */
export type Position = ReadonlyMap<string, number>;

/**
 * Where a subscription begins.
 *
 * - `new`: with the messages that are accepted from now on.
 * - `last`: with the newest `count` stored ones.
 * - `at`: behind a position.
 */
export type ResumeRequest =
  | { readonly from: "new" }
  | { readonly from: "last"; readonly count: number }
  | { readonly from: "at"; readonly position: Position };

/**
 * Why a subscription begins where it does.
 *
 * - `new`: the client hasn't said that it had anything.
 * - `ok`: the client gets all that it missed; the only reason with which it does.
 * - `off`: the server keeps no history of the topic.
 * - `too_old`: some of what the client missed is no longer kept.
 * - `unknown_origin`: the server has never heard of an origin, no longer remembers it, or it hasn't issued
 *   that timestamp yet.
 * - `gap`: the server lost messages between its own processes.
 */
export type ResumeReason = "new" | "ok" | "off" | "too_old" | "unknown_origin" | "gap";

const ORIGIN_PATTERN = /^[0-9a-f]{16}$/;

/** True for 16 lower-case hexadecimal digits. */
export function isOrigin(text: string): boolean {
  return ORIGIN_PATTERN.test(text);
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

const NEW: ResumeRequest = { from: "new" };

/**
 * Decodes the `resume` of a subscribe, which stands in `bytes` from `start` to `end`.
 *
 * @param bytes Must be valid JSON there, as a scanner has found.
 * @throws {ProtocolError} with `bad_frame` if it is anything but `{}`, `{"last":N}` or `{"at":{…}}`.
 */
export function readResume(bytes: Uint8Array, start: number, end: number): ResumeRequest {
  const value: unknown = JSON.parse(decoder.decode(bytes.subarray(start, end)));
  if (!isObject(value)) throw badFrame("The resume of a subscribe is not an object");
  const names = Object.keys(value);
  if (names.length === 0) return NEW;
  if (names.length === 1 && names[0] === "last") return readLast(value.last);
  if (names.length === 1 && names[0] === "at") return readPosition(value.at);
  throw badFrame('The resume of a subscribe is none of {}, {"last":N} and {"at":{…}}');
}

function readLast(count: unknown): ResumeRequest {
  const isValid = Number.isInteger(count) && (count as number) >= 1 &&
    (count as number) <= MAX_LAST_MESSAGES;
  if (isValid) return { from: "last", count: count as number };
  throw badFrame(`The last of a resume is not a whole number from 1 to ${MAX_LAST_MESSAGES}`);
}

function readPosition(at: unknown): ResumeRequest {
  if (!isObject(at)) throw badFrame("The at of a resume is not an object");
  const entries = Object.entries(at);
  if (entries.length > MAX_NAMED_ORIGINS) {
    throw badFrame(`The at of a resume names more than ${MAX_NAMED_ORIGINS} origins`);
  }
  const position = new Map<string, number>();
  for (const [origin, micros] of entries) {
    if (!isOrigin(origin)) {
      throw badFrame("The at of a resume has a name that is not 16 lower-case hex digits");
    }
    if (!Number.isSafeInteger(micros) || (micros as number) < 0) {
      throw badFrame("The at of a resume has a value that is not a whole number of microseconds");
    }
    position.set(origin, micros as number);
  }
  return { from: "at", position };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function badFrame(message: string): ProtocolError {
  return new ProtocolError("bad_frame", message);
}
