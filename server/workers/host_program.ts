import { setTimeout } from "node:timers";
import { type Counters, newCounters } from "../counters.ts";
import { checkMessage, type Message, type PublishReceipt } from "../embedding/local_publisher.ts";
import type { TopicAction, TopicHooks, TopicRequest } from "../embedding/topic_permits.ts";
import type { Limits } from "../limits.ts";
import type { TopicCounts } from "../server_options.ts";
import type { WorkerProcess } from "./worker_process.ts";

/** Milliseconds between two readings of the workers' counts. */
const COUNT_INTERVAL_MS = 1_000;

/** Milliseconds within which a hook must decide; the worker waits for as long. */
const DECISION_MS = 10_000;

/** The options of a {@linkcode HostProgram}. */
export interface HostProgramOptions {
  readonly limits: Limits;
  readonly hooks: TopicHooks;
  /** The workers that have a process; its owner keeps it up to date. */
  readonly workers: ReadonlySet<WorkerProcess>;
  /** Receives what a hook has thrown. */
  readonly onHookFailure: (action: TopicAction, error: unknown) => void;
}

/** The program that embeds a server of several workers: what it publishes, decides, and counts. */
export class HostProgram {
  /** The sum of the workers' counts, those of workers that have ended too; read once a second. */
  readonly counters: Readonly<Counters> = newCounters();
  readonly #options: HostProgramOptions;
  readonly #past = newCounters();
  readonly #last = new Map<WorkerProcess, Counters>();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(options: HostProgramOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.count(), COUNT_INTERVAL_MS);
  }

  /**
   * Publishes a message through one worker, the same one as long as it serves, so that messages keep their
   * order.
   *
   * @throws {RangeError} (rejects) if the message isn't valid.
   * @throws {Error} (rejects) if no worker serves, or the worker ends before the message's fate is known.
   */
  async publish(message: Message): Promise<PublishReceipt> {
    const { bytes } = checkMessage(message, this.#options.limits);
    const worker = this.#serving[0];
    if (worker === undefined) throw new Error("No worker serves now");
    return await worker.publish(new TextDecoder().decode(bytes));
  }

  /** The topics of all workers. */
  async topics(): Promise<readonly TopicCounts[]> {
    const sums = new Map<string, { subscribers: number; deliveries: number }>();
    const lists = await Promise.all(
      this.#serving.map((worker) => worker.listTopics().catch(() => [])),
    );
    for (const { topic, subscribers, deliveries } of lists.flat()) {
      const sum = sums.get(topic) ?? { subscribers: 0, deliveries: 0 };
      sums.set(topic, {
        subscribers: sum.subscribers + subscribers,
        deliveries: sum.deliveries + deliveries,
      });
    }
    return [...sums].map(([topic, counts]) => ({ topic, ...counts }));
  }

  /** Reads the workers' counts. */
  async count(): Promise<void> {
    await Promise.all(this.#serving.map(async (worker) => {
      const counts = await worker.count().catch(() => undefined);
      if (counts === undefined) return;
      if (!this.#last.has(worker)) {
        worker.ended.then(() => {
          addUp(this.#past, this.#last.get(worker)!, isLasting);
          this.#last.delete(worker);
        });
      }
      this.#last.set(worker, counts);
    }));
    const sum = newCounters();
    for (const counts of [this.#past, ...this.#last.values()]) addUp(sum, counts);
    Object.assign(this.counters, sum);
  }

  /** Asks a hook for a worker, and answers the worker. */
  async decide(
    worker: WorkerProcess,
    asked: number,
    action: TopicAction,
    request: TopicRequest,
  ): Promise<void> {
    let deadline: ReturnType<typeof setTimeout> | undefined;
    let isAllowed = false;
    try {
      const late = new Promise<never>((_, reject) => {
        const error = new Error(`no decision within ${DECISION_MS / 1000} s`);
        deadline = setTimeout(() => reject(error), DECISION_MS);
        deadline.unref();
      });
      const verdict: unknown = await Promise.race([this.#options.hooks[action]?.(request), late]);
      isAllowed = verdict === true;
    } catch (error) {
      this.#options.onHookFailure(action, error);
    } finally {
      clearTimeout(deadline);
    }
    worker.answerAsked(asked, isAllowed);
  }

  /** Counts no more. */
  stop(): void {
    clearInterval(this.#timer);
  }

  get #serving(): WorkerProcess[] {
    return [...this.#options.workers].filter(({ phase }) => phase === "serving");
  }
}

/** Counts of a worker that has ended stay in the sum; what it held doesn't. */
function isLasting(name: string): boolean {
  return name !== "connections" && name !== "subscriptions" && !name.startsWith("history");
}

/** Adds counts to a sum, name by name. */
function addUp(
  sum: Counters,
  counts: Counters,
  counted: (name: string) => boolean = () => true,
): void {
  const into = sum as unknown as Record<string, number | Record<string, number>>;
  for (
    const [name, value] of Object.entries(counts) as [string, number | Record<string, number>][]
  ) {
    if (!counted(name)) continue;
    if (typeof value === "number") into[name] = (into[name] as number) + value;
    else {
      const parts = into[name] as Record<string, number>;
      for (const [part, count] of Object.entries(value)) parts[part] = (parts[part] ?? 0) + count;
    }
  }
}
