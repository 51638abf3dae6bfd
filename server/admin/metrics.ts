import { Gauge } from "prom-client";
import manifest from "../../package.json" with { type: "json" };
import { FANOUT_SECONDS, FANOUT_SUBSCRIBERS, LOOP_DELAY_SECONDS } from "../telemetry/limits.ts";
import { addUp, type ClientDoor, type Gauges } from "../telemetry/report.ts";
import { addClusterMetrics } from "./cluster_metrics.ts";
import { MetricSet } from "./metric_set.ts";
import type { AdminSource, ProcessState } from "./source.ts";

const DOORS: readonly ClientDoor[] = ["tcp", "websocket"];

/** Those that are one number. */
type NumberGauge = Exclude<keyof Gauges, "topicSubscribers" | "connectionsByDoor">;

/** The runtime's name and version, for `hotwheels_build_info`. */
export interface RuntimeInfo {
  readonly name: string;
  readonly version: string;
}

/**
 * The metrics of a server, for Prometheus. Their values are taken from the source when they are asked for, so
 * that they cost nothing in between.
 */
export class Metrics {
  readonly #source: AdminSource;
  readonly #set = new MetricSet();

  constructor(source: AdminSource, runtime: RuntimeInfo) {
    this.#source = source;
    this.#addInfo(runtime);
    this.#addClients();
    this.#addMessages();
    this.#addMemory();
    this.#addHistory();
    this.#addFanout();
    this.#addWorkers();
    this.#addProcesses();
    if (source.cluster !== undefined) addClusterMetrics(source, this.#set.registry);
    if (source.metricsTopics.length > 0) this.#addTopics();
  }

  /** The `Content-Type` of the text. */
  get contentType(): string {
    return this.#set.registry.contentType;
  }

  /** The metrics now, as Prometheus's text. Takes a millisecond, however much the server holds. */
  text(): Promise<string> {
    const counts = this.#source.workers.flatMap(({ counts }) => counts ?? []);
    return this.#set.text(counts.length === 0 ? undefined : counts.reduce(addUp));
  }

  #addInfo({ name, version }: RuntimeInfo): void {
    const labels = { version: manifest.version, runtime: name, runtime_version: version };
    new Gauge({
      name: "hotwheels_build_info",
      help: "The server's version and runtime; always 1.",
      labelNames: Object.keys(labels),
      registers: [this.#set.registry],
    }).set(labels, 1);
  }

  #addClients(): void {
    const source = this.#source;
    this.#set.gauge(
      "connections",
      "Connections that are open now.",
      () => this.#held("connections"),
    );
    this.#set.gauge(
      "connections_by_door",
      "Connections that are open now, by tcp or websocket, with TLS or without.",
      () => DOORS.map((door) => [door, this.#heldBy(door)]),
      "door",
    );
    this.#set.gauge(
      "connections_max",
      "Connections that may be open at once.",
      () => source.limits.maxConnections,
    );
    this.#set.counter(
      "connections_accepted_total",
      "Connections accepted, those refused afterwards too.",
      ({ accepted }) => accepted,
    );
    this.#set.counter(
      "connections_refused_by_address_total",
      "Connections refused because their address had too many, or made too many a second.",
      ({ refusedByAddress }) => refusedByAddress,
    );
    this.#set.counter(
      "sessions_ended_total",
      "Ended sessions by reason; worker_lost are those of workers that died.",
      ({ ended }) => [...Object.entries(ended), ["worker_lost", source.lostSessions]],
      "reason",
    );
    this.#set.counter(
      "accept_errors_total",
      "Accepts that failed.",
      ({ acceptErrors }) => acceptErrors,
    );
    this.#set.counter(
      "wrong_keys_total",
      "Wrong keys shown by clients.",
      (counts) => counts.wrongKeys,
    );
    this.#set.gauge(
      "subscriptions",
      "Subscriptions now, over all topics.",
      () => this.#held("subscriptions"),
    );
    this.#set.gauge(
      "topics",
      "Topics with subscribers now; one counts once on each worker that has it.",
      () => this.#held("topics"),
    );
  }

  #addMessages(): void {
    this.#set.counter(
      "messages_received_total",
      "Messages accepted from publishers.",
      ({ messagesIn }) => messagesIn,
    );
    this.#set.counter(
      "deliveries_total",
      "Messages handed to subscribers: one for each message and subscriber.",
      ({ deliveries }) => deliveries,
    );
    this.#set.counter(
      "writes_total",
      "Writes for messages and heartbeats; one may carry many messages.",
      ({ writes }) => writes,
    );
    this.#set.counter(
      "receipts_total",
      "Receipts given to publishers.",
      ({ receipts }) => receipts,
    );
    this.#set.counter("received_bytes_total", "Bytes read from clients.", ({ bytesIn }) => bytesIn);
    this.#set.counter(
      "sent_bytes_total",
      "Bytes handed to clients' connections, before TLS.",
      ({ bytesOut }) => bytesOut,
    );
    this.#set.counter(
      "publisher_pauses_total",
      "How often a publisher was made to wait, by the gate at which it waits.",
      ({ pauses }) => Object.entries(pauses),
      "cause",
    );
  }

  #addMemory(): void {
    const { limits } = this.#source;
    this.#set.gauge(
      "held_bytes",
      "Bytes of memory that connections, subscriptions and topics hold.",
      () => this.#held("heldBytes"),
    );
    this.#set.gauge(
      "held_bytes_max",
      "Bytes of memory that they may hold.",
      () => limits.maxTotalPendingBytes,
    );
    this.#set.gauge(
      "memory_bytes_max",
      "Bytes of memory that all processes of the server may have.",
      () => limits.maxMemoryBytes,
    );
    this.#set.counter(
      "memory_evictions_total",
      "Clients ended because they held most while memory was short.",
      ({ memoryEvictions }) => memoryEvictions,
    );
    this.#set.counter(
      "memory_refusals_total",
      "Connections refused because memory was short.",
      ({ memoryRefusals }) => memoryRefusals,
    );
    this.#set.counter(
      "memory_pauses_total",
      "How often clients that send much were made to wait because memory was short.",
      ({ memoryPauses }) => memoryPauses,
    );
    this.#set.counter(
      "garbage_collections_total",
      "How often garbage was collected because memory was short.",
      ({ collections }) => collections,
    );
  }

  #addHistory(): void {
    this.#set.counter(
      "resumes_total",
      "Subscribes with resume, by the reason of the answer; ok are those that missed nothing.",
      ({ resumes }) => Object.entries(resumes),
      "reason",
    );
    this.#set.counter(
      "messages_replayed_total",
      "Messages given to subscribers from the history.",
      ({ messagesReplayed }) => messagesReplayed,
    );
    this.#set.counter(
      "history_given_up_total",
      "Stored messages dropped before --history-time, for want of memory, of room in " +
        "--history-total-bytes, or of places for topics; not those beyond their own topic's limits.",
      ({ historyGivenUp }) => historyGivenUp,
    );
    this.#set.gauge(
      "history_bytes",
      "Bytes of memory that stored messages take; each worker stores all.",
      () => this.#held("historyBytes"),
    );
    this.#set.gauge(
      "history_messages",
      "Messages that are stored, on the worker that stores most.",
      () => this.#most("historyMessages"),
    );
    this.#set.gauge(
      "history_topics",
      "Topics with stored messages, on the worker that stores most.",
      () => this.#most("historyTopics"),
    );
  }

  #addFanout(): void {
    this.#set.histogram(
      "fanout_seconds",
      "Time from the acceptance of a batch's oldest message to the last write handed over; one " +
        "observation for each pass over a topic's subscribers, on each worker.",
      FANOUT_SECONDS,
      ({ fanoutSeconds }) => fanoutSeconds,
    );
    this.#set.histogram(
      "fanout_large_seconds",
      "The same for passes that reached more than 10,000 subscribers.",
      FANOUT_SECONDS,
      ({ largeFanoutSeconds }) => largeFanoutSeconds,
    );
    this.#set.histogram(
      "fanout_subscribers",
      "Subscribers that a pass reached.",
      FANOUT_SUBSCRIBERS,
      ({ fanoutSubscribers }) => fanoutSubscribers,
    );
    this.#set.histogram(
      "event_loop_delay_seconds",
      "How late the event loop was, sampled twenty times a second.",
      LOOP_DELAY_SECONDS,
      ({ loopDelaySeconds }) => loopDelaySeconds,
    );
  }

  #addWorkers(): void {
    const source = this.#source;
    this.#set.gauge(
      "worker_up",
      "1 if the worker accepts connections and gives signs of life.",
      () => source.workers.map(({ name, isUp }) => [name, Number(isUp)]),
      "worker",
    );
    this.#set.counter(
      "worker_restarts_total",
      "How often a worker was started anew because its process had died.",
      () => source.restarts,
    );
    this.#set.counter(
      "messages_forwarded_total",
      "Messages that workers got from each other.",
      ({ messagesForwarded }) => messagesForwarded,
    );
    this.#set.counter(
      "link_failures_total",
      "How often a link between two workers broke, or couldn't be connected.",
      ({ linkFailures }) => linkFailures,
    );
    this.#set.counter(
      "link_stalls_total",
      "How often a worker took nothing from another one for a second.",
      ({ linkStalls }) => linkStalls,
    );
  }

  #addProcesses(): void {
    const each = (valueOf: (process: ProcessState) => number | null) => () =>
      this.#processes.flatMap((process): [string, number][] => {
        const value = valueOf(process);
        return value === null ? [] : [[process.name, value]];
      });
    // Also while a worker has no process, since this may not fall.
    const cpu = (): [string, number][] => {
      const { supervisor, workers } = this.#source;
      const ofWorkers = workers.flatMap(({ name, counts }): [string, number][] =>
        counts === undefined ? [] : [[name, counts.cpuSeconds]]
      );
      return supervisor === undefined
        ? ofWorkers
        : [[supervisor.name, supervisor.cpuSeconds], ...ofWorkers];
    };
    this.#set.counter(
      "process_cpu_seconds_total",
      "Processor time of a process, and of those in whose place it came.",
      cpu,
      "process",
    );
    this.#set.gauge(
      "process_resident_memory_bytes",
      "Memory of a process.",
      each(({ residentBytes }) => residentBytes),
      "process",
    );
    this.#set.gauge(
      "process_open_fds",
      "Open descriptors of a process.",
      each(({ openDescriptors }) => openDescriptors),
      "process",
    );
    this.#set.gauge(
      "process_max_fds",
      "Descriptors that a process may have open.",
      each(({ maxDescriptors }) => maxDescriptors),
      "process",
    );
    this.#set.gauge(
      "process_start_time_seconds",
      "When a process started, in seconds since the Unix epoch.",
      each(({ startedMs }) => startedMs / 1000),
      "process",
    );
  }

  #addTopics(): void {
    const { metricsTopics } = this.#source;
    const named = (values: readonly number[]) =>
      metricsTopics.map((topic, index) => [topic, values[index] ?? 0] as const);
    this.#set.gauge(
      "topic_subscribers",
      "Subscribers of a topic now.",
      () => {
        const counts = this.#source.workers.flatMap(({ gauges }) => gauges ?? []);
        const subscribers = counts.map(({ topicSubscribers }) => topicSubscribers);
        return named(subscribers.length === 0 ? [] : subscribers.reduce(addUp));
      },
      "topic",
    );
    this.#set.counter(
      "topic_messages_received_total",
      "Messages accepted for a topic.",
      ({ topics }) => named(topics.map(({ messages }) => messages)),
      "topic",
    );
    this.#set.counter(
      "topic_deliveries_total",
      "Messages of a topic handed to subscribers.",
      ({ topics }) => named(topics.map(({ deliveries }) => deliveries)),
      "topic",
    );
  }

  get #processes(): ProcessState[] {
    const { supervisor, workers } = this.#source;
    const serving = workers.flatMap(({ process }) => process ?? []);
    return supervisor === undefined ? serving : [supervisor, ...serving];
  }

  #heldBy(door: ClientDoor): number {
    return this.#source.workers.reduce((sum, { gauges }) => {
      return sum + (gauges?.connectionsByDoor[door] ?? 0);
    }, 0);
  }

  /** The sum of a number over all workers. */
  #held(what: NumberGauge): number {
    return this.#source.workers.reduce((sum, { gauges }) => sum + (gauges?.[what] ?? 0), 0);
  }

  /** The greatest value of a number among the workers. */
  #most(what: NumberGauge): number {
    return Math.max(0, ...this.#source.workers.map(({ gauges }) => gauges?.[what] ?? 0));
  }
}
