import type { Position, ResumeReason } from "../../protocol/resume.ts";
import { endOfRun, microsOf, type Stretch } from "./batch.ts";
import type { Origin, Origins } from "./origins.ts";
import type { Floors, Trace } from "./topic_log.ts";

/** All messages of a topic that a search may find. */
export interface SearchedTopic {
  /** The number of the oldest one. */
  readonly first: number;
  /** The number behind the newest one. */
  readonly end: number;
  /** All stretches that hold them, the newest first. */
  newestFirst(): Iterable<Stretch>;
  /** The origins that have published to the topic. */
  readonly traces: ReadonlyMap<Origin, Trace>;
  /** For each origin a timestamp up to which messages of this topic may be missing. */
  readonly floors: Floors;
}

/** The beginning of a subscription, and the client's answer. */
export interface Found {
  readonly reason: ResumeReason;
  /** The position in front of the messages that follow. */
  readonly at: Position;
  /** The origins to be named as crashed. */
  readonly crashed: readonly string[];
  /** The number of the first message that follows. */
  readonly next: number;
  /** From this number on all messages follow; before it those that the client hasn't had. */
  readonly cleanFrom: number;
  /** The number of the messages that follow in front of that one. */
  readonly scattered: number;
  /** Timestamps up to which the client has had the messages before that, by origin. */
  readonly had: ReadonlyMap<Origin, number>;
  /** The process that accepted the first message that follows, if one is there already. */
  readonly origin: Origin | undefined;
  /** The number of messages that follow and are there already. */
  readonly missed: number;
  /** Their bytes. */
  readonly missedBytes: number;
}

const NOTHING_HAD: ReadonlyMap<Origin, number> = new Map();

/** Begins with the messages that are accepted from now on. */
export function fromNowOn(reason: ResumeReason, end: number, origins: Origins): Found {
  return {
    reason,
    at: presentPosition(origins),
    crashed: [],
    next: end,
    cleanFrom: end,
    scattered: 0,
    had: NOTHING_HAD,
    origin: undefined,
    missed: 0,
    missedBytes: 0,
  };
}

/** Begins with the newest `count` messages, or with all if there are fewer. */
export function findLast(topic: SearchedTopic, count: number, origins: Origins): Found {
  const next = Math.max(topic.first, topic.end - count);
  const at = new Map(presentPosition(origins));
  let missedBytes = 0;
  let firstOrigin: Origin | undefined;
  for (const stretch of topic.newestFirst()) {
    if (stretch.end <= next) break;
    const from = Math.max(stretch.first, next);
    missedBytes += stretch.offsetOf(stretch.end) - stretch.offsetOf(from);
    for (let i = stretch.runs.length - 1; i >= 0 && endOfRun(stretch, i) > next; i--) {
      const { origin, first } = stretch.runs[i]!;
      firstOrigin = origin;
      if (!origin.isForgotten) at.set(origin.name, microsOf(stretch, Math.max(first, next)) - 1);
    }
  }
  const missed = topic.end - next;
  return {
    reason: "new",
    at,
    crashed: [],
    next,
    cleanFrom: next,
    scattered: 0,
    had: NOTHING_HAD,
    origin: firstOrigin,
    missed,
    missedBytes,
  };
}

/**
 * True if this process is about to get what the client has had already, from another process.
 *
 * @param nowMicros What is later can't have been issued. Only an end may lie behind it.
 */
export function isAhead(position: Position, origins: Origins, nowMicros: number): boolean {
  let awaitsSome = false;
  for (const [name, micros] of position) {
    const origin = origins.find(name);
    if (origin === undefined) return false;
    if (micros <= origin.micros) continue;
    if (micros > nowMicros || origin.end !== undefined || origin === origins.own) return false;
    awaitsSome = true;
  }
  return awaitsSome;
}

