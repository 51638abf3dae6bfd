/**
 * The metrics of what a server holds and has done, over all its processes.
 *
 * @module
 */

import { FANOUT_SECONDS, FANOUT_SUBSCRIBERS, LOOP_DELAY_SECONDS } from "../telemetry/limits.ts";
import type { ClientDoor, Gauges } from "../telemetry/report.ts";
import type { MetricSet } from "./metric_set.ts";
import type { AdminSource } from "./source.ts";

const DOORS: readonly ClientDoor[] = ["tcp", "websocket"];

/** Those that are one number. */
type NumberGauge = Exclude<keyof Gauges, "topicSubscribers" | "connectionsByDoor">;

/** Adds them, in the order in which they are shown. */
export function addServerMetrics(set: MetricSet, source: AdminSource): void {
  addClients(set, source);
  addMessages(set);
  addMemory(set, source);
  addHistory(set, source);
  addFanout(set);
}

function addClients(set: MetricSet, source: AdminSource): void {
  set.gauge("connections", "Connections that are open now.", sumOf(source, "connections"));
  set.gauge(
    "connections_by_door",
    "Connections that are open now, by tcp or websocket, with TLS or without.",
    () => DOORS.map((door) => [door, connectionsBy(source, door)]),
    "door",
  );
  set.gauge(
    "connections_max",
    "Connections that may be open at once.",
    () => source.limits.maxConnections,
  );
  set.counter(
    "connections_accepted_total",
    "Connections accepted, those refused afterwards too.",
    ({ accepted }) => accepted,
  );
  set.counter(
    "connections_refused_by_address_total",
    "Connections refused because their address had too many, or made too many a second.",
    ({ refusedByAddress }) => refusedByAddress,
  );
  set.counter(
    "sessions_ended_total",
    "Ended sessions by reason; worker_lost are those of workers that died.",
    ({ ended }) => [...Object.entries(ended), ["worker_lost", source.lostSessions]],
    "reason",
  );
  set.counter("accept_errors_total", "Accepts that failed.", ({ acceptErrors }) => acceptErrors);
  set.counter("wrong_keys_total", "Wrong keys shown by clients.", (counts) => counts.wrongKeys);
  set.gauge("subscriptions", "Subscriptions now, over all topics.", sumOf(source, "subscriptions"));
  set.gauge(
    "topics",
    "Topics with subscribers now; one counts once on each worker that has it.",
    sumOf(source, "topics"),
  );
}

function addMessages(set: MetricSet): void {
  set.counter(
    "messages_received_total",
    "Messages accepted from publishers.",
    ({ messagesIn }) => messagesIn,
  );
  set.counter(
    "deliveries_total",
    "Messages handed to subscribers: one for each message and subscriber.",
    ({ deliveries }) => deliveries,
  );
  set.counter(
    "writes_total",
    "Writes for messages and heartbeats; one may carry many messages.",
    ({ writes }) => writes,
  );
  set.counter("receipts_total", "Receipts given to publishers.", ({ receipts }) => receipts);
  set.counter("received_bytes_total", "Bytes read from clients.", ({ bytesIn }) => bytesIn);
  set.counter(
    "sent_bytes_total",
    "Bytes handed to clients' connections, before TLS.",
    ({ bytesOut }) => bytesOut,
  );
  set.counter(
    "publisher_pauses_total",
    "How often a publisher was made to wait, by the gate at which it waits.",
    ({ pauses }) => Object.entries(pauses),
    "cause",
  );
}

function addMemory(set: MetricSet, source: AdminSource): void {
  const { limits } = source;
  set.gauge(
    "held_bytes",
    "Bytes of memory that connections, subscriptions and topics hold.",
    sumOf(source, "heldBytes"),
  );
  set.gauge(
    "held_bytes_max",
    "Bytes of memory that they may hold.",
    () => limits.maxTotalPendingBytes,
  );
  set.gauge(
    "memory_bytes_max",
    "Bytes of memory that all processes of the server may have.",
    () => limits.maxMemoryBytes,
  );
  set.counter(
    "memory_evictions_total",
    "Clients ended because they held most while memory was short.",
    ({ memoryEvictions }) => memoryEvictions,
  );
  set.counter(
    "memory_refusals_total",
    "Connections refused because memory was short.",
    ({ memoryRefusals }) => memoryRefusals,
  );
  set.counter(
    "memory_pauses_total",
    "How often clients that send much were made to wait because memory was short.",
    ({ memoryPauses }) => memoryPauses,
  );
  set.counter(
    "garbage_collections_total",
    "How often garbage was collected because memory was short.",
    ({ collections }) => collections,
  );
}

function addHistory(set: MetricSet, source: AdminSource): void {
  set.counter(
    "resumes_total",
    "Subscribes with resume, by the reason of the answer; ok are those that missed nothing.",
    ({ resumes }) => Object.entries(resumes),
    "reason",
  );
  set.counter(
    "messages_replayed_total",
    "Messages given to subscribers from the history.",
    ({ messagesReplayed }) => messagesReplayed,
  );
  set.counter(
    "history_given_up_total",
    "Stored messages dropped before --history-time, for want of memory, of room in " +
      "--history-total-bytes, or of places for topics; not those beyond their own topic's limits.",
    ({ historyGivenUp }) => historyGivenUp,
  );
  set.gauge(
    "history_bytes",
    "Bytes of memory that stored messages take; each worker stores all.",
    sumOf(source, "historyBytes"),
  );
  set.gauge(
    "history_messages",
    "Messages that are stored, on the worker that stores most.",
    mostOf(source, "historyMessages"),
  );
  set.gauge(
    "history_topics",
    "Topics with stored messages, on the worker that stores most.",
    mostOf(source, "historyTopics"),
  );
}

function addFanout(set: MetricSet): void {
  set.histogram(
    "fanout_seconds",
    "Time from the acceptance of a batch's oldest message to the last write handed over; one " +
      "observation for each pass over a topic's subscribers, on each worker.",
    FANOUT_SECONDS,
    ({ fanoutSeconds }) => fanoutSeconds,
  );
  set.histogram(
    "fanout_large_seconds",
    "The same for passes that reached more than 10,000 subscribers.",
    FANOUT_SECONDS,
    ({ largeFanoutSeconds }) => largeFanoutSeconds,
  );
  set.histogram(
    "fanout_subscribers",
    "Subscribers that a pass reached.",
    FANOUT_SUBSCRIBERS,
    ({ fanoutSubscribers }) => fanoutSubscribers,
  );
  set.histogram(
    "event_loop_delay_seconds",
    "How late the event loop was, sampled twenty times a second.",
    LOOP_DELAY_SECONDS,
    ({ loopDelaySeconds }) => loopDelaySeconds,
  );
}

/** The sum of a number over all workers. */
function sumOf(source: AdminSource, what: NumberGauge): () => number {
  return () => source.workers.reduce((sum, { gauges }) => sum + (gauges?.[what] ?? 0), 0);
}

/** The greatest value of a number among the workers. */
function mostOf(source: AdminSource, what: NumberGauge): () => number {
  return () => Math.max(0, ...source.workers.map(({ gauges }) => gauges?.[what] ?? 0));
}

function connectionsBy(source: AdminSource, door: ClientDoor): number {
  return source.workers.reduce((sum, { gauges }) => {
    return sum + (gauges?.connectionsByDoor[door] ?? 0);
  }, 0);
}
