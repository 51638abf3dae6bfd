/**
 * What MESSAGE must have and mustn't.
 *
 * @module
 */

import { ProtocolError } from "./errors.ts";
import { memberName, type ObjectScanner, type ScannedMember } from "./json/object_scanner.ts";

/** The members of MESSAGE that a scanner is to look for. */
export const MESSAGE_MEMBERS = [memberName("topic"), memberName("timestamp")];
const TOPIC = 0;
const TIMESTAMP = 1;

/** What a topic that isn't valid is called. */
export const MESSAGE_TOPIC = "MESSAGE's topic";

/**
 * The member that holds the topic of a MESSAGE that has been scanned.
 *
 * @throws {ProtocolError} with `bad_message` if it has a timestamp.
 */
export function topicMember(scanner: ObjectScanner): ScannedMember {
  if (scanner.member(TIMESTAMP).isPresent) {
    throw new ProtocolError("bad_message", "MESSAGE has a timestamp, which the server adds");
  }
  return scanner.member(TOPIC);
}