/** Begins behind a client's position, if all messages from there on are stored. */
export function findBehind(topic: SearchedTopic, position: Position, origins: Origins): Found {
  const had = new Map<Origin, number>();
  for (const [name, micros] of position) {
    const origin = origins.find(name);
    if (origin === undefined || micros > origin.micros) {
      return fromNowOn("unknown_origin", topic.end, origins);
    }
    had.set(origin, micros);
  }
  const fault = faultOf(topic, had, origins);
  if (fault !== undefined) return fromNowOn(fault, topic.end, origins);
  // A client that could name such an origin no more has had everything of it.
  for (const origin of topic.traces.keys()) if (origin.isForgotten) had.set(origin, Infinity);

  const search = new Search(topic, had);
  for (const stretch of topic.newestFirst()) if (search.isDoneWith(stretch)) break;
  const { next, origin: firstOrigin, missed, missedBytes, firstMissed } = search;
  const cleanFrom = Math.max(next, search.cleanFrom);
  const at = new Map<string, number>();
  const crashed: string[] = [];
  for (const origin of origins.all()) {
    const first = firstMissed.get(origin);
    const micros = had.get(origin) ?? -1;
    // If the client has missed nothing of an origin, its position there is the present one.
    const here = first === undefined
      ? Math.max(micros, origin.micros)
      : had.get(origin) ?? first - 1;
    at.set(origin.name, here);
    const isCrashed = origin.end === "crashed" && topic.traces.has(origin);
    if (isCrashed && micros < origin.micros) crashed.push(origin.name);
  }
  return {
    reason: "ok",
    at,
    crashed,
    next,
    cleanFrom,
    scattered: missed - (topic.end - cleanFrom),
    had,
    origin: firstOrigin,
    missed,
    missedBytes,
  };
}

/** The reason why a subscription can't begin behind a position, if there is one. */
function faultOf(
  { traces, floors }: SearchedTopic,
  had: ReadonlyMap<Origin, number>,
  origins: Origins,
): ResumeReason | undefined {
  const hadOf = (origin: Origin) => had.get(origin) ?? -1;
  for (const origin of origins.all()) {
    if (origin.end === "lost" && hadOf(origin) < origin.micros) return "gap";
    if (hadOf(origin) < origin.holeMicros) return "gap";
  }
  for (const [origin, floor] of floors) {
    if (!origin.isForgotten && hadOf(origin) < floor) return "too_old";
  }
  for (const [origin, { dropped }] of traces) {
    if (!origin.isForgotten && hadOf(origin) < dropped) return "too_old";
  }
  if (origins.forgottenMicros >= 0) {
    const newest = Math.max(-1, ...had.values());
    if (newest < origins.forgottenMicros) return "too_old";
  }
  return undefined;
}

/** Goes back from a topic's newest message to the first that a client hasn't had. */
class Search {
  next: number;
  cleanFrom: number;
  origin: Origin | undefined;
  missed = 0;
  missedBytes = 0;
  /** Of each origin the timestamp of the first message that is missed. */
  readonly firstMissed = new Map<Origin, number>();
  readonly #topic: SearchedTopic;
  readonly #had: ReadonlyMap<Origin, number>;
  /** Origins of which more may be missed further back. */
  readonly #open = new Set<Origin>();

  constructor(topic: SearchedTopic, had: ReadonlyMap<Origin, number>) {
    this.#topic = topic;
    this.#had = had;
    this.next = topic.end;
    for (const [origin, { last, dropped }] of topic.traces) {
      if (last > dropped && last > this.#hadOf(origin)) this.#open.add(origin);
    }
    this.cleanFrom = topic.first;
  }

  /** Looks through the next older stretch. @returns True if nothing that is missed is older. */
  isDoneWith(stretch: Stretch): boolean {
    for (let i = stretch.runs.length - 1; i >= 0; i--) {
      const { origin, first } = stretch.runs[i]!;
      const from = Math.max(first, this.#topic.first);
      const end = endOfRun(stretch, i);
      if (end <= from) return true;
      const begin = firstAfter(stretch, from, end, this.#hadOf(origin));
      if (begin > from) {
        this.#open.delete(origin);
        this.cleanFrom = Math.max(this.cleanFrom, begin);
      }
      if (begin < end) {
        this.next = begin;
        this.origin = origin;
        this.missed += end - begin;
        this.missedBytes += stretch.offsetOf(end) - stretch.offsetOf(begin);
        this.firstMissed.set(origin, microsOf(stretch, begin));
      }
    }
    return this.#open.size === 0;
  }

  #hadOf(origin: Origin): number {
    return this.#had.get(origin) ?? -1;
  }
}

/** The number of the first message of a run, from `from` to `end`, whose timestamp is greater. */
export function firstAfter(stretch: Stretch, from: number, end: number, micros: number): number {
  // Most often the client has had the whole run, or nothing of it.
  if (from === end || microsOf(stretch, end - 1) <= micros) return end;
  let low = from;
  let high = end - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (microsOf(stretch, middle) > micros) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The position that has everything. */
function presentPosition(origins: Origins): Position {
  const at = new Map<string, number>();
  for (const { name, micros } of origins.all()) at.set(name, micros);
  return at;
}
