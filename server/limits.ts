/**
 * Every limit of the server, each with its unit, its default and the reason for it. Each is a flag
 * of the command; only two are unlimited by default, and say why, because the server faces the open
 * internet.
 *
 * @module
 */

import { maxConnectionsFor } from "../host/capacity.ts";

export { connectionsPerIpFor, maxConnectionsFor } from "../host/capacity.ts";

/** What one server allows. All are positive integers; those that may be absent bound nothing then. */
export interface Limits {
  /**
   * Connections at once, subscribers and publishers together. One more is told
   * `too_many_connections`. There is no constant default: it's what the descriptor limit leaves
   * (see {@linkcode maxConnectionsFor}).
   */
  readonly maxConnections: number;
  /**
   * Connections at once from one address; with IPv6 from one /64, which is what one customer has.
   * Some less than {@linkcode maxConnections} (see {@linkcode connectionsPerIpFor}): one address may
   * fill the server, as a load test or a large NAT does, but not shut the others out.
   */
  readonly maxConnectionsPerIp: number;
  /**
   * Connections a second from one address, and {@linkcode ACCEPT_BURST_SECONDS} seconds' worth at
   * once. 10,000, about what one core can accept, or what lets one address fill the server at once
   * where that is more: all its clients may come back together, but not again and again.
   */
  readonly acceptRate: number;
  /**
   * Bytes of one frame or MESSAGE. 64 KiB: a partial frame is the only thing a client can make the
   * server keep without subscribing to anything.
   */
  readonly maxFrameBytes: number;
  /** Bytes of a TOPIC in UTF-8. The protocol allows no more than its default of 256. */
  readonly maxTopicBytes: number;
  /** Topics one connection may be subscribed to. 128: a subscription costs memory and a write. */
  readonly maxTopics: number;
  /**
   * Topics that have subscribers at once, over all connections. 100,000: five for each of 20,000
   * clients, at some 1.5 KiB of memory each with the longest names. What one connection may subscribe
   * to, multiplied by all of them, would be millions.
   */
  readonly maxTopicsTotal: number;
  /**
   * Bytes that may wait for one connection at once. 8 MiB: some seconds of a busy topic, on top of
   * the about 4 MB that the kernel buffers before anything waits here.
   */
  readonly maxPendingBytes: number;
  /** Bytes that may wait for one connection for {@linkcode softPendingMs}, but no longer. */
  readonly softPendingBytes: number;
  /**
   * Milliseconds that more than {@linkcode softPendingBytes} may wait. 1 MiB for 10 s: a reader
   * below some 100 kB/s doesn't keep up with a topic that is faster than it, however it spreads its
   * reads.
   */
  readonly softPendingMs: number;
  /**
   * Bytes of memory that all connections together may hold: what waits for subscribers, a buffer
   * shared by many counted once, partial frames, and subscriptions. 256 MiB: what a small instance can
   * spare; a quarter of {@linkcode maxMemoryBytes} where that is less, since garbage may take as much
   * again.
   * A limit per connection bounds nothing when it's multiplied by 20,000.
   */
  readonly maxTotalPendingBytes: number;
  /**
   * Bytes of the machine's memory that all processes of the server may have, whatever they hold there:
   * messages, connections, garbage, the runtime itself. Three quarters of what the machine has, or the
   * container where that is less: the kernel gives TCP's buffers up to an eighth of a machine's memory,
   * and the last eighth is the system's.
   */
  readonly maxMemoryBytes: number;
  /**
   * Messages a second that one connection may publish, and {@linkcode PUBLISH_BURST_SECONDS}
   * seconds' worth at once; beyond that it's read no faster, and loses nothing. Absent by default: a
   * number can't tell a flood from a good customer. What a publisher may cost others is bounded instead:
   * it has the loop for itself only while nobody waits for it (`fair_reader.ts`), and what it has sent
   * takes no more memory than a few reads.
   */
  readonly publishRate: number | undefined;
  /**
   * Bytes a second that one connection may send, and {@linkcode PUBLISH_BURST_SECONDS} seconds' worth
   * at once; beyond that it's read no faster, and loses nothing. 1 GiB, more than one core can check:
   * connections share the core by turns in any case, so this is for those who want a number.
   */
  readonly publishBytesRate: number;
  /**
   * Wrong keys from one address in a minute; then each key from there, the right one too, is looked at
   * slowly (see {@linkcode SLOW_KEY_DELAY_MS}) until some of that minute has passed. 10: enough for a
   * mistake on several clients.
   */
  readonly maxWrongKeys: number;
  /** Milliseconds for which bytes may wait without the peer taking a single one. */
  readonly writeDeadlineMs: number;
  /**
   * Milliseconds of silence after which a client gets `PING`; a client of 2009, so many after its last
   * message. 30 s: the time that Janus took.
   */
  readonly pingAfterMs: number;
  /**
   * Milliseconds of silence after a `PING`, or without one complete frame after connecting; also of
   * silence of a client of 2009 that is subscribed to nothing.
   */
  readonly idleMs: number;
  /**
   * Milliseconds of silence after which a subscriber of 2009 is closed. Absent by default: Janus
   * closed nobody for silence, its clients say nothing while they listen, and TCP keep-alive finds
   * those that are gone.
   */
  readonly legacyIdleMs: number | undefined;
}

