/**
 * What a supervisor and its workers say to each other, over the child process's IPC channel.
 *
 * @module
 */

import type { Address, TlsIdentity } from "../../runtime/types.ts";
import type { AccessOptions } from "../access/access.ts";
import type { OverdueProcess, UnreachableProcess } from "../cluster/backplane.ts";
import type { Claim, Notice } from "../lending/terms.ts";
import type { Census } from "../shares/census.ts";
import type { Limits } from "../limits.ts";
import type { LogLevel } from "../log/log.ts";

/**
 * A rolling upgrade starts workers of what is on disk by then, under a supervisor and beside workers that
 * are older. To be raised with each change in this module, or in what workers send each other, that the
 * other side wouldn't understand; a worker of another version ends the roll.
 */
export const CONTROL_VERSION = 2;

/** What a supervisor asks of a worker. */
export type Order =
  /** Begin, and listen for the other workers. The answer: none. */
  | {
    readonly do: "start";
    /** The supervisor's {@linkcode CONTROL_VERSION}. */
    readonly version: number;
    readonly name: string;
    readonly socketPath: string;
    /** Proves to the other workers that it's one of them; see `ProvenSockets`. */
    readonly secret: string;
    readonly limits: Limits;
    /** How many workers the server has. */
    readonly workers: number;
    /** Connections that the worker's descriptors are enough for. */
    readonly maxOwnConnections: number;
    readonly logLevel: LogLevel;
    /**
     * Milliseconds over which it closes its clients' connections when it stops; `null` for as long as
     * it takes unless somebody says.
     */
    readonly drainMs: number | null;
    /** Its timestamps are greater than this one, as those are that the other workers issue. */
    readonly timestampsAfter: number;
  }
  /** Forward to the worker that listens there. The answer comes when the link stands. */
  | { readonly do: "link"; readonly socketPath: string }
  /** The worker that listened there has ended. */
  | { readonly do: "unlink"; readonly socketPath: string }
  /** Accept clients. The answer: the {@linkcode Address}. */
  | {
    readonly do: "listen";
    /** Whether no other worker listens: then nobody else may, on the same address. */
    readonly isFirst: boolean;
    readonly hostname: string;
    readonly port: number;
    readonly tls: TlsIdentity | null;
    readonly access: AccessOptions;
  }
  /** Use another TLS identity from now on. The answer: none. */
  | { readonly do: "renew"; readonly tls: TlsIdentity }
  /** Use other rules of who may do what from now on. The answer: none. */
  | { readonly do: "set_access"; readonly access: AccessOptions }
  /** Accept no more clients, and forward and deliver what was accepted. */
  | { readonly do: "drain" }
  /** Tell the clients, close their connections, and end. */
  | { readonly do: "stop" }
  /** Answer, as a sign of life. */
  | { readonly do: "ping" };

/** An order with the number that its answer will carry. */
export type NumberedOrder = Order & { readonly id: number };

/** What the supervisor's ledger says, which wants no answer. */
export interface LedgerMessage {
  readonly notices: readonly Notice[];
  /** Whether it answers the worker's last claims. */
  readonly isAnswer: boolean;
}

/** What the supervisor asks or tells about who holds how many places. */
export type CensusMessage =
  /** Say what your addresses hold. */
  | { readonly census: "wanted" }
  /** So much those of the others hold: the answer to what the worker asked. */
  | { readonly census: readonly Census[] };

/** What a worker says. */
export type Report =
  | { readonly id: number; readonly done: Address | null }
  | { readonly id: number; readonly failed: string }
  /** What it claims of the limits that hold for all workers. */
  | { readonly claims: readonly Claim[] }
  /** What its addresses hold, and whether it wants to know the same of the others. */
  | { readonly census: Census; readonly asks: boolean }
  /** Another worker gives no sign of life, and publishers wait for it. */
  | { readonly overdue: OverdueProcess }
  /** There's no link to another worker any more, and none can be made. */
  | { readonly unreachable: UnreachableProcess }
  /** Somebody asked this one worker to end. */
  | { readonly signal: string };
