/**
 * The frames between the machines of a cluster. They come over NATS, where others may write too, so each is
 * checked as a stranger's would be. Little-endian:
 *
 * ```text
 * "HW" | u8 version | u8 kind | 16 bytes: the machine's name | what the kind has
 *
 * 1 batch      16 bytes: the origin | f64 base | f64 previous | messages as between workers
 * 2 state      JSON: a machine and its processes; each second, and whenever that changes
 * 3 refill     JSON: asks for an origin's messages behind a timestamp
 * 4 hole       JSON: messages of an origin that aren't kept any more
 * 5 receipts   JSON: what became of messages
 * 6 want       JSON: asks for a piece of the history
 * 7 history    u32 the piece's number | u8 1 if it is the last | the piece
 * 8 bye        JSON as in a state: the machine stops, and has sent everything
 * ```
 *
 * A message's number is its timestamp, which strictly increases within its origin. A batch says the timestamp
 * of the message in front of it, so each gap shows, whoever cut the batches. The first three bytes stay as they
 * are in all versions; see `docs/design.md` for how a version changes.
 *
 * @module
 */

import { isOrigin } from "../../../protocol/resume.ts";
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

const NAME_BYTES = 16;

/** Bytes in front of what a frame's kind has. */
const HEADER_BYTES = 4 + NAME_BYTES;

/** Bytes in front of a batch's messages. */
export const BATCH_HEADER_BYTES: number = HEADER_BYTES + NAME_BYTES + 8 + 8;

const HISTORY_HEADER_BYTES = HEADER_BYTES + 4 + 1;

/** The most processes that one state names: those that live, and those that have ended lately. */
const MAX_STATED_ORIGINS = 512;

/** The most receipts in one frame. */
export const MAX_RECEIPTS = 4_096;

const MAX_TEXT = 256;

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

/** What a machine tells of itself. */
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

/** Messages of an origin that are asked for, or missing. */
export interface Stretch {
  readonly origin: string;
  /** A timestamp in front of the first. */
  readonly after: number;
}

/** Messages of an origin that can't be had any more. */
export interface Hole extends Stretch {
  /** The timestamp of the last. */
  readonly to: number;
}

/** What became of a message on one machine, or in one of its processes. */
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
  | { readonly kind: typeof REFILL; readonly wanted: Stretch }
  | { readonly kind: typeof HOLE; readonly hole: Hole }
  | { readonly kind: typeof RECEIPTS; readonly receipts: readonly RemoteReceipt[] }
  | { readonly kind: typeof WANT; readonly want: Want }
  | {
    readonly kind: typeof HISTORY;
    readonly piece: number;
    readonly isLast: boolean;
    readonly bytes: Uint8Array;
  };

/** A frame that has come. */
export type MachineFrame = Content & { readonly machine: string };

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Makes a batch's frame in place.
 *
 * @param bytes The first {@linkcode BATCH_HEADER_BYTES} are overwritten with the header.
 */
export function sealBatch(
  bytes: Uint8Array,
  machine: string,
  { origin, base, previous }: Pick<BatchContent, "origin" | "base" | "previous">,
): void {
  writeHeader(bytes, machine, BATCH);
  const view = viewOf(bytes);
  encoder.encodeInto(origin, bytes.subarray(HEADER_BYTES));
  view.setFloat64(HEADER_BYTES + NAME_BYTES, base, true);
  view.setFloat64(HEADER_BYTES + NAME_BYTES + 8, previous, true);
}

/** Encodes a frame that isn't a batch, in a buffer of its own. */
export function encodeFrame(frame: Exclude<MachineFrame, BatchContent>): Uint8Array {
  const { machine } = frame;
  switch (frame.kind) {
    case HISTORY: {
      const bytes = begin(machine, HISTORY, HISTORY_HEADER_BYTES + frame.bytes.length);
      viewOf(bytes).setUint32(HEADER_BYTES, frame.piece, true);
      bytes[HEADER_BYTES + 4] = frame.isLast ? 1 : 0;
      bytes.set(frame.bytes, HISTORY_HEADER_BYTES);
      return bytes;
    }
    case STATE:
    case BYE:
      return json(machine, frame.kind, frame.state);
    case REFILL:
      return json(machine, REFILL, frame.wanted);
    case HOLE:
      return json(machine, HOLE, frame.hole);
    case RECEIPTS:
      return json(
        machine,
        RECEIPTS,
        frame.receipts.map(({ origin, micros, matched, written, queued, evicted }) => [
          origin,
          micros,
          matched,
          written,
          queued,
          evicted,
        ]),
      );
    case WANT:
      return json(machine, WANT, frame.want);
  }
}

/**
 * Decodes a frame. Byte arrays in it are parts of `bytes`; a batch's messages aren't checked yet.
 *
 * @throws {VersionFault} if it is of a version that this release doesn't understand.
 * @throws {FrameFault} if it isn't valid.
 */
