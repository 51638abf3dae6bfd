/**
 * The frames between the machines of a cluster. They come over NATS, where others may write too, so each is
 * checked as a stranger's would be. Little-endian:
 *
 * ```text
 * "HW" | u8 version | u8 kind | 16 bytes: the machine's name | what the kind has
 *
 * 1 batch      16 bytes: the origin | f64 base | f64 previous | messages as between workers
 * 2 state      JSON: a machine and its processes; each second, and whenever that changes
 * 3 refill     JSON: asks for an origin's messages in some gaps, or behind a timestamp
 * 4 hole       JSON: messages of an origin that aren't kept any more
 * 5 receipts   JSON: what became of messages
 * 6 want       JSON: asks for a piece of the history
 * 7 history    u32 the piece's number | u8 1 if it is the last | the piece
 * 8 bye        JSON as in a state: the machine stops, and has sent everything
 * ```
 *
 * A message's number is its timestamp, which strictly increases within its origin. A batch says the timestamp
 * of the message in front of it, so each gap shows, wherever the batches were cut. The first three bytes stay as they
 * are in all versions; see `docs/design.md` for how a version changes.
 *
 * @module
 */

import type { Receipt } from "../../topics/receipts.ts";
import { FRAME_VERSION, OLDEST_FRAME_VERSION } from "./limits.ts";

export const BATCH = 1;
export const STATE = 2;
export const REFILL = 3;
export const HOLE = 4;
export const RECEIPTS = 5;
export const WANT = 6;
export const HISTORY = 7;
export const BYE = 8;

/** A machine has sent bytes that are no valid frame. */
export class FrameFault extends Error {
  override readonly name = "FrameFault";
}

/** A machine has sent a frame of a version that this release doesn't understand. */
export class VersionFault extends Error {
  override readonly name = "VersionFault";
  readonly version: number;

  constructor(version: number) {
    super(
      `version ${version} of the frames between machines; this machine understands ` +
        (OLDEST_FRAME_VERSION === FRAME_VERSION
          ? `version ${FRAME_VERSION}`
          : `versions ${OLDEST_FRAME_VERSION} to ${FRAME_VERSION}`),
    );
    this.version = version;
  }
}

/** One process of a machine, as its machine tells. */
export interface StatedOrigin {
  readonly name: string;
  /** A timestamp in front of its first message. */
  readonly base: number;
  /** The timestamp of its last message. */
  readonly last: number;
  /** How it has ended; absent while it lives. */
  readonly end?: "ended" | "crashed";
  /** A timestamp behind all its messages, once it has ended. */
  readonly endMicros?: number;
}

/** The state of a machine, as it tells the others. */
export interface MachineState {
  /** Its address, as NATS sees it, and its port, for people. */
  readonly address: string;
  /** The release of its server. */
  readonly release: string;
  /** The oldest and the newest version of these frames that it understands. */
  readonly versions: readonly [number, number];
  readonly workers: number;
  /** Its limits that should be the same everywhere. */
  readonly limits: { readonly maxFrameBytes: number; readonly maxTopicBytes: number };
  /** Its clock, in microseconds since the Unix epoch. */
  readonly micros: number;
  /** True if it asks all others to tell their states at once. */
  readonly asks: boolean;
  /** True once it serves, so that its history is whole. */
  readonly isReady: boolean;
  readonly origins: readonly StatedOrigin[];
}

/** Successive messages of an origin. */
export interface Stretch {
  /** A timestamp in front of the first. */
  readonly after: number;
  /** The timestamp of the last. */
  readonly to: number;
}

/** Messages of an origin that are asked for. */
export interface Wanted {
  readonly origin: string;
  /** Those in front come first; at least one. `to` is `Infinity` if all that there are behind `after` are wanted. */
  readonly gaps: readonly Stretch[];
  /** The most bytes that the answer should have, about. */
  readonly maxBytes: number;
}

/** Messages of an origin that can't be had any more. */
export interface Hole extends Stretch {
  readonly origin: string;
}

/** The receipt for a message from one machine, or from one of its processes. */
export interface RemoteReceipt extends Receipt {
  readonly origin: string;
  readonly micros: number;
}

/** A request for a piece of the history. */
export interface Want {
  /** A name of the request, which its answers don't need since one is under way at a time. */
  readonly copy: string;
  readonly piece: number;
}

/** Successive messages of an origin. */
export interface BatchContent {
  readonly kind: typeof BATCH;
  readonly origin: string;
  /** A timestamp in front of the origin's first message. */
  readonly base: number;
  /** The timestamp of the message in front of these. */
  readonly previous: number;
  /** Messages as between workers; a part of the frame. */
  readonly messages: Uint8Array;
}

/** A frame's content, by its kind. */
export type Content =
  | BatchContent
  | { readonly kind: typeof STATE | typeof BYE; readonly state: MachineState }
  | { readonly kind: typeof REFILL; readonly wanted: Wanted }
  | { readonly kind: typeof HOLE; readonly hole: Hole }
  | { readonly kind: typeof RECEIPTS; readonly receipts: readonly RemoteReceipt[] }
  | { readonly kind: typeof WANT; readonly want: Want }
  | {
    readonly kind: typeof HISTORY;
    readonly piece: number;
    readonly isLast: boolean;
    readonly bytes: Uint8Array;
  };

/** The content of a frame that isn't a batch. */
export type ControlContent = Exclude<Content, BatchContent>;

/** A frame that has come. */
export type MachineFrame = Content & { readonly machine: string };
