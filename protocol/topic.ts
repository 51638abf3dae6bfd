/**
 * The rules for topics.
 *
 * @module
 */

/** The longest topic, in bytes of UTF-8 after decoding. Part of the protocol. */
export const MAX_TOPIC_BYTES = 256;

/**
 * The fault of a topic, in words that follow "topic" in a sentence, such as `is empty`; `undefined` for a
 * valid one: 1 to {@linkcode MAX_TOPIC_BYTES} bytes in UTF-8, and no lone surrogate, which UTF-8 can't
 * express.
 */
export function topicProblem(topic: string): string | undefined {
  if (topic.length === 0) return "is empty";
  if (topic.length > MAX_TOPIC_BYTES || utf8Length(topic) > MAX_TOPIC_BYTES) {
    return `is longer than ${MAX_TOPIC_BYTES} bytes`;
  }
  if (!topic.isWellFormed()) return "has a lone surrogate";
  return undefined;
}

/** The length in UTF-8, in bytes. Each half of a surrogate pair counts two. */
function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) length += unit < 0x800 || (unit & 0xf800) === 0xd800 ? 1 : 2;
  }
  return length;
}
