/**
 * What the process of the client library's soak is told, and what it tells.
 *
 * @module
 */

import type { FaultKind } from "../checks/faults.ts";
import type { Keys } from "./healthy_client.ts";

/** The doors of a server. */
export const LIBRARY_DOORS = ["tcp", "websocket"] as const;
export type LibraryDoor = typeof LIBRARY_DOORS[number];

/** The order for the process. */
export interface LibraryOrder {
  /** The server's URL by each door that it has. */
  readonly urls: Readonly<Partial<Record<LibraryDoor, string>>>;
  /** The certificate authorities to trust, as PEM text; `null` without TLS. */
  readonly ca: string | null;
  readonly keys: Keys | null;
  /** Milliseconds for the last messages to arrive after it stops publishing. */
  readonly patienceMs: number;
}

/** The counts of the clients of one door. */
export interface LibraryRecord {
  /** Messages whose receipt came. */
  readonly published: number;
  /** Messages whose outcome is unknown, since the connection broke before the receipt came. */
  readonly unknown: number;
  /** Messages that the reader got, each once and in its publisher's order. */
  readonly delivered: number;
  /** How often the reader came back and nothing was missing. */
  readonly recovered: number;
  /** How often it came back and was told that messages may be missing, by the reason. */
  readonly gaps: Readonly<Record<string, number>>;
}

/** A message from the process. */
export type LibraryNote =
  | {
    readonly is: "gap";
    readonly door: LibraryDoor;
    readonly reason: string;
    /** The number of server processes that died with messages. */
    readonly crashed: number;
    /** Milliseconds since the reader was subscribed for the last time. */
    readonly sinceMs: number;
  }
  | {
    readonly is: "fault";
    readonly door: LibraryDoor;
    readonly kind: FaultKind;
    readonly detail: string;
    readonly count: number;
  }
  | { readonly is: "over"; readonly doors: Readonly<Partial<Record<LibraryDoor, LibraryRecord>>> };
