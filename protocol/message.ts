/**
 * Checks the members that MESSAGE must have, and those that it must not have.
 *
 * @module
 */

import { ProtocolError } from "./errors.ts";
import { memberName, type ObjectScanner, type ScannedMember } from "./json/object_scanner.ts";

/** The members of MESSAGE that a scanner must find. */
export const MESSAGE_MEMBERS = [memberName("topic"), memberName("timestamp")];
const TOPIC = 0;
const TIMESTAMP = 1;

/** The name of MESSAGE's topic in error messages. */
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
