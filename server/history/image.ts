/**
 * A history as records of bytes, for another process. The first byte of each record is its kind; little-endian:
 *
 * ```text
 * u8 0 | JSON: the origins that have ended, or are part of other machines
 * u8 1 | JSON: a topic, and what is known of each origin's messages in it
 * u8 2 | u32 n | n bytes of JSON: a batch's age, runs and frames | the frames' bytes
 * u8 3 | JSON: what is known of messages in topics that aren't remembered
 * ```
 *
 * A batch belongs to the last topic before it, and comes behind its older ones.
 *
 * @module
 */

import { timestampOf } from "../../protocol/encoder.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { batchOf, endOfRun, type Run } from "./batch.ts";
import type { History } from "./history.ts";
import type { Origin, OriginEnd, Origins } from "./origins.ts";
import { firstAfter } from "./search.ts";
import type { StoredBatch, TopicLog } from "./topic_log.ts";

const ORIGINS = 0;
const TOPIC = 1;
const BATCH = 2;
const FLOORS = 3;

interface OriginRecord {
  readonly name: string;
  readonly micros: number;
  /** `null` if it lives, and is part of another machine of the cluster than the reader. */
  readonly end: OriginEnd | null;
  /** See `Origin.holeMicros`; absent if there is none. */
  readonly hole?: number;
  /** Milliseconds for which its machine has been silent; absent if it isn't part of another machine than the writer. */
  readonly silentMs?: number;
}

interface TopicRecord {
  readonly topic: string;
  /** For each origin its name, the timestamp of its last message, and of the last that isn't stored. */
  readonly traces: readonly (readonly [string, number, number])[];
}

interface BatchRecord {
  readonly ageMs: number;
  /** Each run's origin, by name, and the number of its messages. */
  readonly runs: readonly (readonly [string, number])[];
  /** The number of bytes of each message. */
  readonly lengths: readonly number[];
}