/**
 * The default of {@linkcode Limits.maxMemoryBytes} where it isn't known what the machine has: what
 * 20,000 connections need with everything at its limit.
 */
export const UNKNOWN_MEMORY_BYTES = 1024 * 1024 * 1024;

/** The defaults that are constants; their reasons stand at {@linkcode Limits}. */
export const DEFAULT_LIMITS: Omit<
  Limits,
  "maxConnections" | "maxConnectionsPerIp" | "acceptRate"
> = {
  maxFrameBytes: 64 * 1024,
  maxTopicBytes: 256,
  maxTopics: 128,
  maxTopicsTotal: 100_000,
  maxPendingBytes: 8 * 1024 * 1024,
  softPendingBytes: 1024 * 1024,
  softPendingMs: 10_000,
  maxTotalPendingBytes: 256 * 1024 * 1024,
  maxMemoryBytes: UNKNOWN_MEMORY_BYTES,
  publishRate: undefined,
  publishBytesRate: 1024 * 1024 * 1024,
  maxWrongKeys: 10,
  writeDeadlineMs: 10_000,
  pingAfterMs: 30_000,
  idleMs: 30_000,
  legacyIdleMs: undefined,
};

/**
 * Milliseconds for which a key waits that comes from an address which has shown too many wrong ones. A
 * right key waits as long: who guesses must not learn anything by hanging up early.
 */
export const SLOW_KEY_DELAY_MS = 1_000;

/**
 * Keys a second that are looked at from such an address, on all processes together. 32: a key of 64 bits
 * or more withstands that for ever, and who shares an address with one that guesses waits some seconds.
 */
export const SLOW_KEYS_PER_SECOND = 32;

/** Seconds' worth of {@linkcode Limits.acceptRate} that may come at once. */
export const ACCEPT_BURST_SECONDS = 2;

/** The default of {@linkcode Limits.acceptRate}. */
export function acceptRateFor(maxConnections: number): number {
  return Math.max(10_000, Math.ceil(maxConnections / ACCEPT_BURST_SECONDS));
}

/**
 * Addresses without connections that are remembered until their tokens are back: 4 MB. Whoever has
 * more addresses isn't bound by what holds for one.
 */
export const MAX_RECENT_ADDRESSES = 16_384;

/** Refusals of one address are reported once in so many milliseconds: a flood must not fill a log. */
export const REPORT_INTERVAL_MS = 1_000;

/**
 * The limits of each of `workers` processes. Memory is divided among them; of connections, rates and
 * topics they lend each other what one doesn't need, so that those limits hold for all together.
 */
export function workerLimits(limits: Limits, workers: number): Limits {
  const maxTotalPendingBytes = Math.max(1, Math.floor(limits.maxTotalPendingBytes / workers));
  const maxMemoryBytes = Math.floor((limits.maxMemoryBytes - SUPERVISOR_BYTES) / workers);
  return { ...limits, maxTotalPendingBytes, maxMemoryBytes };
}

/**
 * The least that {@linkcode Limits.maxMemoryBytes} may be.
 *
 * @param workers How many processes serve together.
 */
export function minMemoryBytes(workers: number): number {
  return workers === 1 ? MIN_MEMORY_BYTES : SUPERVISOR_BYTES + workers * MIN_MEMORY_BYTES;
}

