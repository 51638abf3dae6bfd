/**
 * What a client must pass before it's done what it asks for.
 *
 * @module
 */

import { type ErrorCode, ProtocolError } from "../protocol/errors.ts";
import { MAX_TOPIC_BYTES } from "../protocol/topic.ts";
import { type Permissions, PUBLISH, SUBSCRIBE } from "./access.ts";
import type { Limits } from "./limits.ts";
import type { SessionContext } from "./session_context.ts";

const utf8 = new TextEncoder();

/** @throws {ProtocolError} `forbidden`, or `bad_frame` for a topic too long for this server. */
export function checkSubscribe(name: string, permissions: Permissions, limits: Limits): void {
  if ((permissions & SUBSCRIBE) === 0) throw forbidden("subscribe");
  checkTopic(name, "bad_frame", limits);
}

/** @throws {ProtocolError} `forbidden`, or `bad_message` for a topic too long for this server. */
export function checkPublish(name: string, permissions: Permissions, limits: Limits): void {
  if ((permissions & PUBLISH) === 0) throw forbidden("publish");
  checkTopic(name, "bad_message", limits);
}

/**
 * Looks at a key that a client shows, and counts wrong ones against its address.
 *
 * @returns What the client may do because of it; `undefined` where it isn't settled yet whether the key
 * may be looked at.
 * @throws {ProtocolError} `forbidden`, if the key is wrong or too many were.
 */
export function checkKey(
  key: string,
  remoteAddress: string,
  { access, admission, counters }: SessionContext,
): Permissions | undefined {
  const room = admission.roomForKey(remoteAddress);
  if (room === "unsettled") return undefined;
  if (room === "none") {
    throw new ProtocolError("forbidden", "Too many wrong keys came from this address");
  }
  const permissions = access.withKey(remoteAddress, key);
  if (permissions !== undefined) return permissions;
  counters.wrongKeys++;
  admission.noteWrongKey(remoteAddress);
  throw new ProtocolError("forbidden", "The key is wrong");
}

function forbidden(action: string): ProtocolError {
  return new ProtocolError("forbidden", `This client may not ${action} here`);
}

/** Holds a topic to this server's limit, where that is lower than the protocol's. */
function checkTopic(name: string, code: ErrorCode, { maxTopicBytes }: Limits): void {
  if (maxTopicBytes >= MAX_TOPIC_BYTES || utf8.encode(name).length <= maxTopicBytes) return;
  throw new ProtocolError(code, `A topic is at most ${maxTopicBytes} bytes here`);
}
