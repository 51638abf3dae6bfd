import { SetQueue } from "../../runtime/set_queue.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { type Limits } from "../limits.ts";
import { HISTORY_BATCH_BYTES, HISTORY_LOG_BYTES } from "../limits/costs.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import { type Batch, joinBatches, MAX_JOINED_BYTES } from "./batch.ts";
import type { Origin, Origins } from "./origins.ts";
import { type Floors, StoredBatch, TopicLog } from "./topic_log.ts";

/** Batches that one sweep drops at most because they are too old, some 5 ms' worth. */
const DROPS_PER_SWEEP = 4_096;

/** The share of `historyTotalBytes` for topics of which nothing is stored any more. */
const EMPTY_LOGS_SHARE = 1 / 8;

/** The limits that a history keeps to. */
export type HistoryLimits = Pick<
  Limits,
  | "historyMs"
  | "historyMessages"
  | "historyBytes"
  | "historyTotalBytes"
  | "historyTopics"
  | "maxTopicsTotal"
>;

/** Counts of what a history holds now. */
export interface HistoryCounts {
  historyBytes: number;
  historyMessages: number;
  historyTopics: number;
  /** Messages that were dropped before they were too old, and not for their own topic's limits. */
  historyGivenUp: number;
}

/** The parts of the server that a history uses. */
export interface HistoryHost {
  readonly limits: HistoryLimits;
  readonly budget: MemoryBudget;
  readonly clock: CoarseClock;
  readonly origins: Origins;
  readonly counters: HistoryCounts;
}

/**
 * The logs of all topics that have published anything lately, within limits. What goes out first is what has
 * been stored longest. Of a topic whose messages are all gone it still remembers until when there were some,
 * so that it never takes a position for newer than it is.
 */
export class History {
  readonly #host: HistoryHost;
  readonly #logs = new Map<string, TopicLog>();
  /** Unused logs with messages, and empty ones; the first was unused, or empty, for longest. */
  readonly #idleLogs = new SetQueue<TopicLog>();
  readonly #emptyLogs = new SetQueue<TopicLog>();
  #subscribedTopics = 0;
  /** The floors of forgotten topics. The map is replaced when it changes, since logs refer to it. */
  #floors: Floors = new Map();
  #oldest: StoredBatch | undefined;
  #newest: StoredBatch | undefined;

  constructor(host: HistoryHost) {
    this.#host = host;
  }

  /** True if messages of this topic are stored. */
  keeps(topic: string): boolean {
    const { historyMs, historyTopics } = this.#host.limits;
    return historyMs > 0 && historyTopics.some((pattern) => matches(pattern, topic));
  }

  /** The log of a topic of which something was stored, if it is remembered. */
  find(topic: string): TopicLog | undefined {
    return this.#logs.get(topic);
  }

  /** All logs, those of the oldest topics in front. */
  logs(): IterableIterator<TopicLog> {
    return this.#logs.values();
  }

  /** For each origin the timestamp up to which messages of forgotten topics may be missing. */
  get floors(): Floors {
    return this.#floors;
  }

