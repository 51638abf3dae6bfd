/**
 * Reads the topic out of a scanned object.
 *
 * @module
 */

import { type ErrorCode, ProtocolError } from "./errors.ts";
import { decodeJsonString } from "./json/string.ts";
import type { ScannedMember } from "./json/object_scanner.ts";
import type { TopicSpellings } from "./topic_spellings.ts";
import { MAX_TOPIC_BYTES, topicProblem } from "./topic.ts";

/** Six bytes for each byte of a topic, whose longest spelling is like `\u0061`, and quotation marks. */
const MAX_SPELLED_TOPIC_BYTES = 6 * MAX_TOPIC_BYTES + 2;

/**
 * The decoded topic.
 *
 * @param origin The offset in `bytes` at which the object begins.
 * @param code The error's code if the topic is missing or invalid.
 * @param subject The member's name in the error's message.
 * @param spellings Remembers the topic.
 * @throws {ProtocolError} if the topic is missing or invalid.
 */
export function readTopic(
  bytes: Uint8Array,
  origin: number,
  member: ScannedMember,
  code: ErrorCode,
  subject: string,
  spellings: TopicSpellings,
): string {
  if (!member.isPresent) throw new ProtocolError(code, `${subject} is missing`);
  if (!member.isString) throw new ProtocolError(code, `${subject} is not a string`);
  const start = origin + member.start;
  const end = origin + member.end;
  const known = spellings.find(bytes, start, end);
  if (known !== undefined) return known;
  if (end - start > MAX_SPELLED_TOPIC_BYTES) {
    throw new ProtocolError(code, `${subject} is longer than ${MAX_TOPIC_BYTES} bytes`);
  }
  const topic = decodeJsonString(bytes, start, end);
  const problem = topicProblem(topic);
  if (problem !== undefined) throw new ProtocolError(code, `${subject} ${problem}`);
  spellings.remember(bytes, start, end, topic);
  return topic;
}