export function decodeFrame(bytes: Uint8Array): MachineFrame {
  if (bytes.length < 3 || bytes[0] !== 0x48 || bytes[1] !== 0x57) {
    throw new FrameFault("no frame of a machine");
  }
  const version = bytes[2]!;
  if (version < OLDEST_FRAME_VERSION || version > FRAME_VERSION) throw new VersionFault(version);
  if (bytes.length < HEADER_BYTES) throw new FrameFault("a frame that is cut off");
  const machine = nameAt(bytes, 4);
  if (!isOrigin(machine)) throw new FrameFault("a frame without a machine's name");
  const kind = bytes[3]!;
  switch (kind) {
    case BATCH:
      return { machine, ...readBatch(bytes) };
    case STATE:
    case BYE:
      return { machine, kind, state: readState(parse(bytes)) };
    case REFILL:
      return { machine, kind, wanted: readStretch(parse(bytes)) };
    case HOLE:
      return { machine, kind, hole: readHole(parse(bytes)) };
    case RECEIPTS:
      return { machine, kind, receipts: readReceipts(parse(bytes)) };
    case WANT: {
      const { copy, piece } = objectOf(parse(bytes));
      return { machine, kind, want: { copy: text(copy), piece: count(piece) } };
    }
    case HISTORY: {
      if (bytes.length < HISTORY_HEADER_BYTES) throw new FrameFault("a piece that is cut off");
      return {
        machine,
        kind,
        piece: viewOf(bytes).getUint32(HEADER_BYTES, true),
        isLast: bytes[HEADER_BYTES + 4] === 1,
        bytes: bytes.subarray(HISTORY_HEADER_BYTES),
      };
    }
    default:
      throw new FrameFault(`a frame of an unknown kind, ${kind}`);
  }
}

function readBatch(bytes: Uint8Array): BatchContent {
  if (bytes.length < BATCH_HEADER_BYTES) throw new FrameFault("a batch that is cut off");
  const view = viewOf(bytes);
  const origin = nameAt(bytes, HEADER_BYTES);
  const base = micros(view.getFloat64(HEADER_BYTES + NAME_BYTES, true));
  const previous = micros(view.getFloat64(HEADER_BYTES + NAME_BYTES + 8, true));
  if (!isOrigin(origin)) throw new FrameFault("a batch without an origin");
  if (previous < base) throw new FrameFault("a batch in front of its origin's first message");
  return { kind: BATCH, origin, base, previous, messages: bytes.subarray(BATCH_HEADER_BYTES) };
}

function readState(value: unknown): MachineState {
  const { address, release, versions, workers, limits, origins, ...rest } = objectOf(value);
  if (!Array.isArray(versions) || versions.length !== 2) throw new FrameFault("no versions");
  if (!Array.isArray(origins) || origins.length > MAX_STATED_ORIGINS) {
    throw new FrameFault("no origins, or too many");
  }
  const { maxFrameBytes, maxTopicBytes } = objectOf(limits);
  return {
    address: text(address),
    release: text(release),
    versions: [count(versions[0]), count(versions[1])],
    workers: count(workers),
    limits: { maxFrameBytes: count(maxFrameBytes), maxTopicBytes: count(maxTopicBytes) },
    micros: micros(rest.micros),
    asks: rest.asks === true,
    isReady: rest.isReady === true,
    origins: origins.map(readOrigin),
  };
}

function readOrigin(value: unknown): StatedOrigin {
  const { name, base, last, end, endMicros } = objectOf(value);
  const origin = { name: originName(name), base: micros(base), last: micros(last) };
  if (origin.last < origin.base) throw new FrameFault("an origin that ends before it begins");
  if (end === undefined) return origin;
  if (end !== "ended" && end !== "crashed") throw new FrameFault("an origin's end of no kind");
  return { ...origin, end, endMicros: micros(endMicros) };
}

function readStretch(value: unknown): Stretch {
  const { origin, after } = objectOf(value);
  return { origin: originName(origin), after: micros(after) };
}

function readHole(value: unknown): Hole {
  const hole = { ...readStretch(value), to: micros(objectOf(value).to) };
  if (hole.to <= hole.after) throw new FrameFault("a hole without messages");
  return hole;
}

function readReceipts(value: unknown): RemoteReceipt[] {
  if (!Array.isArray(value) || value.length > MAX_RECEIPTS) throw new FrameFault("no receipts");
  return value.map((one: unknown) => {
    if (!Array.isArray(one) || one.length < 6) throw new FrameFault("no receipt");
    return {
      origin: originName(one[0]),
      micros: micros(one[1]),
      matched: count(one[2]),
      written: count(one[3]),
      queued: count(one[4]),
      evicted: count(one[5]),
    };
  });
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new FrameFault("JSON that is no object");
}

function originName(value: unknown): string {
  if (typeof value === "string" && isOrigin(value)) return value;
  throw new FrameFault("no origin's name");
}

/** A text for people, of one line. */
function text(value: unknown): string {
  if (typeof value === "string" && value.length <= MAX_TEXT && !/\p{Cc}/u.test(value)) return value;
  throw new FrameFault("no text of one line");
}

function micros(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= -1) return value as number;
  throw new FrameFault("no timestamp");
}

function count(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32) {
    return value as number;
  }
  throw new FrameFault("no count");
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes.subarray(HEADER_BYTES)));
  } catch (error) {
    throw new FrameFault("no JSON", { cause: error });
  }
}

function json(machine: string, kind: number, value: unknown): Uint8Array {
  const body = encoder.encode(JSON.stringify(value));
  const bytes = begin(machine, kind, HEADER_BYTES + body.length);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}

function begin(machine: string, kind: number, byteLength: number): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  writeHeader(bytes, machine, kind);
  return bytes;
}

function writeHeader(bytes: Uint8Array, machine: string, kind: number): void {
  bytes[0] = 0x48;
  bytes[1] = 0x57;
  bytes[2] = FRAME_VERSION;
  bytes[3] = kind;
  encoder.encodeInto(machine, bytes.subarray(4));
}

function nameAt(bytes: Uint8Array, start: number): string {
  return String.fromCharCode(...bytes.subarray(start, start + NAME_BYTES));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