/**
 * The default of {@linkcode Limits.maxMemoryBytes}.
 *
 * @param usableBytes What the machine has, or the container where that is less, if known.
 */
export function maxMemoryFor(usableBytes: number | undefined, workers: number): number {
  const bytes = usableBytes === undefined ? UNKNOWN_MEMORY_BYTES : usableBytes * MEMORY_SHARE;
  return Math.max(Math.floor(bytes), minMemoryBytes(workers));
}

/** The default of {@linkcode Limits.maxTotalPendingBytes}. */
export function maxTotalPendingFor(maxMemoryBytes: number): number {
  const share = Math.floor(maxMemoryBytes * TOTAL_PENDING_SHARE);
  return Math.min(DEFAULT_LIMITS.maxTotalPendingBytes, share);
}

/** Connections that wait to be admitted, at most, where the descriptor limit isn't known. */
const MAX_HELD = 1_024;

/**
 * Connections that one of several processes may have, those included that wait until the others have
 * said whether there is room for them: what its descriptors are enough for.
 */
export function ownConnectionsFor(
  limits: Limits,
  descriptorLimit: number | undefined,
  processes: number,
): number {
  if (descriptorLimit === undefined) return limits.maxConnections + MAX_HELD;
  return maxConnectionsFor(descriptorLimit, processes);
}

/** Seconds' worth of {@linkcode Limits.publishRate} that may come at once. */
export const PUBLISH_BURST_SECONDS = 1;

/** After this long without taking a byte a reader counts as stalled: it holds nobody up any more. */
export const STALL_MS = 1_000;

/**
 * Milliseconds for which a link to another process of the server may not stand before one of both is
 * ended. 10 s: it's dialled again every second at least, and a process that hangs is ended after 10 s too.
 */
export const LINK_DEADLINE_MS = 10_000;

/**
 * The share of {@linkcode Limits.maxTotalPendingBytes} that may wait, besides, for another process of
 * the server that gives no sign of life, before it is ended. By default 32 MiB with two workers: some ten
 * seconds of 3 MB/s, after which it would be ended for its silence.
 */
const OWED_SHARE = 0.25;

/** What may wait for it where that share is less: the burst of a moment must not end a process. */
const MIN_OWED_BYTES = 4 * 1024 * 1024;

/** Bytes that may wait for another process that gives no sign of life. */
export function maxOwedFor({ maxTotalPendingBytes }: Limits): number {
  return Math.max(maxTotalPendingBytes * OWED_SHARE, MIN_OWED_BYTES);
}

/** The share of {@linkcode Limits.maxTotalPendingBytes} at which the server begins to defend it. */
export const TIGHT_BUDGET_SHARE = 0.75;

/** The share below which publishers are read again; the gap to the above keeps it from flapping. */
export const RELAXED_BUDGET_SHARE = 0.625;

/**
 * The share of it that frames which aren't complete may hold before those that take long to come are
 * given up.
 */
export const UNFINISHED_TIGHT_SHARE = 0.1875;

/**
 * The share that they may hold at all, whatever time they take; also what buffers that are kept for
 * further ones may have with them.
 */
export const UNFINISHED_CRITICAL_SHARE = 0.5;

/**
 * How often half of the memory is given up that was kept for frames and wasn't needed meanwhile, in
 * milliseconds: attackers who come again after some seconds find it there, and it's gone in a minute.
 */
export const BUFFER_TRIM_INTERVAL_MS = 1_000;

/** The share that may have arrived and wait to be read before no more is read. */
export const DEFERRED_SHARE = 0.3125;

/**
 * The share that both together must have fallen below before everything is read again; more than
 * frames hold that are given the time they need.
 */
export const RELAXED_INPUT_SHARE = 0.25;

/** What the server does when its process comes near {@linkcode Limits.maxMemoryBytes}, in this order. */
export type CeilingStep =
  | "gives_back"
  | "holds_bulk"
  | "holds_publishers"
  | "evicts"
  | "refuses";

/**
 * The shares of {@linkcode Limits.maxMemoryBytes} from which each step is taken, and until which. Each
 * has the one before it behind it, and what arrives between two looks has room: with 400 MB a step is
 * 20 MB. The gap between from and until keeps a step from flapping.
 */
