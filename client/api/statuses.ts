/**
 * What a client tells about its connection and its subscriptions.
 *
 * @module
 */

import type { ResumeReason } from "../../protocol/resume.ts";
import { Deliveries } from "./deliveries.ts";

/**
 * Why a subscription began where it did: one of the server's reasons, or `unsupported` if the server
 * doesn't know how to resume.
 */
export type SubscribedReason = ResumeReason | "unsupported";

/** Why messages may be missing: `ok` goes with processes that crashed. */
export type GapReason = Exclude<SubscribedReason, "new">;

/** A connection is being made. */
export interface ConnectingStatus {
  /** Tells the statuses apart. */
  readonly state: "connecting";
  /** The server's URL, as it was given. */
  readonly url: string;
  /** Attempts that have failed since the last connection was open. */
  readonly failures: number;
}

/** The server has greeted the client, and taken its keys. */
export interface OpenStatus {
  /** Tells the statuses apart. */
  readonly state: "open";
  /** The server's URL, as it was given. */
  readonly url: string;
}

/** The server has subscribed the client to a topic, for the first time or once more. */
export interface SubscribedStatus {
  /** Tells the statuses apart. */
  readonly state: "subscribed";
  /** The topic. */
  readonly topic: string;
  /** True if nothing is missing since the connection before. */
  readonly recovered: boolean;
  /** The reason why it begins at this message. */
  readonly reason: SubscribedReason;
  /** The number of stored messages that follow. */
  readonly missed: number;
  /** Server processes that died with messages that nothing else has; usually none. */
  readonly crashed: readonly string[];
  /** True if messages may be missing. */
  readonly isGap: boolean;
}

/** The connection has ended. */
export interface ClosedStatus {
  /** Tells the statuses apart. */
  readonly state: "closed";
  /** The reason; `undefined` after `close()`. */
  readonly why: unknown;
  /**
   * Milliseconds until the next attempt. `undefined` if there is none: the client is closed for good, or
   * waits for its readers.
   */
  readonly retryInMs: number | undefined;
  /** True if the client is closed for good. */
  readonly isFinal: boolean;
}

/** An event of the connection, or of a subscription. */
export type Status = ConnectingStatus | OpenStatus | SubscribedStatus | ClosedStatus;

/** Statuses that an iterator keeps for its reader. Of more than that the oldest are dropped. */
const MAX_KEPT = 1_000;

/** The statuses of one client, for all that want them. */
export class Statuses {
  readonly #listener: ((status: Status) => void) | undefined;
  readonly #open = new Set<Deliveries<Status>>();
  #current: Status | undefined;
  #hasEnded = false;

  constructor(listener: ((status: Status) => void) | undefined) {
    this.#listener = listener;
  }

  tell(status: Status): void {
    if (status.state !== "subscribed") this.#current = status;
    for (const each of this.#open) {
      each.push(status, 1);
      if (each.size > MAX_KEPT) each.dropOldest();
    }
    try {
      this.#listener?.(status);
    } catch (error) {
      // It is the listener's own, and not for the connection to stumble over.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** No more statuses will come. */
  end(): void {
    this.#hasEnded = true;
    for (const each of this.#open) each.end();
    this.#open.clear();
  }

  /** The connection's status now, and all that follow. */
  iterate(): AsyncIterableIterator<Status> {
    const deliveries = new Deliveries<Status>({
      onReturn: () => this.#open.delete(deliveries),
    });
    if (this.#current !== undefined) deliveries.push(this.#current, 1);
    if (this.#hasEnded) deliveries.end();
    else this.#open.add(deliveries);
    return deliveries;
  }
}
