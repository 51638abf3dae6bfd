/**
 * The frames between machines as bytes; see `frames.ts` for their layout.
 *
 * @module
 */

import { isOrigin } from "../../../protocol/resume.ts";
import {
  BATCH,
  type BatchContent,
  BYE,
  type ControlContent,
  FrameFault,
  HISTORY,
  HOLE,
  type MachineFrame,
  RECEIPTS,
  REFILL,
  STATE,
  VersionFault,
  WANT,
} from "./frames.ts";
import {
  readHole,
  readMicros,
  readReceipts,
  readState,
  readWant,
  readWanted,
} from "./json_contents.ts";
import { FRAME_VERSION, OLDEST_FRAME_VERSION } from "./limits.ts";

const NAME_BYTES = 16;

/** Bytes in front of what a frame's kind has. */
const HEADER_BYTES = 4 + NAME_BYTES;

/** Bytes in front of a batch's messages. */
export const BATCH_HEADER_BYTES: number = HEADER_BYTES + NAME_BYTES + 8 + 8;

const HISTORY_HEADER_BYTES = HEADER_BYTES + 4 + 1;

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
export function encodeFrame(frame: ControlContent & { readonly machine: string }): Uint8Array {
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
      return json(machine, REFILL, {
        ...frame.wanted,
        // For builds that know no gaps, and send all behind it.
        after: frame.wanted.gaps[0]?.after,
        gaps: frame.wanted.gaps.map(({ after, to }) => [after, to]),
      });
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
      return { machine, kind, wanted: readWanted(parse(bytes)) };
    case HOLE:
      return { machine, kind, hole: readHole(parse(bytes)) };
    case RECEIPTS:
      return { machine, kind, receipts: readReceipts(parse(bytes)) };
    case WANT:
      return { machine, kind, want: readWant(parse(bytes)) };
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
  const base = readMicros(view.getFloat64(HEADER_BYTES + NAME_BYTES, true));
  const previous = readMicros(view.getFloat64(HEADER_BYTES + NAME_BYTES + 8, true));
  if (!isOrigin(origin)) throw new FrameFault("a batch without an origin");
  if (previous < base) throw new FrameFault("a batch in front of its origin's first message");
  return { kind: BATCH, origin, base, previous, messages: bytes.subarray(BATCH_HEADER_BYTES) };
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