export const CEILING_STEPS: Readonly<
  Record<CeilingStep, { readonly from: number; readonly until: number }>
> = {
  gives_back: { from: 0.7, until: 0.65 },
  holds_bulk: { from: 0.75, until: 0.7 },
  holds_publishers: { from: 0.85, until: 0.8 },
  evicts: { from: 0.9, until: 0.82 },
  refuses: { from: 0.95, until: 0.87 },
};

/** The share that a collection must bring to be worth another one soon. */
export const FUTILE_SHARE = 1 / 64;

/** Less than this share, held by clients, isn't what the process's memory lacks. */
export const HELD_FOR_NOTHING_SHARE = 1 / 8;

/** Milliseconds for which publishers of small messages wait at a time; then they don't for as long. */
export const MAX_PUBLISHERS_HOLD_MS = 200;

/** Milliseconds for which clients are made to wait at most for memory that doesn't come back. */
export const MAX_HOLD_MS = 2_000;

/**
 * Bytes that a connection costs which does nothing: what Deno takes with its task's flags, the most of
 * both runtimes (see docs/performance.md).
 */
export const CONNECTION_BYTES = 9_500;

/** The least that {@linkcode Limits.maxMemoryBytes} may be: a runtime and its program take 60 MB. */
export const MIN_MEMORY_BYTES = 128 * 1024 * 1024;

/** The share of what the machine or the container has that is the server's unless it's told. */
export const MEMORY_SHARE = 0.75;

/** What a supervisor takes of the server's memory, before it's divided among the workers. */
export const SUPERVISOR_BYTES = 64 * 1024 * 1024;

/** The share of each process's memory that connections may make it hold, unless it's told. */
export const TOTAL_PENDING_SHARE = 0.25;

/**
 * The share of {@linkcode Limits.maxTotalPendingBytes} that subscriptions and topics may hold before
 * the address that holds most of it gives some up: 800,000 subscriptions by default, what 20,000
 * clients with 40 topics each have. The other half is always left for messages.
 */
export const STANDING_SHARE = 0.5;

/** The part of that share that they are brought down to. */
export const RELAXED_STANDING_SHARE = 0.875;

/** What they may hold where that share is less: a small limit isn't meant to bound them. */
export const MIN_STANDING_BYTES = 4 * 1024 * 1024;

/**
 * Bytes that a subscription costs: 90 on Deno, 160 on Bun (measured with 20,000 clients of 128 topics,
 * by what the process had after a collection).
 */
export const SUBSCRIPTION_BYTES = 160;

/**
 * Bytes that a topic costs with its first subscription, besides its name: 600 on Bun, 800 on Deno
 * (measured with 100,000 of them, in the same way).
 */
export const TOPIC_BYTES = 800;

/**
 * Bytes that may wait to be read of one connection while more is read of it: small, since it's a copy,
 * and enough that small messages don't pause and resume their connection each.
 */
export const READ_AHEAD_BYTES = 16 * 1024;

/**
 * What a frame that isn't complete may hold without being a matter of concern: with 20,000
 * connections that are 80 MB, as much as the connections themselves.
 */
export const SMALL_FRAME_BYTES = 4 * 1024;

/**
 * Milliseconds that a large frame has to be completed once all of them together hold too much.
 */
export const CRITICAL_FRAME_MS = 100;

/**
 * Bytes that a waiting chunk costs besides its own: two objects and a place in a queue. Four bytes
 * of `ACK` cost some 90 of memory (measured with ten million of them, on Bun).
 */
export const CHUNK_OVERHEAD_BYTES = 96;

/**
 * Bytes that a receipt costs until it's given: 240 in one process, 50 more for each other one that has
 * to tell as well (measured with 300,000 of them, on both runtimes).
 */
export const RECEIPT_OVERHEAD_BYTES = 300;

/**
 * Receipts that one publisher may be owed; with so many it's read no further until half of them are
 * given. 256: a pass, or an answer of another process, takes some milliseconds, so that more than
 * 50,000 messages a second still go by, and what a publisher is owed stays below 80 KB.
 */
export const MAX_OWED_RECEIPTS = 256;

/**
 * Receipts that a publisher is owed which waits for them as it goes: it gets them before those that
 * publish as fast as they can.
 */
export const FEW_OWED_RECEIPTS = 4;