interface FloorsRecord {
  readonly floors: readonly (readonly [string, number])[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** For each origin the timestamp up to which its messages are part of an image; the others aren't. */
export type ImageBounds = ReadonlyMap<Origin, number>;

/** All origins, with all that they have accepted; this process counts as ended. */
export function wholeBounds(origins: Origins): ImageBounds {
  return new Map([...origins.all()].map((origin) => [origin, Infinity]));
}

/**
 * The records of a history, made one by one: it may change meanwhile, but all that is to be part of it must
 * be stored.
 *
 * @param own Where this process's own origin has ended for the reader; absent if it lives.
 * @param isRemote Says which living origins are part of other machines than the reader.
 */
export function* imageOf(
  history: History,
  origins: Origins,
  clock: CoarseClock,
  bounds: ImageBounds,
  own?: { readonly micros: number },
  isRemote: (origin: Origin) => boolean = (origin) => origin.isRemote,
): Generator<Uint8Array> {
  const named: OriginRecord[] = [];
  for (const origin of origins.all()) {
    const { name, holeMicros, heardMs } = origin;
    const hole = holeMicros < 0 ? {} : { hole: holeMicros };
    // When this process stops, all others have ended, though it may not know how.
    const endsHere = origin.end === undefined && own !== undefined && !origin.isRemote;
    const end = endsHere ? endOf(origin, origins) : origin.end;
    const micros = endsHere ? own.micros : origin.micros;
    const bound = bounds.get(origin);
    if (bound === undefined) continue;
    if (end !== undefined) named.push({ name, micros, end, ...hole });
    else if (isRemote(origin)) {
      const silent = heardMs === undefined ? {} : { silentMs: clock.nowMs - heardMs };
      named.push({ name, micros: Math.min(micros, bound), end: null, ...hole, ...silent });
    }
  }
  yield jsonRecord(ORIGINS, named);
  for (const log of history.logs()) {
    const stored = log.list();
    yield jsonRecord(TOPIC, topicRecord(log, bounds));
    for (const one of stored) {
      const record = batchRecord(one, clock.nowMs, bounds);
      if (record !== undefined) yield record;
    }
  }
  const floors = [...history.floors].flatMap(([origin, micros]) => {
    const bound = bounds.get(origin);
    return bound === undefined ? [] : [[origin.name, Math.min(micros, bound)] as const];
  });
  yield jsonRecord(FLOORS, { floors } satisfies FloorsRecord);
}

function endOf(origin: Origin, origins: Origins): OriginEnd {
  return origin === origins.own ? "ended" : "crashed";
}

function topicRecord(log: TopicLog, bounds: ImageBounds): TopicRecord {
  const { topic, traces, floors } = log;
  const records: [string, number, number][] = [];
  for (const origin of new Set([...traces.keys(), ...floors.keys()])) {
    const bound = bounds.get(origin);
    if (bound === undefined || origin.isForgotten) continue;
    const { last, dropped } = traces.get(origin) ?? { last: -1, dropped: -1 };
    const gone = Math.max(dropped, floors.get(origin) ?? -1);
    records.push([origin.name, Math.min(last, bound), Math.min(gone, bound)]);
  }
  return { topic, traces: records };
}

function batchRecord(
  { batch, sinceMs }: StoredBatch,
  nowMs: number,
  bounds: ImageBounds,
): Uint8Array | undefined {
  const runs: [string, number][] = [];
  const lengths: number[] = [];
  const parts: Uint8Array[] = [];
  let byteLength = 0;
  for (const [i, { origin, first }] of batch.runs.entries()) {
    const bound = bounds.get(origin);
    if (bound === undefined || origin.isForgotten) continue;
    const end = firstAfter(batch, first, endOfRun(batch, i), bound);
    if (end === first) continue;
    runs.push([origin.name, end - first]);
    for (let n = first; n < end; n++) lengths.push(batch.offsetOf(n + 1) - batch.offsetOf(n));
    const part = batch.bytes.subarray(batch.offsetOf(first), batch.offsetOf(end));
    parts.push(part);
    byteLength += part.byteLength;
  }
  if (runs.length === 0) return undefined;
  const record: BatchRecord = { ageMs: Math.round(nowMs - sinceMs), runs, lengths };
  const header = encoder.encode(JSON.stringify(record));
  const bytes = new Uint8Array(1 + 4 + header.length + byteLength);
  bytes[0] = BATCH;
  new DataView(bytes.buffer).setUint32(1, header.length, true);
  bytes.set(header, 5);
  let offset = 5 + header.length;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return bytes;
}

function jsonRecord(kind: number, value: unknown): Uint8Array {
  const json = encoder.encode(JSON.stringify(value));
  const record = new Uint8Array(1 + json.length);
  record[0] = kind;
  record.set(json, 1);
  return record;
}

/** True for the record that ends an image. */
export function isLastRecord(record: Uint8Array): boolean {
  return record[0] === FLOORS;
}

/** The parts of the server into which an image is read. */
export interface ImageTarget {
  /** Milliseconds that have passed since the image was made; 0 unless given. */
  readonly ageMs?: number;
  readonly history: History;
  readonly origins: Origins;
  readonly budget: MemoryBudget;
  readonly clock: CoarseClock;
}

interface OpenTopic {
  readonly record: TopicRecord;
  readonly batches: { readonly record: BatchRecord; readonly bytes: Uint8Array }[];
}

/** Puts the records of another process's history in front of what this one has stored itself. */
export class ImageReader {
  readonly #target: ImageTarget;
  readonly #topics = new Set<string>();
  #open: OpenTopic | undefined;

  constructor(target: ImageTarget) {
    this.#target = target;
  }

  /**
   * Takes the next record, which is copied.
   *
   * @throws {Error} if it isn't valid.
   */
  take(record: Uint8Array): void {
    switch (record[0]) {
      case ORIGINS:
        return this.#takeOrigins(parse(record, 1, record.length));
      case TOPIC:
        this.#closeTopic();
        this.#open = { record: parse(record, 1, record.length), batches: [] };
        return;
      case BATCH: {
        const { byteOffset, byteLength, buffer } = record;
        const headerBytes = new DataView(buffer, byteOffset, byteLength).getUint32(1, true);
        const header: BatchRecord = parse(record, 5, 5 + headerBytes);
        this.#open?.batches.push({ record: header, bytes: record.slice(5 + headerBytes) });
        return;
      }
      case FLOORS:
        this.#closeTopic();
        return this.#takeFloors(parse(record, 1, record.length));
      default:
        throw new Error(`no record of a history begins with ${record[0]}`);
    }
  }

  #takeOrigins(records: readonly OriginRecord[]): void {
    const { origins, clock, ageMs = 0 } = this.#target;
    for (const { name, micros, end, hole = -1, silentMs = 0 } of records) {
      const isKnown = origins.find(name) !== undefined;
      const origin = origins.learn(name, micros);
      origin.holeMicros = Math.max(origin.holeMicros, hole);
      if (end !== null) origins.close(origin, end, micros);
      else if (!isKnown) {
        origin.isRemote = true;
        origin.heardMs = clock.nowMs - silentMs - ageMs;
      }
    }
  }

  #closeTopic(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return;
    const { history, origins } = this.#target;
    const { topic, traces } = open.record;
    const log = history.use(topic);
    if (log === undefined) return;
    this.#topics.add(topic);
    for (const [name, last, dropped] of traces) {
      const origin = origins.find(name);
      if (origin !== undefined) log.addTrace(origin, last, dropped);
    }
    this.#storeOlder(log, open);
    history.leave(log);
  }

  #storeOlder(log: TopicLog, { batches }: OpenTopic): void {
    const { history, budget, origins, ageMs = 0 } = this.#target;
    const oldest = log.oldest?.batch.first ?? log.end;
    const count = batches.reduce((sum, { record }) => sum + record.lengths.length, 0);
    let first = oldest - count;
    const older = batches.map(({ record, bytes }) => {
      let end = 0;
      const ends = record.lengths.map((length) => end += length);
      let number = first;
      const runs: Run[] = [];
      for (const [name, count] of record.runs) {
        // An origin that isn't remembered any more was when its record was made.
        runs.push({ origin: origins.find(name) ?? origins.learn(name, -1), first: number });
        number += count;
      }
      const parts = { first, end: number, ends, lastMicros: timestampOf(bytes, ends.at(-2) ?? 0) };
      const batch = batchOf(parts, runs, bytes, budget);
      first = batch.end;
      return batch;
    });
    if (log.isTrimmed) { for (const batch of older) log.skip(batch); }
    else history.storeOlder(log, older, batches.map(({ record }) => record.ageMs + ageMs));
  }

  #takeFloors({ floors }: FloorsRecord): void {
    const { history, origins } = this.#target;
    for (const [name, micros] of floors) {
      const origin = origins.find(name);
      if (origin === undefined) continue;
      history.raiseFloor(origin, micros);
      for (const log of history.logs()) {
        if (!this.#topics.has(log.topic)) log.addTrace(origin, -1, micros);
      }
    }
    history.sortByAge();
  }
}

function parse<T>(bytes: Uint8Array, start: number, end: number): T {
  return JSON.parse(decoder.decode(bytes.subarray(start, end))) as T;
}
