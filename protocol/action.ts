/**
 * The frames that ask the server to do something.
 *
 * @module
 */

import { ProtocolError } from "./errors.ts";
import { isJsonSpace } from "./frames.ts";
import { decodeJsonString } from "./json_string.ts";
import { INCOMPLETE, MALFORMED, memberName, ObjectScanner } from "./object_scanner.ts";
import { quoteBytes } from "./printable.ts";
import { readTopic } from "./topic_member.ts";

/** A decoded action frame. */
export interface Action {
  readonly action: "subscribe" | "unsubscribe";
  /** Valid and decoded. */
  readonly topic: string;
}

const MEMBERS = [memberName("action"), memberName("data")];
const ACTION = 0;
const DATA = 1;

/**
 * Decodes a whole frame, `bytes` from `start` to `end`, that is none of the protocol's plain words.
 *
 * @throws {ProtocolError} with `bad_frame` if it isn't an action frame.
 */
export function decodeAction(bytes: Uint8Array, start: number, end: number): Action {
  const origin = skipSpace(bytes, start, end);
  if (origin === end || bytes[origin] !== 0x7b) {
    throw badFrame(`Unknown frame ${quoteBytes(bytes, start, end)}`);
  }
  const scanner = new ObjectScanner(MEMBERS);
  const objectEnd = scanner.scan(bytes, origin, end);
  if (objectEnd === MALFORMED) {
    throw badFrame(`A frame is not JSON: ${scanner.problem(bytes, origin)}`);
  }
  if (objectEnd === INCOMPLETE) {
    throw badFrame(`A frame ends before its object does: ${quoteBytes(bytes, start, end)}`);
  }
  const rest = skipSpace(bytes, objectEnd, end);
  if (rest !== end) {
    throw badFrame(`Behind the object of a frame stands ${quoteBytes(bytes, rest, end)}`);
  }

  const { isPresent, isString, start: from, end: to } = scanner.member(ACTION);
  if (!isPresent) throw badFrame("The action is missing");
  if (!isString) throw badFrame("The action is not a string");
  const action = decodeJsonString(bytes, origin + from, origin + to);
  if (action !== "subscribe" && action !== "unsubscribe") {
    throw badFrame(`Unknown action ${quoteBytes(bytes, origin + from + 1, origin + to - 1)}`);
  }
  const data = scanner.member(DATA);
  return { action, topic: readTopic(bytes, origin, data, "bad_frame", "The data of an action") };
}

function skipSpace(bytes: Uint8Array, start: number, end: number): number {
  let pos = start;
  while (pos < end && isJsonSpace(bytes[pos]!)) pos++;
  return pos;
}

function badFrame(message: string): ProtocolError {
  return new ProtocolError("bad_frame", message);
}