  /** A topic's log, which the caller must {@linkcode leave}; `undefined` if the topic has none. */
  use(topic: string): TopicLog | undefined {
    if (!this.keeps(topic)) return undefined;
    let log = this.#logs.get(topic);
    if (log === undefined) {
      log = new TopicLog(topic, this.#floors);
      this.#logs.set(topic, log);
      this.#count(HISTORY_LOG_BYTES + topic.length);
    }
    log.users++;
    this.#idleLogs.delete(log);
    this.#emptyLogs.delete(log);
    return log;
  }

  /** Ends the use of a log. */
  leave(log: TopicLog): void {
    if (--log.users > 0) return;
    (log.isEmpty ? this.#emptyLogs : this.#idleLogs).add(log);
    this.#enforceLogs();
  }

  /** Changes the number of topics with subscribers: others have the rest of the places for topics. */
  countSubscribedTopics(change: number): void {
    this.#subscribedTopics += change;
    if (change > 0) this.#enforceLogs();
  }

  /** Stores a topic's batch, which was just sealed. */
  store(log: TopicLog, batch: Batch): void {
    if (log.isEmpty) this.#host.counters.historyTopics++;
    const stored = new StoredBatch(log, batch, this.#host.clock.nowMs);
    this.#linkNewest(stored);
    const sizeBefore = log.size;
    log.append(stored);
    this.#host.counters.historyMessages += log.size - sizeBefore;
    this.#hold(batch);
    this.#trim(log);
    this.#enforceTotal();
  }

  /**
   * Stores older batches of a topic, in front of those that it has. Call {@linkcode sortByAge} when all is
   * stored.
   *
   * @param batches The oldest first; the last must end where the log begins.
   * @param agesMs For each how long ago it was stored elsewhere, in milliseconds.
   */
  storeOlder(log: TopicLog, batches: readonly Batch[], agesMs: readonly number[]): void {
    if (batches.length === 0) return;
    const { clock, counters } = this.#host;
    if (log.isEmpty) counters.historyTopics++;
    const stored = batches.map((batch, i) => new StoredBatch(log, batch, clock.nowMs - agesMs[i]!));
    for (const one of stored.toReversed()) this.#linkOldest(one);
    const sizeBefore = log.size;
    log.prepend(stored);
    counters.historyMessages += log.size - sizeBefore;
    for (const batch of batches) this.#hold(batch);
    this.#trim(log);
    this.#enforceTotal();
  }

  /** Puts all batches in the order of their age. */
  sortByAge(): void {
    const all: StoredBatch[] = [];
    for (let one = this.#oldest; one !== undefined; one = one.newer) all.push(one);
    all.sort((a, b) => a.sinceMs - b.sinceMs);
    this.#oldest = this.#newest = undefined;
    for (const one of all) {
      one.older = one.newer = undefined;
      this.#linkNewest(one);
    }
  }

  /** Joins small batches from the one with message `number` on, for all that read them from now on. */
  joinFrom(log: TopicLog, number: number): void {
    const parts = log.smallFrom(number, MAX_JOINED_BYTES);
    const [first] = parts;
    const newest = parts.at(-1);
    if (first === undefined || newest === undefined || first === newest) return;
    // A batch that is large enough isn't copied again to add a little.
    if (first.batch.bytes.byteLength > MAX_JOINED_BYTES / 2) return;
    const { budget } = this.#host;
    const batch = joinBatches(parts.map((part) => part.batch), budget);
    const joined = new StoredBatch(log, batch, newest.sinceMs);
    joined.newer = newest.newer;
    joined.older = newest;
    if (newest.newer === undefined) this.#newest = joined;
    else newest.newer.older = joined;
    newest.newer = joined;
    log.replace(parts, joined);
    for (const part of parts) {
      this.#unlink(part);
      part.batch.discard();
      this.#tally(-costOf(part.batch));
      budget.countHistory(-HISTORY_BATCH_BYTES);
    }
    this.#hold(batch);
  }

  /** For each origin takes a floor that another process had, if it is higher. */
  raiseFloor(origin: Origin, micros: number): void {
    if ((this.#floors.get(origin) ?? -1) >= micros) return;
    this.#floors = new Map(this.#floors).set(origin, micros);
  }

  /** Drops batches that are too old. To be called once a sweep. */
  sweep(): void {
    const { clock, limits } = this.#host;
    for (let drops = 0; drops < DROPS_PER_SWEEP; drops++) {
      const oldest = this.#oldest;
      if (oldest === undefined || clock.nowMs - oldest.sinceMs < limits.historyMs) return;
      this.#dropOldestOf(oldest.log);
    }
  }

  /** Drops stored messages until so many bytes are free, or none is left; the oldest first. */
  giveUp(bytes: number): void {
    const { budget } = this.#host;
    const goal = budget.historyBytes - bytes;
    while (this.#oldest !== undefined && budget.historyBytes > goal) {
      this.#giveUpOldestOf(this.#oldest.log);
    }
    while (budget.historyBytes > goal && this.#emptyLogs.first !== undefined) {
      this.#forgetLog(this.#emptyLogs.first);
    }
  }

  #trim(log: TopicLog): void {
    const { limits, counters } = this.#host;
    const sizeBefore = log.size;
    let beyond = log.trim(limits);
    counters.historyMessages -= sizeBefore - log.size;
    for (; beyond !== undefined; beyond = log.trim(limits)) this.#dropOldestOf(log);
  }

  #enforceTotal(): void {
    const { counters, limits } = this.#host;
    while (counters.historyBytes > limits.historyTotalBytes && this.#oldest !== undefined) {
      this.#giveUpOldestOf(this.#oldest.log);
    }
    this.#enforceLogs();
  }

  #enforceLogs(): void {
    if (this.#emptyLogs.size + this.#idleLogs.size === 0) return;
    const { limits } = this.#host;
    const maxEmpty = limits.historyTotalBytes * EMPTY_LOGS_SHARE / HISTORY_LOG_BYTES;
    const maxUnused = Math.max(0, limits.maxTopicsTotal - this.#subscribedTopics);
    const isTooMany = () => this.#emptyLogs.size + this.#idleLogs.size > maxUnused;
    while (this.#emptyLogs.size > maxEmpty || isTooMany()) {
      const log = this.#emptyLogs.first;
      if (log === undefined) break;
      this.#forgetLog(log);
    }
    while (isTooMany()) {
      const log = this.#idleLogs.first as TopicLog;
      while (!log.isEmpty) this.#giveUpOldestOf(log);
      this.#forgetLog(log);
    }
  }

  #giveUpOldestOf(log: TopicLog): void {
    const { counters } = this.#host;
    const before = counters.historyMessages;
    this.#dropOldestOf(log);
    counters.historyGivenUp += before - counters.historyMessages;
  }

  #dropOldestOf(log: TopicLog): void {
    const { counters } = this.#host;
    const stored = log.oldest as StoredBatch;
    const sizeBefore = log.size;
    log.dropOldest();
    counters.historyMessages -= sizeBefore - log.size;
    this.#unlink(stored);
    stored.batch.discard();
    this.#tally(-costOf(stored.batch));
    this.#host.budget.countHistory(-HISTORY_BATCH_BYTES);
    if (!log.isEmpty) return;
    counters.historyTopics--;
    if (this.#idleLogs.delete(log)) this.#emptyLogs.add(log);
  }

  #forgetLog(log: TopicLog): void {
    this.#emptyLogs.delete(log);
    this.#logs.delete(log.topic);
    this.#count(-(HISTORY_LOG_BYTES + log.topic.length));
    const floors = new Map(this.#floors);
    for (const [origin, { last, dropped }] of log.traces) {
      if (origin.isForgotten) continue;
      const floor = Math.max(last, dropped);
      if ((floors.get(origin) ?? -1) < floor) floors.set(origin, floor);
    }
    if (log.traces.size > 0) this.#floors = floors;
  }

  #hold(batch: Batch): void {
    batch.store();
    this.#tally(costOf(batch));
    this.#host.budget.countHistory(HISTORY_BATCH_BYTES);
  }

  #count(bytes: number): void {
    this.#tally(bytes);
    this.#host.budget.countHistory(bytes);
  }

  #tally(bytes: number): void {
    this.#host.counters.historyBytes += bytes;
  }

  #linkNewest(stored: StoredBatch): void {
    stored.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = stored;
    else this.#newest.newer = stored;
    this.#newest = stored;
  }

  #linkOldest(stored: StoredBatch): void {
    stored.newer = this.#oldest;
    if (this.#oldest === undefined) this.#newest = stored;
    else this.#oldest.older = stored;
    this.#oldest = stored;
  }

  #unlink({ older, newer }: StoredBatch): void {
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
  }
}

function costOf(batch: Batch): number {
  return batch.bytes.byteLength + HISTORY_BATCH_BYTES;
}

/** True if a topic matches a pattern, in which `*` stands for any run of characters. */
export function matches(pattern: string, topic: string): boolean {
  if (pattern === "*") return true;
  const parts = pattern.split("*");
  const prefix = parts.shift() as string;
  const suffix = parts.pop();
  if (suffix === undefined) return topic === prefix;
  if (!topic.startsWith(prefix)) return false;
  let from = prefix.length;
  for (const part of parts) {
    const at = topic.indexOf(part, from);
    if (at === -1) return false;
    from = at + part.length;
  }
  return topic.length - suffix.length >= from && topic.endsWith(suffix);
}
