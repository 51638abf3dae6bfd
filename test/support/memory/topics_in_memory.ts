/**
 * Topics without a server, on a loop in memory.
 *
 * @module
 */

import { TimestampIssuer } from "../../../protocol/timestamp.ts";
import type { Runtime } from "../../../runtime/types.ts";
import { MemoryBudget } from "../../../server/flow/memory_budget.ts";
import { History, type HistoryLimits } from "../../../server/history/history.ts";
import { Origins } from "../../../server/history/origins.ts";
import { Tagging } from "../../../server/history/tagging.ts";
import { DEFAULT_LIMITS } from "../../../server/limits.ts";
import { softPendingBytesOf } from "../../../server/limits/derived.ts";
import { CoarseClock } from "../../../server/timing/coarse_clock.ts";
import { FairScheduler } from "../../../server/timing/fair_scheduler.ts";
import { CatchUps } from "../../../server/topics/catch_ups.ts";
import { TopicRegistry } from "../../../server/topics/topic_registry.ts";

/** The options of {@linkcode topicsInMemory}. */
export interface TopicsOptions {
  readonly maxPendingBytes?: number;
  /** Limits of the history; none is kept unless a time is given. */
  readonly history?: Partial<HistoryLimits>;
  /** True as if other processes served the same topics. */
  readonly hasOtherOrigins?: boolean;
  /** Counts memory; without a limit unless given. */
  readonly budget?: MemoryBudget;
}

/** Topics, and what they are made of. */
export interface TopicsInMemory {
  readonly topics: TopicRegistry;
  readonly budget: MemoryBudget;
  readonly scheduler: FairScheduler;
  readonly origins: Origins;
  readonly history: History;
  readonly clock: CoarseClock;
  readonly catchUps: CatchUps;
  /** What the history and those that catch up have counted. */
  readonly counters: {
    historyBytes: number;
    historyMessages: number;
    historyTopics: number;
    historyGivenUp: number;
    messagesReplayed: number;
    deliveries: number;
  };
}

/** Topics on a runtime's loop. */
export function topicsInMemory(runtime: Runtime, options: TopicsOptions = {}): TopicsInMemory {
  const {
    maxPendingBytes = DEFAULT_LIMITS.maxPendingBytes,
    hasOtherOrigins = false,
    budget = new MemoryBudget(Number.MAX_SAFE_INTEGER, {}),
  } = options;
  const scheduler = new FairScheduler(runtime);
  const origins = new Origins(0);
  const clock = new CoarseClock(0);
  const counters = {
    historyBytes: 0,
    historyMessages: 0,
    historyTopics: 0,
    historyGivenUp: 0,
    messagesReplayed: 0,
    deliveries: 0,
  };
  const limits = { ...DEFAULT_LIMITS, historyMs: 0, ...options.history };
  const history = new History({ limits, budget, clock, origins, counters });
  const softPendingBytes = softPendingBytesOf({ ...DEFAULT_LIMITS, maxPendingBytes });
  const catchUps = new CatchUps(runtime, scheduler, counters, softPendingBytes);
  const topics = new TopicRegistry({
    runtime,
    budget,
    scheduler,
    maxPendingBytes,
    softPendingBytes,
    counters,
    passes: undefined,
    origins,
    history,
    tagging: new Tagging(budget, new TimestampIssuer()),
    catchUps,
    hasOtherOrigins,
  });
  return { topics, budget, scheduler, origins, history, clock, catchUps, counters };
}
