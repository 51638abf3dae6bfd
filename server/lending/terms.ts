/**
 * The limits that a server's processes share, and the keys under which permits are lent.
 *
 * @module
 */

import { ACCEPT_BURST_SECONDS, type Limits } from "../limits.ts";

/** What is limited over all processes of a server. */
export type LimitKind = "connections" | "topics" | "address" | "accepts" | "wrongKeys";

/** One limit: a kind by itself, or a kind and the address for which it holds. */
export type PermitKey = LimitKind | `${LimitKind} ${string}`;

/** How many permits there are for one key. */
export interface Terms {
  /** Permits that may be in use at once. */
  readonly most: number;
  /**
   * 0 for places, which are given back. Otherwise a permit is spent, and so many come anew each
   * second.
   */
  readonly perSecond: number;
}

/** The terms of each kind of limit. */
export type AllTerms = Readonly<Record<LimitKind, Terms>>;

/** The terms of a whole server. */
export function termsOf(limits: Limits): AllTerms {
  const { acceptRate, maxWrongKeys } = limits;
  return {
    connections: { most: limits.maxConnections, perSecond: 0 },
    topics: { most: limits.maxTopicsTotal, perSecond: 0 },
    address: { most: limits.maxConnectionsPerIp, perSecond: 0 },
    accepts: { most: acceptRate * ACCEPT_BURST_SECONDS, perSecond: acceptRate },
    wrongKeys: { most: maxWrongKeys, perSecond: maxWrongKeys / 60 },
  };
}

/** The kind of limit that a key belongs to. */
export function kindOf(key: PermitKey): LimitKind {
  const end = key.indexOf(" ");
  return (end === -1 ? key : key.slice(0, end)) as LimitKind;
}

/**
 * The permits that a worker may use without a word to the supervisor, until another worker needs
 * more than its own: half of all permits together, so that most keys never cost a message.
 */
export function ownShare({ most }: Terms, workers: number): number {
  return Math.floor(most / (2 * workers));
}

/** What a worker tells the supervisor about one key. */
export interface Claim {
  readonly key: PermitKey;
  /** Permits that it needs now and hasn't; 0 for none. It has no other request under way. */
  readonly wants: number;
  /** Permits that it gives back unused. */
  readonly returns: number;
  /** Permits that it has spent, of those that are. */
  readonly spent: number;
  /** Whether this answers a recall: it keeps no unused permit from now on. */
  readonly answersRecall: boolean;
}

/** What the supervisor tells a worker about one key. */
export type Notice =
  /** Here are some of the permits that were wanted; so many unused ones it may keep. */
  | {
    readonly key: PermitKey;
    readonly says: "granted";
    readonly count: number;
    readonly keep: number;
  }
  /** None is left: for so many milliseconds, or without a number until `room` is said. */
  | { readonly key: PermitKey; readonly says: "none"; readonly forMs?: number }
  /** There may be some again. */
  | { readonly key: PermitKey; readonly says: "room" }
  /** Give back what is unused, and keep none. */
  | { readonly key: PermitKey; readonly says: "recall" }
  /** The worker has no permits of its own here: said to a new one. */
  | { readonly key: PermitKey; readonly says: "shared" }
  /** No permit is in use anywhere: each worker has its own share again. */
  | { readonly key: PermitKey; readonly says: "own" };
