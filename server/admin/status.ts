import manifest from "../../package.json" with { type: "json" };
import type { PauseCause } from "../counters.ts";
import type { ListedTopic } from "../telemetry/inspection.ts";
import { LISTED } from "../telemetry/limits.ts";
import type { PassRecord } from "../telemetry/pass_recorder.ts";
import { addUp, type Gauges } from "../telemetry/report.ts";
import type { Health, ServerPhase } from "./health.ts";
import { STATUS_REUSE_MS } from "./limits.ts";
import type { RuntimeInfo } from "./metrics.ts";
import type { AdminSource, WorkerInspection } from "./source.ts";

const ONE_SECOND_MS = 1_000;

/** The state of the server besides what its source knows. */
export interface ServerHealth {
  readonly phase: ServerPhase;
  readonly ready: Health;
}

/** Writes `/status.json`. Many requests cost as one, since the answer is given again for half a second. */
export class Status {
  readonly #source: AdminSource;
  readonly #runtime: RuntimeInfo;
  #writing: Promise<string> | undefined;
  #writtenMs = -Infinity;

  constructor(source: AdminSource, runtime: RuntimeInfo) {
    this.#source = source;
    this.#runtime = runtime;
  }

  /** @param health Called when it is written anew. */
  text(health: () => ServerHealth): Promise<string> {
    if (this.#writing !== undefined && performance.now() - this.#writtenMs < STATUS_REUSE_MS) {
      return this.#writing;
    }
    this.#writtenMs = Infinity;
    const writing = this.#writing = this.#write(health());
    writing.then(() => this.#writtenMs = performance.now(), () => this.#writing = undefined);
    return writing;
  }

  async #write({ phase, ready }: ServerHealth): Promise<string> {
    const source = this.#source;
    const inspections = await source.inspect();
    const { workers, supervisor, limits, restarts, lostSessions } = source;
    const counts = workers.flatMap(({ counts }) => counts ?? []);
    const gauges = workers.flatMap(({ gauges }) => gauges ?? []);
    return JSON.stringify(snakeCased({
      version: manifest.version,
      runtime: this.#runtime.name,
      runtimeVersion: this.#runtime.version,
      timeMs: Date.now(),
      phase,
      isReady: ready.isFine,
      reasons: ready.reasons,
      limits,
      ...(source.cluster === undefined ? {} : { cluster: source.cluster }),
      restarts,
      lostSessions,
      fanout: fanoutOf(inspections.flatMap(({ inspection }) => inspection.recentPasses)),
      counts: counts.length === 0 ? null : counts.reduce(addUp),
      gauges: gauges.length === 0 ? null : gauges.reduce(addUp),
      workers: workers.map(({ name, isUp, trouble, process, counts, gauges }) => ({
        name,
        isUp,
        trouble,
        process: process ?? null,
        counts: counts ?? null,
        gauges: gauges === undefined ? null : withoutTopics(gauges),
      })),
      supervisor: supervisor ?? null,
      ...listsOf(inspections),
    }));
  }
}

/**
 * The passes of the last minute, of all workers. The last large one is the last that reached at least half as
 * many subscribers as the largest did.
 */
function fanoutOf(passes: readonly PassRecord[]): object {
  const sorted = passes.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  const last = latest(passes);
  const mostSubscribers = passes.reduce((most, { subscribers }) => Math.max(most, subscribers), 0);
  const at = (share: number) =>
    sorted.length === 0 ? null : sorted[Math.ceil(share * sorted.length) - 1]!;
  return {
    passes: sorted.length,
    last,
    lastLarge: latest(passes.filter(({ subscribers }) => subscribers * 2 >= mostSubscribers)),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    overOneSecond: sorted.filter((ms) => ms > ONE_SECOND_MS).length,
    mostSubscribers,
  };
}

function latest(passes: readonly PassRecord[]): PassRecord | null {
  return passes.reduce<PassRecord | null>(
    (last, pass) => last === null || pass.endedMs >= last.endedMs ? pass : last,
    null,
  );
}

/** The lists of all workers as one of each kind. */
function listsOf(inspections: readonly WorkerInspection[]): object {
  const all = <Item>(listOf: (one: WorkerInspection["inspection"]) => readonly Item[]) =>
    inspections.flatMap(({ worker, inspection }) =>
      listOf(inspection).map((item) => ({ ...item, worker }))
    );
  const topics = (listOf: (one: WorkerInspection["inspection"]) => readonly ListedTopic[]) =>
    mergedTopics(inspections.flatMap(({ inspection }) => listOf(inspection)));
  const pausedByGate: Partial<Record<PauseCause, number>> = {};
  for (const { inspection } of inspections) {
    for (const [gate, count] of Object.entries(inspection.pausedByGate)) {
      const cause = gate as PauseCause;
      pausedByGate[cause] = (pausedByGate[cause] ?? 0) + count;
    }
  }
  return {
    topicsBySubscribers: first(
      topics(({ topicsBySubscribers }) => topicsBySubscribers),
      ({ subscribers }) => subscribers,
    ),
    topicsByDeliveries: first(
      topics(({ topicsByDeliveries }) => topicsByDeliveries),
      ({ deliveries }) => deliveries,
    ),
    slowSubscribers: first(all((one) => one.slowSubscribers), ({ pendingBytes }) => pendingBytes),
    slowConsumersEnded: first(all((one) => one.slowEnds), ({ endedMs }) => endedMs),
    pausedPublishers: all((one) => one.pausedPublishers).slice(0, LISTED),
    pausedByGate,
  };
}

/** A topic counts on each worker that lists it. */
function mergedTopics(listed: readonly ListedTopic[]): ListedTopic[] {
  const byName = new Map<string, ListedTopic>();
  for (const one of listed) {
    const { topic, subscribers, deliveries } = one;
    const sum = byName.get(topic);
    byName.set(
      topic,
      sum === undefined ? one : {
        topic,
        subscribers: sum.subscribers + subscribers,
        deliveries: sum.deliveries + deliveries,
      },
    );
  }
  return [...byName.values()];
}

/** The items with the greatest values, {@linkcode LISTED} at most. */
function first<Item>(items: readonly Item[], valueOf: (item: Item) => number): Item[] {
  return items.toSorted((a, b) => valueOf(b) - valueOf(a)).slice(0, LISTED);
}

function withoutTopics({ topicSubscribers: _, ...gauges }: Gauges): object {
  return gauges;
}

/** The same tree with names such as `pending_bytes`, as all JSON of the project has them. */
function snakeCased(tree: unknown): unknown {
  if (Array.isArray(tree)) return tree.map(snakeCased);
  if (typeof tree !== "object" || tree === null) return tree ?? null;
  return Object.fromEntries(
    Object.entries(tree).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCased(value),
    ]),
  );
}
