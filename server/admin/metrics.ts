import { Gauge } from "prom-client";
import manifest from "../../package.json" with { type: "json" };
import { addUp } from "../telemetry/report.ts";
import { addClusterMetrics } from "./cluster_metrics.ts";
import { MetricSet } from "./metric_set.ts";
import { addServerMetrics } from "./server_metrics.ts";
import type { AdminSource, ProcessState } from "./source.ts";

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
    addServerMetrics(this.#set, source);
    this.#addWorkers();
    this.#addProcesses();
    if (source.cluster !== undefined) addClusterMetrics(this.#set, source);
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
}
