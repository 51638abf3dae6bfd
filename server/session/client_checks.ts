/**
 * Checks of a client's requests: its permissions, its topics and its key.
 *
 * @module
 */

import { type ErrorCode, ProtocolError } from "../../protocol/errors.ts";
import { MAX_TOPIC_BYTES } from "../../protocol/topic.ts";
import { type Permissions, PUBLISH, SUBSCRIBE } from "../access/access.ts";
import type { WaitingPlace } from "../flow/gate.ts";
import type { Limits } from "../limits.ts";
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

/** Checks the key that a client has sent; the check may have to wait. */
export class KeyCheck {
  readonly #key: string;
  readonly #remoteAddress: string;
  readonly #context: SessionContext;
  /** True once the key has to wait because its address has sent too many wrong ones. */
  #isSlow = false;

  constructor(key: string, remoteAddress: string, context: SessionContext) {
    this.#key = key;
    this.#remoteAddress = remoteAddress;
    this.#context = context;
  }

  /**
   * Checks the key, and counts a wrong one against its address.
   *
   * @returns The permissions that the key gives, or the place to wait at before the next call.
   * @throws {ProtocolError} `forbidden`, if the key is wrong.
   */
  look(): Permissions | WaitingPlace {
    const { access, admission, borrower, counters, slowKeys } = this.#context;
    const address = this.#remoteAddress;
    if (!this.#isSlow) {
      const room = admission.roomForKey(address);
      if (room === "unsettled" && borrower !== undefined) return borrower;
      if (room === "none") {
        this.#isSlow = true;
        return slowKeys.placeOf(address);
      }
    }
    const permissions = access.withKey(address, this.#key);
    if (permissions !== undefined) return permissions;
    counters.wrongKeys++;
    // The wait bounds slow keys already: counted, they would hold the address back for days.
    if (!this.#isSlow) admission.noteWrongKey(address);
    throw new ProtocolError("forbidden", "The key is wrong");
  }
}

function forbidden(action: string): ProtocolError {
  return new ProtocolError("forbidden", `This client may not ${action} here`);
}

/** Refuses a topic that is longer than this server's limit, if that is lower than the protocol's. */
function checkTopic(name: string, code: ErrorCode, { maxTopicBytes }: Limits): void {
  if (maxTopicBytes >= MAX_TOPIC_BYTES || utf8.encode(name).length <= maxTopicBytes) return;
  throw new ProtocolError(code, `A topic is at most ${maxTopicBytes} bytes here`);
}
