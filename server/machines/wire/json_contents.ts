/**
 * The contents of frames that are JSON, checked as a stranger's.
 *
 * @module
 */

import { isOrigin } from "../../../protocol/resume.ts";
import {
  FrameFault,
  type Hole,
  type MachineState,
  type RemoteReceipt,
  type StatedOrigin,
  type Stretch,
  type Want,
  type Wanted,
} from "./frames.ts";
import { MAX_GAPS_ASKED_FOR, REFILL_BYTES } from "./limits.ts";

/** The most processes that one state names: those that live, and those that have ended lately. */
const MAX_STATED_ORIGINS = 512;

/** The most receipts in one frame. */
const MAX_RECEIPTS = 4_096;

/** The most characters of a text for people. */
const MAX_TEXT = 256;

/** @throws {FrameFault} if it isn't valid. */
export function readState(value: unknown): MachineState {
  const { address, release, versions, workers, limits, origins, ...rest } = objectOf(value);
  if (!Array.isArray(versions) || versions.length !== 2) throw new FrameFault("no versions");
  if (!Array.isArray(origins) || origins.length > MAX_STATED_ORIGINS) {
    throw new FrameFault("no origins, or too many");
  }
  const { maxFrameBytes, maxTopicBytes } = objectOf(limits);
  return {
    address: readText(address),
    release: readText(release),
    versions: [readCount(versions[0]), readCount(versions[1])],
    workers: readCount(workers),
    limits: { maxFrameBytes: readCount(maxFrameBytes), maxTopicBytes: readCount(maxTopicBytes) },
    micros: readMicros(rest.micros),
    asks: rest.asks === true,
    isReady: rest.isReady === true,
    origins: origins.map(readOrigin),
  };
}

function readOrigin(value: unknown): StatedOrigin {
  const { name, base, last, end, endMicros } = objectOf(value);
  const origin = { name: originName(name), base: readMicros(base), last: readMicros(last) };
  if (origin.last < origin.base) throw new FrameFault("an origin that ends before it begins");
  if (end === undefined) return origin;
  if (end !== "ended" && end !== "crashed") throw new FrameFault("an origin's end of no kind");
  return { ...origin, end, endMicros: readMicros(endMicros) };
}

/**
 * Reads what is asked for, also by builds that know no gaps.
 *
 * @throws {FrameFault} if it isn't valid.
 */
export function readWanted(value: unknown): Wanted {
  const { origin, after, gaps = [[after, null]], maxBytes = REFILL_BYTES } = objectOf(value);
  if (!Array.isArray(gaps) || gaps.length === 0 || gaps.length > MAX_GAPS_ASKED_FOR) {
    throw new FrameFault("no gaps, or too many");
  }
  return { origin: originName(origin), gaps: gaps.map(readGap), maxBytes: readCount(maxBytes) };
}

function readGap(value: unknown): Stretch {
  if (!Array.isArray(value)) throw new FrameFault("no gap");
  const [after, to] = value;
  // JSON has no infinity.
  return { after: readMicros(after), to: to === null ? Infinity : readMicros(to) };
}

/** @throws {FrameFault} if it isn't valid. */
export function readHole(value: unknown): Hole {
  const { origin, after, to } = objectOf(value);
  const hole = { origin: originName(origin), after: readMicros(after), to: readMicros(to) };
  if (hole.to <= hole.after) throw new FrameFault("a hole without messages");
  return hole;
}

/** @throws {FrameFault} if it isn't valid. */
export function readReceipts(value: unknown): RemoteReceipt[] {
  if (!Array.isArray(value) || value.length > MAX_RECEIPTS) throw new FrameFault("no receipts");
  return value.map((one: unknown) => {
    if (!Array.isArray(one) || one.length < 6) throw new FrameFault("no receipt");
    return {
      origin: originName(one[0]),
      micros: readMicros(one[1]),
      matched: readCount(one[2]),
      written: readCount(one[3]),
      queued: readCount(one[4]),
      evicted: readCount(one[5]),
    };
  });
}

/** @throws {FrameFault} if it isn't valid. */
export function readWant(value: unknown): Want {
  const { copy, piece } = objectOf(value);
  return { copy: readText(copy), piece: readCount(piece) };
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
function readText(value: unknown): string {
  if (typeof value === "string" && value.length <= MAX_TEXT && !/\p{Cc}/u.test(value)) return value;
  throw new FrameFault("no text of one line");
}

/** @throws {FrameFault} if it isn't a timestamp. */
export function readMicros(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= -1) return value as number;
  throw new FrameFault("no timestamp");
}

function readCount(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32) {
    return value as number;
  }
  throw new FrameFault("no count");
}
