import type { ClusterReport } from "../machines/report.ts";
import process from "node:process";
import type { Counters } from "../counters.ts";
import type { SessionEnd } from "../session/session_end.ts";
import { Fifo } from "../timing/fifo.ts";
import { type InspectedServer, type Inspection, type SlowEnd, survey } from "./inspection.ts";
import { LISTED } from "./limits.ts";
import { LoopSampler } from "./loop_sampler.ts";
import type { PassRecorder } from "./pass_recorder.ts";
import { cpuSeconds, openDescriptors, startedMs } from "./process_usage.ts";
import type { ProcessReport } from "./report.ts";
import type { WatchedTopics } from "./watched_topics.ts";

/** The parts of the server that telemetry reads. */
export interface TelemetryHost extends InspectedServer {
  readonly counters: Readonly<Counters>;
  readonly passes: PassRecorder;
  readonly watched: WatchedTopics;
  readonly descriptorLimit: number | undefined;
  /** Bytes of memory that connections, subscriptions and topics make it hold. */
  readonly heldBytes: () => number;
  /** Descriptors of links to other processes. */
  readonly linkDescriptors: number;
  /** The cluster as the process sees it; absent without one. */
  readonly cluster?: (() => ClusterReport) | undefined;
  /** Bytes of memory that the process has. */
  readonly residentBytes: () => number;
}

/** The measurements of one process, for the admin port. A server without that port has none. */
export class Telemetry {
  readonly #host: TelemetryHost;
  readonly #loop = new LoopSampler();
  readonly #slowEnds = new Fifo<SlowEnd>();
  #inspecting: Promise<Inspection> | undefined;

  constructor(host: TelemetryHost) {
    this.#host = host;
  }

  start(): void {
    this.#loop.start();
  }

  stop(): void {
    this.#loop.stop();
  }

  /** Notes the end of a session. */
  noteEnd(end: SessionEnd): void {
    if (end.reason !== "slow_consumer") return;
    if (this.#slowEnds.size >= LISTED) this.#slowEnds.shift();
    this.#slowEnds.push({ ...end, endedMs: Date.now() });
  }

  /** The topics that are counted by name. */
  get topics(): readonly string[] {
    return this.#host.watched.names;
  }

  /** The counts so far. Takes some 20 us, however many connections and topics there are. */
  report(): ProcessReport {
    const { counters, passes, watched, topics, descriptorLimit, linkDescriptors } = this.#host;
    const { connections, webSocketConnections: websocket, subscriptions, ...rest } = counters;
    const { publisherPauses: _, ratePauses: __, ...others } = rest;
    const { historyBytes, historyMessages, historyTopics, ...counts } = others;
    const cluster = this.#host.cluster?.();
    return {
      ...(cluster === undefined ? {} : { cluster }),
      pid: process.pid,
      startedMs: startedMs(),
      maxDescriptors: descriptorLimit ?? null,
      loopDelayMs: this.#loop.lastDelayMs,
      counts: {
        ...counts,
        ended: { ...counts.ended },
        pauses: { ...counts.pauses },
        resumes: { ...counts.resumes },
        cpuSeconds: cpuSeconds(),
        fanoutSeconds: copyOf(passes.seconds.counts),
        largeFanoutSeconds: copyOf(passes.largeSeconds.counts),
        fanoutSubscribers: copyOf(passes.subscribers.counts),
        loopDelaySeconds: copyOf(this.#loop.seconds.counts),
        topics: watched.counts.map((one) => ({ ...one })),
      },
      gauges: {
        connections,
        connectionsByDoor: { tcp: connections - websocket, websocket },
        subscriptions,
        topics: topics.size,
        heldBytes: this.#host.heldBytes(),
        historyBytes,
        historyMessages,
        historyTopics,
        residentBytes: this.#host.residentBytes(),
        openDescriptors: openDescriptors(connections + linkDescriptors),
        topicSubscribers: watched.names.map((name) => topics.find(name)?.subscriberCount ?? 0),
      },
    };
  }

  /** The lists of `/status.json`. Callers that come while it works share its result. */
  inspect(): Promise<Inspection> {
    return this.#inspecting ??= this.#inspect();
  }

  async #inspect(): Promise<Inspection> {
    const found = await survey(this.#host);
    this.#inspecting = undefined;
    const slowEnds = [...this.#slowEnds].reverse();
    return { ...found, slowEnds, recentPasses: this.#host.passes.recent() };
  }
}

function copyOf<Counts extends { readonly buckets: readonly number[] }>(counts: Counts): Counts {
  return { ...counts, buckets: [...counts.buckets] };
}
