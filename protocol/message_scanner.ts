/**
 * Scans MESSAGEs, and checks the members that they must have, and those that they must not have.
 *
 * @module
 */

import type { BufferPool } from "./framing/buffer_pool.ts";
import { ProtocolError } from "./errors.ts";
import { memberName, ObjectScanner } from "./json/object_scanner.ts";
import { readTopic } from "./topic_member.ts";
import type { TopicSpellings } from "./topic_spellings.ts";

const MEMBERS = [memberName("topic"), memberName("timestamp")];
const TOPIC = 0;
const TIMESTAMP = 1;

const TOPIC_SUBJECT = "MESSAGE's topic";

/**
 * Scans one MESSAGE at a time. Those that a client sends together mostly begin alike, so that a scan begins
 * behind the topic, and the topic needn't be read again.
 */
export class MessageScanner extends ObjectScanner {
  /** The offset in the current chunk at which the current MESSAGE begins; -1 if it isn't there. */
  #start = -1;
  /** The same of the one whose topic was read last. */
  #lastStart = -1;
  /** The topic that was read last, and the offsets at which it stood, from its MESSAGE's beginning. */
  #topic = "";
  #topicStart = -1;
  #topicEnd = -1;
  /** True if the current MESSAGE begins as the last one did, its topic included. */
  #isAlike = false;

  /** @param pool Lends memory for deep nesting. */
  constructor(pool?: BufferPool) {
    super(MEMBERS, pool);
  }

  /**
   * Scans a MESSAGE that begins at `start` of a chunk, up to `to`. The MESSAGEs before it stand in the same
   * chunk, until {@linkcode leaveChunk}.
   *
   * @returns As {@linkcode ObjectScanner.scan}.
   */
  scanNext(chunk: Uint8Array, start: number, to: number): number {
    const from = start + this.#topicEnd;
    this.#isAlike = this.#lastStart >= 0 && from <= to &&
      beginAlike(chunk, this.#lastStart, start, this.#topicEnd);
    this.#start = start;
    if (this.#isAlike) {
      this.beginBehind(TOPIC);
      return this.scan(chunk, from, to);
    }
    this.begin();
    return this.scan(chunk, start, to);
  }

  /** Scans a MESSAGE that stands alone. */
  scanAlone(bytes: Uint8Array, from: number, to: number): number {
    this.leaveChunk();
    this.begin();
    return this.scan(bytes, from, to);
  }

  /** To be called before the chunk changes. */
  leaveChunk(): void {
    this.#start = this.#lastStart = -1;
    this.#isAlike = false;
  }

  /**
   * The topic of the MESSAGE that has been scanned.
   *
   * @param start The offset in `bytes` at which MESSAGE begins.
   * @throws {ProtocolError} with `bad_message` if it is missing or invalid, or MESSAGE has a timestamp.
   */
  readTopic(bytes: Uint8Array, start: number, spellings: TopicSpellings): string {
    if (this.member(TIMESTAMP).isPresent) {
      throw new ProtocolError("bad_message", "MESSAGE has a timestamp, which the server adds");
    }
    const member = this.member(TOPIC);
    const isSame = this.#isAlike && member.start === this.#topicStart &&
      member.end === this.#topicEnd;
    if (!isSame) {
      this.#topic = readTopic(bytes, start, member, "bad_message", TOPIC_SUBJECT, spellings);
      this.#topicStart = member.start;
      this.#topicEnd = member.end;
    }
    this.#lastStart = this.#start;
    return this.#topic;
  }
}

function beginAlike(bytes: Uint8Array, one: number, other: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[one + i] !== bytes[other + i]) return false;
  return true;
}
