/**
 * Reads the topic out of a scanned object.
 *
 * @module
 */

import { type ErrorCode, ProtocolError } from "./errors.ts";
import { decodeJsonString } from "./json/string.ts";
import type { ScannedMember } from "./json/object_scanner.ts";
import { MAX_TOPIC_BYTES, topicProblem } from "./topic.ts";

/** Six bytes for each byte of a topic, whose longest spelling is like `\u0061`, and quotation marks. */
const MAX_SPELLED_TOPIC_BYTES = 6 * MAX_TOPIC_BYTES + 2;

/**
 * The decoded topic.
 *
 * @param origin The offset in `bytes` at which the object begins.
 * @param code The error's code if the topic is missing or invalid.
 * @param subject The member's name in the error's message.
 * @throws {ProtocolError} if the topic is missing or invalid.
 */
export function readTopic(
  bytes: Uint8Array,
  origin: number,
  member: ScannedMember,
  code: ErrorCode,
  subject: string,
): string {
  if (!member.isPresent) throw new ProtocolError(code, `${subject} is missing`);
  if (!member.isString) throw new ProtocolError(code, `${subject} is not a string`);
  const { start, end } = member;
  if (end - start > MAX_SPELLED_TOPIC_BYTES) {
    throw new ProtocolError(code, `${subject} is longer than ${MAX_TOPIC_BYTES} bytes`);
  }
  const topic = decodeJsonString(bytes, origin + start, origin + end);
  const problem = topicProblem(topic);
  if (problem !== undefined) throw new ProtocolError(code, `${subject} ${problem}`);
  return topic;
}
