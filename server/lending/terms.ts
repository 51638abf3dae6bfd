/**
 * The limits that a server's processes share, and the keys under which permits are lent.
 *
 * @module
 */

import { type Limits } from "../limits.ts";
import { ACCEPT_BURST_SECONDS } from "../limits/derived.ts";

/** The limits that hold for all processes of a server together. */
export type LimitKind = "connections" | "topics" | "address" | "accepts" | "wrongKeys";

/** The key of one limit: a kind alone, or a kind and the address for which it holds. */
export type PermitKey = LimitKind | `${LimitKind} ${string}`;

/** The number of permits of one key. */
export interface Terms {
  /** Permits that may be in use at once. */
  readonly most: number;
  /**
   * 0 for places, which are given back. For a rate a permit is spent, and so many come anew in each
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
 * The permits that a worker may use without asking the supervisor, until another worker needs more than
 * its own share. All shares together are half of the permits, so most keys never cost a message.
 */
export function ownShare({ most }: Terms, workers: number): number {
  return Math.floor(most / (2 * workers));
}

/** A worker's message to the supervisor about one key. */
export interface Claim {
  readonly key: PermitKey;
  /** Permits that it lacks now; 0 for none. It has no other request under way. */
  readonly wants: number;
  /** Permits that it gives back unused. */
  readonly returns: number;
  /** Permits of a rate that it has spent. */
  readonly spent: number;
  /** True if this answers a recall: the worker keeps no unused permit from now on. */
  readonly answersRecall: boolean;
}

/** A message of the supervisor to a worker about one key. */
export type Notice =
  /** Gives some of the permits that were wanted; the worker may keep so many unused ones. */
  | {
    readonly key: PermitKey;
    readonly says: "granted";
    readonly count: number;
    readonly keep: number;
  }
  /** No permit is left for `forMs` milliseconds, or without that number until `room` is said. */
  | { readonly key: PermitKey; readonly says: "none"; readonly forMs?: number }
  /** There may be permits again. */
  | { readonly key: PermitKey; readonly says: "room" }
  /** The worker has to give back its unused permits, and keep none. */
  | { readonly key: PermitKey; readonly says: "recall" }
  /** A new worker has no permits of its own for this key. */
  | { readonly key: PermitKey; readonly says: "shared" }
  /** No permit is in use anywhere: each worker has its own share again. */
  | { readonly key: PermitKey; readonly says: "own" };
