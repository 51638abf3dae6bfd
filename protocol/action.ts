/**
 * The frames that ask the server to do something.
 *
 * @module
 */

import { ProtocolError } from "./errors.ts";
import { isJsonSpace, isWord, utf8Bytes } from "./framing/frames.ts";
import { decodeJsonString } from "./json/string.ts";
import { MessageScanner } from "./message_scanner.ts";
import {
  INCOMPLETE,
  MALFORMED,
  memberName,
  ObjectScanner,
  type ScannedMember,
} from "./json/object_scanner.ts";
import { describeBytes } from "./json/printable.ts";
import { readResume, type ResumeRequest } from "./resume.ts";
import { MAX_TOPIC_BYTES } from "./topic.ts";
import { readTopic } from "./topic_member.ts";
import type { TopicSpellings } from "./topic_spellings.ts";

/** A decoded action frame. */
export type Action =
  | {
    readonly action: "subscribe";
    /** Valid and decoded. */
    readonly topic: string;
    /** The position at which the subscription begins, if the client says so. */
    readonly resume: ResumeRequest | undefined;
  }
  | {
    readonly action: "unsubscribe";
    /** Valid and decoded. */
    readonly topic: string;
  }
  | {
    readonly action: "publish";
    /** Valid and decoded. */
    readonly topic: string;
    /** MESSAGE's object, checked: a view of the frame's memory. */
    readonly message: Uint8Array;
  }
  | {
    readonly action: "authenticate";
    /** Decoded; a secret, which belongs in no message. */
    readonly key: string;
  };

/** The longest key, in bytes of its spelling in JSON, quotation marks included. */
export const MAX_SPELLED_KEY_BYTES = 1024;

const AUTHENTICATE = "authenticate";

const DATA_SUBJECT = "The data of an action";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const PLAIN_ACTIONS = (["subscribe", "unsubscribe"] as const).map((action) => (
  { action, opening: utf8Bytes(`{"action":"${action}","data":"`) }
));

const MEMBERS = [memberName("action"), memberName("data"), memberName("resume")];
const ACTION = 0;
const DATA = 1;
const RESUME = 2;

/**
 * Decodes a whole frame, `bytes` from `start` to `end`, that is none of the protocol's plain words.
 * A publish's `message` is a view of `bytes`.
 *
 * @param spellings Remembers topics.
 * @throws {ProtocolError} with `bad_frame` if it isn't an action frame, or `bad_message` if a publish's
 * MESSAGE isn't valid.
 */
export function decodeAction(
  bytes: Uint8Array,
  start: number,
  end: number,
  spellings: TopicSpellings,
): Action {
  const plain = decodePlain(bytes, start, end, spellings);
  if (plain !== undefined) return plain;
  const origin = skipSpace(bytes, start, end);
  if (origin === end || bytes[origin] !== 0x7b) {
    throw badFrame(`Unknown frame ${describeBytes(bytes, start, end)}`);
  }
  const scanner = new ObjectScanner(MEMBERS);
  const objectEnd = scanner.scan(bytes, origin, end);
  if (objectEnd === MALFORMED) {
    throw badFrame(`A frame is not JSON: ${scanner.problem(bytes, origin)}`);
  }
  if (objectEnd === INCOMPLETE) {
    throw badFrame(`A frame ends before its object does, after ${end - origin} bytes`);
  }
  const rest = skipSpace(bytes, objectEnd, end);
  if (rest !== end) {
    throw badFrame(`Behind the object of a frame stands ${describeBytes(bytes, rest, end)}`);
  }

  const { isPresent, isString, start: from, end: to } = scanner.member(ACTION);
  if (!isPresent) throw badFrame("The action is missing");
  if (!isString) throw badFrame("The action is not a string");
  const action = decodeJsonString(bytes, origin + from, origin + to);
  if (action === AUTHENTICATE) {
    return { action, key: readKey(bytes, origin, scanner.member(DATA)) };
  }
  if (action === "publish") return readMessage(bytes, origin, scanner.member(DATA), spellings);
  if (action !== "subscribe" && action !== "unsubscribe") {
    throw badFrame(`Unknown action ${describeBytes(bytes, origin + from + 1, origin + to - 1)}`);
  }
  const data = scanner.member(DATA);
  const topic = readTopic(bytes, origin, data, "bad_frame", DATA_SUBJECT, spellings);
  if (action === "unsubscribe") return { action, topic };
  const resume = scanner.member(RESUME);
  return {
    action,
    topic,
    resume: resume.isPresent
      ? readResume(bytes, origin + resume.start, origin + resume.end)
      : undefined,
  };
}

/**
 * Decodes a subscribe or an unsubscribe in the spelling that most clients use, whose topic has only plain
 * characters.
 */
function decodePlain(
  bytes: Uint8Array,
  start: number,
  end: number,
  spellings: TopicSpellings,
): Action | undefined {
  if (bytes[end - 1] !== 0x7d || bytes[end - 2] !== QUOTE) return undefined;
  for (const { action, opening } of PLAIN_ACTIONS) {
    // The opening ends in the topic's quotation mark.
    const from = start + opening.length - 1;
    const to = end - 1;
    if (to - from < 3 || to - from > MAX_TOPIC_BYTES) continue;
    if (!isWord(bytes, start, from + 1, opening)) continue;
    const known = spellings.find(bytes, from, to);
    if (known !== undefined) return plainAction(action, known);
    if (!isPlain(bytes, from + 1, to - 1)) return undefined;
    const topic = decodeJsonString(bytes, from, to);
    spellings.remember(bytes, from, to, topic);
    return plainAction(action, topic);
  }
  return undefined;
}

function plainAction(action: "subscribe" | "unsubscribe", topic: string): Action {
  return action === "subscribe" ? { action, topic, resume: undefined } : { action, topic };
}

/** True if the bytes are printable ASCII that stands for itself in a JSON string. */
function isPlain(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte < 0x20 || byte > 0x7e || byte === QUOTE || byte === BACKSLASH) return false;
  }
  return true;
}

function readMessage(
  bytes: Uint8Array,
  origin: number,
  member: ScannedMember,
  spellings: TopicSpellings,
): Action {
  if (!member.isPresent) throw badFrame("The data of an action is missing");
  const message = bytes.subarray(origin + member.start, origin + member.end);
  const scanner = new MessageScanner();
  if (message[0] !== 0x7b || scanner.scanAlone(message, 0, message.length) !== message.length) {
    throw new ProtocolError(
      "bad_message",
      `MESSAGE is not a JSON object: it is ${describeBytes(message, 0, message.length)}`,
    );
  }
  return { action: "publish", topic: scanner.readTopic(message, 0, spellings), message };
}

function readKey(bytes: Uint8Array, origin: number, member: ScannedMember): string {
  const { isPresent, isString, start, end } = member;
  if (!isPresent) throw badFrame("The key is missing");
  if (!isString) throw badFrame("The key is not a string");
  if (end - start > MAX_SPELLED_KEY_BYTES) {
    throw badFrame(`The key is longer than ${MAX_SPELLED_KEY_BYTES} bytes`);
  }
  return decodeJsonString(bytes, origin + start, origin + end);
}

function skipSpace(bytes: Uint8Array, start: number, end: number): number {
  let pos = start;
  while (pos < end && isJsonSpace(bytes[pos]!)) pos++;
  return pos;
}

function badFrame(message: string): ProtocolError {
  return new ProtocolError("bad_frame", message);
}
