/**
 * Ways in which a message frame can be wrong.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** Each makes another frame of a good one, in which the message isn't what was published. */
export const DAMAGES: Readonly<Record<string, (frame: string) => string | Uint8Array>> = {
  "one byte is another": (frame) => frame.replace("test_event", "test_evenT"),
  "it isn't JSON": (frame) => frame.replace('"data"', "data"),
  "it isn't an object": (frame) => `[${frame.slice(0, -1)}]\x01`,
  "it isn't UTF-8": (frame) => Buffer.from(frame.replace("test_", "\xff"), "latin1"),
  "two members have changed places": (frame) =>
    frame.replace(
      '"event":"test_event","message_id":""',
      '"message_id":"","event":"test_event"',
    ),
  "a member is missing": (frame) => frame.replace('"message_id":"",', ""),
  "a member is one too many": (frame) => frame.replace("}", ',"more":1}'),
  "a value has another type": (frame) => frame.replace('"message_id":""', '"message_id":0'),
  "its timestamp is none": (frame) => frame.replace(/\[\d+,/, '["1795",'),
  "its timestamp is gone": (frame) => frame.replace(/"timestamp":[^\]]*\],/, ""),
  "its timestamp isn't in front": (frame) =>
    frame.replace(/("timestamp":[^\]]*\]),("topic":"events")/, "$2,$1"),
  "it is on another topic": (frame) => frame.replace('"events"', '"event"'),
  "two have run together": (frame) => frame.slice(0, -1) + frame,
  "its end is cut off": (frame) => frame.slice(0, -2) + "\x01",
  "it says nothing at all": () => "\x01",
};