/**
 * Bytes that may wait for a client that wants receipts before it's read no further: some 500 receipts
 * beside the megabytes that the kernel takes. Else a thousand that publish faster than they read would
 * make memory tight, for which every publisher waits.
 */
export const MAX_UNTAKEN_BYTES = 64 * 1024;

/** The share of the memory's limit that receipts which are owed may take before each gets less. */
export const OWED_RECEIPTS_SHARE = 0.125;

/**
 * What one publisher may be owed then. 20,000 publishers that are owed so many hold 96 MB, so that
 * receipts alone never make memory tight: workers that wait for memory would wait for each other's.
 */
export const MAX_OWED_RECEIPTS_IN_NEED = 16;

/**
 * Bytes that publishes to one topic may have collected while its fan-out is busy before their
 * publishers are paused: four full batches keep the fan-out busy while they are.
 */
export const MAX_COLLECTED_BYTES = 1024 * 1024;

/**
 * Bytes that a topic's collected publishes may have as one batch, written to each subscriber at once.
 * Large enough that a write's fixed cost vanishes, small against a connection's usual limit.
 */
export const MAX_BATCH_BYTES = 256 * 1024;

/**
 * The same where a connection's limit is small: a quarter of it, so that the batches of an ordinary
 * burst fit in one behind the other. A message that is larger is a batch by itself.
 *
 * @param maxPendingBytes {@linkcode Limits.maxPendingBytes}.
 */
export function maxBatchBytesFor(maxPendingBytes: number): number {
  return Math.min(MAX_BATCH_BYTES, maxPendingBytes / 4);
}

/**
 * Milliseconds after an unterminated MESSAGE until the server closes. Publishers of 2009 close at once;
 * this is for those that don't, or whose NUL is on its way.
 */
export const PUBLISHER_LINGER_MS = 1_000;

/** Milliseconds for which a closed connection's peer may take to close its side too. */
export const CLOSE_LINGER_MS = 2_000;

/**
 * Milliseconds for which the first bytes of a connection that is refused are waited for: they tell
 * whether the client is of 2009, and so mustn't get an error frame.
 */
export const FIRST_BYTES_MS = 1_000;

/** Milliseconds for which a connection that is refused may take to its TLS handshake. */
export const REFUSED_HANDSHAKE_MS = 5_000;

/**
 * Connections that are being refused at once, where there are descriptors for so many: some 10 MB on
 * Deno. There are {@linkcode KEPT_FOR_REFUSALS} of them at least.
 */
export const MAX_REFUSALS = 1_024;

/**
 * Milliseconds that a worker has to tell what became of another's message; then the receipt goes out
 * without its counts. As long as a worker may give no sign of life before it is ended.
 */
export const RECEIPT_DEADLINE_MS = 10_000;

/**
 * How often deadlines are looked at, in milliseconds; no deadline is more exact than this. With more
 * than 1,024 sessions it's not everyone's each time, but everyone's once a second.
 */
export const SWEEP_INTERVAL_MS = 250;

/**
 * Milliseconds within which a graceful stop ends, whatever the peers do, and on top of the time over
 * which it's asked to spread the closes: 2 s to read what had arrived, {@linkcode MAX_DEFAULT_DRAIN_MS}
 * for the closes, 1 s for publishers that wait, and 2 s for the peers to close too.
 */
export const STOP_DEADLINE_MS = 9_000;

/**
 * Connections that a stop closes in a second where nobody says how long it may take: half of what one
 * core can accept in that time, since clients that know no better come back at once.
 */
export const CLOSES_PER_SECOND = 5_000;

/** The longest that this takes: 20,000 connections' worth, so that a stop ends within 10 s. */
export const MAX_DEFAULT_DRAIN_MS = 4_000;

/**
 * Connections a second that a server which comes back can take while it does its work: a fifth of
 * what one core can accept, since each will subscribe too, and may speak TLS.
 */
export const RETURNS_PER_SECOND = 2_000;

/** The least time over which clients are told to come back, in milliseconds, however few. */
export const RETURN_WINDOW_MIN_MS = 1_000;

/** Milliseconds that a server which has stopped may take to be there again. */
export const RESTART_MS = 1_000;

/** Milliseconds for which a worker waits for the supervisor, and the supervisor for a worker. */
export const ANSWER_DEADLINE_MS = 1_000;
