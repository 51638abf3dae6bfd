/**
 * The client's half of the protocol told in the simplest way: whole streams, text, `JSON.parse`.
 * Quadratic and recursive, for short streams in tests only.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { asLatin1, type Heard, latin1, type Outcome } from "./client_stream.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const WORDS = ["", "<regular-socket/>", "PING", "PONG"];
const MARKER = "<regular-socket/>\0";

/** The expected result of a stream; `maybe` if the model can't tell "incomplete" from "malformed". */
export type Expected = Outcome & { readonly maybe?: "bad_message" };

/** The facts about a client that its whole stream shows, besides its requests. */
export interface ModelManner {
  /** It began as clients of 2009 do, or has sent only the beginning of that. */
  readonly beganAsLegacy: boolean;
  /** The number of its requests before it first did something that no client of 2009 does. */
  readonly askedBeforeNew: number;
  /** Its last MESSAGE isn't terminated. */
  readonly awaitsTerminator: boolean;
}

interface Manner {
  askedBeforeNew: number;
  awaitsTerminator: boolean;
}

/** Parses JSON text in UTF-8 that is an object; `undefined` for anything else. */
export function parseObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(decoder.decode(bytes));
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? value : undefined;
  } catch {
    return undefined;
  }
}

function isTopic(value: unknown): value is string {
  if (typeof value !== "string" || !value.isWellFormed()) return false;
  const { length } = new TextEncoder().encode(value);
  return length >= 1 && length <= 256;
}

/** Checks an outcome against the model's. */
export function assertAsModel(stream: Uint8Array, actual: Outcome, maxFrameBytes: number): void {
  const { heard, error, maybe } = modelOutcome(stream, maxFrameBytes);
  assertEquals(actual.heard, heard);
  if (maybe === undefined || actual.error !== maybe) assertEquals(actual.error, error);
}

/** The spelling of the object that is a frame's `data`, if it is one; a 0 can stand for it. */
function spelledData(frame: string): string | undefined {
  for (let start = frame.indexOf("{", 1); start > 0; start = frame.indexOf("{", start + 1)) {
    for (let end = start; (end = frame.indexOf("}", end) + 1) > 0;) {
      const spelled = frame.slice(start, end);
      const object = parseObject(latin1(`${frame.slice(0, start)}0${frame.slice(end)}`));
      if (object?.["data"] === 0 && parseObject(latin1(spelled)) !== undefined) return spelled;
    }
  }
  return undefined;
}

/** The outcome of a client's whole stream. */
export function modelOutcome(
  stream: Uint8Array,
  maxFrameBytes: number,
): Expected & { readonly manner: ModelManner } {
  const manner: Manner = { askedBeforeNew: Infinity, awaitsTerminator: false };
  const outcome = outcomeOf(stream, maxFrameBytes, manner);
  const text = asLatin1(stream);
  const beganAsLegacy = text.startsWith(MARKER) || text !== "" && MARKER.startsWith(text);
  return { ...outcome, manner: { beganAsLegacy, ...manner } };
}

function outcomeOf(stream: Uint8Array, maxFrameBytes: number, manner: Manner): Expected {
  const heard: Heard[] = [];
  const doNew = () => manner.askedBeforeNew = Math.min(manner.askedBeforeNew, heard.length);
  let rest = stream;
  for (;;) {
    const end = rest.indexOf(0);
    if ((end === -1 ? rest.length : end) > maxFrameBytes) {
      return { heard, error: "frame_too_large" };
    }
    if (end === -1) return { heard };
    const frame = rest.subarray(0, end);
    rest = rest.subarray(end + 1);
    const word = asLatin1(frame);
    if (word === "PONG") doNew();
    if (WORDS.includes(word)) continue;
    if (word !== "PUBLISH") {
      const object = parseObject(frame);
      const { action, data } = object ?? {};
      if (action === "authenticate" && typeof data === "string") {
        doNew();
        heard.push([action, data]);
        continue;
      }
      if (action === "publish" && data !== undefined) {
        const spelled = spelledData(word);
        const { topic } = spelled === undefined ? {} : parseObject(latin1(spelled))!;
        if (
          spelled === undefined || !isTopic(topic) || Object.hasOwn(data as object, "timestamp")
        ) {
          return { heard, error: "bad_message" };
        }
        doNew();
        heard.push(["publish for receipt", topic, spelled]);
        continue;
      }
      if ((action !== "subscribe" && action !== "unsubscribe") || !isTopic(data)) {
        return { heard, error: "bad_frame" };
      }
      heard.push([action, data]);
      continue;
    }

    // MESSAGE. Latin-1 makes one character of each byte, so offsets in text and bytes are the same.
    const [ignored] = /^(?:\0|<regular-socket\/>\0)*/.exec(asLatin1(rest))!;
    rest = rest.subarray(ignored.length);
    if ("<regular-socket/>\0".startsWith(asLatin1(rest))) return { heard };
    const [before] = /^[ \t\r\n]*/.exec(asLatin1(rest))!;
    if (before.length > maxFrameBytes) return { heard, error: "frame_too_large" };
    rest = rest.subarray(before.length);
    if (rest.length === 0) return { heard };
    if (rest[0] !== 0x7b) return { heard, error: "bad_message" };

    let length = 0;
    let object: Record<string, unknown> | undefined;
    while (object === undefined) {
      length = rest.indexOf(0x7d, length) + 1;
      if (length > maxFrameBytes || (length === 0 && rest.length > maxFrameBytes)) {
        return { heard, error: "frame_too_large", maybe: "bad_message" };
      }
      if (length === 0) return { heard, maybe: "bad_message" };
      object = parseObject(rest.subarray(0, length));
    }
    const { topic } = object;
    if (Object.hasOwn(object, "timestamp") || !isTopic(topic)) {
      return { heard, error: "bad_message" };
    }
    heard.push(["publish", topic, asLatin1(rest.subarray(0, length))]);
    rest = rest.subarray(length);
    manner.awaitsTerminator = true;

    const [after] = /^[ \t\r\n]*/.exec(asLatin1(rest))!;
    if (after.length > maxFrameBytes) return { heard, error: "frame_too_large" };
    rest = rest.subarray(after.length);
    if (rest.length === 0) return { heard };
    if (rest[0] !== 0) return { heard, error: "bad_frame" };
    manner.awaitsTerminator = false;
    doNew();
    rest = rest.subarray(1);
  }
}
