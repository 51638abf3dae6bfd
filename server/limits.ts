/**
 * Every limit of the server, with its unit, its default and the reason for it. Each member of
 * {@linkcode Limits} is a flag of the command; the other values are constants. The server faces the open
 * internet, so only two limits are absent by default, and say why.
 *
 * @module
 */

import { maxConnectionsFor } from "../host/capacity.ts";

export { connectionsPerIpFor, maxConnectionsFor } from "../host/capacity.ts";

/**
 * The limits of one server: positive integers, but for those in {@linkcode SPECIAL_LIMITS}. A limit that is
 * `undefined` doesn't hold.
 */
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
  /** Topics that one connection may subscribe to. 128: a subscription costs memory and a write. */
  readonly maxTopics: number;
  /**
   * Topics that have subscribers at once, over all connections. 100,000: five for each of 20,000
   * clients, at some 1.5 KiB of memory each with the longest names. All connections at their own limit
   * would have millions.
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
   * again. A limit for each connection isn't enough, since 20,000 connections multiply it.
   */
  readonly maxTotalPendingBytes: number;
  /**
   * Bytes of the machine's memory that all processes of the server may have for everything together:
   * messages, connections, garbage, the runtime itself. Three quarters of what the machine has, or the
   * container where that is less: the kernel gives TCP's buffers up to an eighth of a machine's memory,
   * and the last eighth is the system's.
   */
  readonly maxMemoryBytes: number;
  /**
   * Messages a second that one connection may publish, and {@linkcode PUBLISH_BURST_SECONDS}
   * seconds' worth at once; beyond that it's read no faster, and loses nothing. Absent by default: a
   * number can't tell a flood from a good customer. What a publisher may cost others is bounded instead:
   * it has the loop for itself only while no client waits for it (`fair_reader.ts`), and what it has sent
   * takes no more memory than a few reads.
   */
  readonly publishRate: number | undefined;
  /**
   * Bytes a second that one connection may send, and {@linkcode PUBLISH_BURST_SECONDS} seconds' worth
   * at once; beyond that it's read no faster, and loses nothing. 1 GiB, more than one core can check:
   * connections share the core by turns in any case, so this is for operators who want a number.
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
   * Milliseconds of silence after a `PING`, or without one complete frame after connecting. It is also the
   * silence that a client of 2009 without subscriptions is allowed.
   */
  readonly idleMs: number;
  /**
   * Milliseconds of silence after which a subscriber of 2009 is closed. Absent by default: Janus closed no
   * client for silence, its clients send nothing while they listen, and TCP keep-alive finds those that
   * are gone.
   */
  readonly legacyIdleMs: number | undefined;
  /**
   * Milliseconds for which messages are stored for subscribers that come back; 0 stores none. 60 s: a tunnel,
   * a restart, or a wait as long as `retry_after_ms` says.
   */
  readonly historyMs: number;
  /** Messages of one topic that are stored. 1,000: as many as a client may ask for by their number. */
  readonly historyMessages: number;
  /** Bytes of one topic's messages that are stored. 1 MiB: as much as may wait for one reader for long. */
  readonly historyBytes: number;
  /**
   * Bytes of memory for all that is stored. 64 MiB: a quarter of {@linkcode maxTotalPendingBytes}, within
   * which it counts; it is the first thing that is given up.
   */
  readonly historyTotalBytes: number;
  /** The topics of which messages are stored; `*` stands for any run of characters. All by default. */
  readonly historyTopics: readonly string[];
}

/** Limits that aren't positive whole numbers; the others are. */
export const SPECIAL_LIMITS: readonly (keyof Limits)[] = [
  "publishRate",
  "legacyIdleMs",
  "historyMs",
  "historyTopics",
];

/**
 * The default of {@linkcode Limits.maxMemoryBytes} if the machine's memory isn't known: enough for 20,000
 * connections with everything at its limit.
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
  historyMs: 60_000,
  historyMessages: 1_000,
  historyBytes: 1024 * 1024,
  historyTotalBytes: 64 * 1024 * 1024,
  historyTopics: ["*"],
};

/**
 * Bytes a second that clients of one address may have replayed of the history, since 60 bytes ask for
 * {@linkcode Limits.historyBytes}; a subscribe that would begin beyond that waits. 64 MiB: a tenth of what one
 * core can send.
 */
export const REPLAY_BYTES_PER_SECOND = 64 * 1024 * 1024;

/**
 * Bytes that may be replayed at once for one address: 20,000 clients behind one address come back after a
 * deploy, and each has missed 25 KB.
 */
export const REPLAY_BURST_BYTES = 512 * 1024 * 1024;

/** Bytes that each resume counts as besides what it replays: a search, a position, and two more frames. */
export const RESUME_BYTES = 2_048;

/**
 * Milliseconds for which a subscribe with `resume` waits for another process: for messages that the client
 * has had from there and this process hasn't, or until it's known whether a process has died.
 */
export const RESUME_PATIENCE_MS = 5_000;

/** Bytes that a stored batch costs besides its content, on Deno: six objects and places in two lists. */
export const HISTORY_BATCH_BYTES = 400;

/** Bytes that a topic with stored messages costs besides its name and its batches. */
export const HISTORY_LOG_BYTES = 700;

/**
 * Milliseconds for which a key waits if its address has shown too many wrong ones. A right key waits as
 * long, so that a client that guesses learns nothing by hanging up early.
 */
export const SLOW_KEY_DELAY_MS = 1_000;

/**
 * Keys a second that the server checks from such an address, on all processes together. 32: a key of 64
 * bits or more withstands that for ever, and a client that shares the address waits some seconds.
 */
export const SLOW_KEYS_PER_SECOND = 32;

/** Seconds' worth of {@linkcode Limits.acceptRate} that may come at once. */
export const ACCEPT_BURST_SECONDS = 2;

/** The default of {@linkcode Limits.acceptRate}. */
export function acceptRateFor(maxConnections: number): number {
  return Math.max(10_000, Math.ceil(maxConnections / ACCEPT_BURST_SECONDS));
}

/**
 * Addresses without connections that are remembered until their tokens are back: 4 MB. An attacker with
 * more addresses isn't bound by the limits of one.
 */
export const MAX_RECENT_ADDRESSES = 16_384;

/** Refusals of one address are reported once in so many milliseconds: a flood must not fill a log. */
export const REPORT_INTERVAL_MS = 1_000;

/**
 * The limits of each of `workers` processes. Memory is divided among them. They lend each other connections,
 * rates and topics, so those limits hold for all together.
 */
export function workerLimits(limits: Limits, workers: number): Limits {
  const maxTotalPendingBytes = Math.max(1, Math.floor(limits.maxTotalPendingBytes / workers));
  const historyTotalBytes = Math.max(1, Math.floor(limits.historyTotalBytes / workers));
  const maxMemoryBytes = Math.floor((limits.maxMemoryBytes - SUPERVISOR_BYTES) / workers);
  return { ...limits, maxTotalPendingBytes, maxMemoryBytes, historyTotalBytes };
}

/**
 * The least that {@linkcode Limits.maxMemoryBytes} may be.
 *
 * @param workers The number of processes that serve together.
 */
export function minMemoryBytes(workers: number): number {
  return workers === 1 ? MIN_MEMORY_BYTES : SUPERVISOR_BYTES + workers * MIN_MEMORY_BYTES;
}

/**
 * The default of {@linkcode Limits.maxMemoryBytes}.
 *
 * @param usableBytes The memory of the machine, or of the container if that is less; `undefined` if unknown.
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

/** The most connections that wait to be admitted, if the descriptor limit isn't known. */
const MAX_HELD = 1_024;

/**
 * Connections that one of several processes may have: as many as its descriptors allow. Connections that
 * wait until the other processes have said whether there is room count too.
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

/**
 * Milliseconds without taking a byte after which a reader counts as stalled: no publisher waits for it.
 * After as many without a sign of life another process of the server does, and no receipt waits for it.
 */
export const STALL_MS = 1_000;

/**
 * Milliseconds for which a link to another process may be down before one of the two is ended. 10 s: it is
 * dialled again every second at least, and a process that hangs is ended after 10 s too.
 */
export const LINK_DEADLINE_MS = 10_000;

/**
 * The share of {@linkcode Limits.maxTotalPendingBytes} that may wait, on top of it, for another process that
 * gives no sign of life, before that is ended. By default 32 MiB with two workers: some ten
 * seconds of 3 MB/s, after which it would be ended for its silence.
 */
const OWED_SHARE = 0.25;

/** The least that may wait for it, in bytes: a short burst must not end a process. */
const MIN_OWED_BYTES = 4 * 1024 * 1024;

/** Bytes that may wait for another process that gives no sign of life. */
export function maxOwedFor({ maxTotalPendingBytes }: Limits): number {
  return Math.max(maxTotalPendingBytes * OWED_SHARE, MIN_OWED_BYTES);
}

/** The share of {@linkcode Limits.maxTotalPendingBytes} at which the server begins to defend it. */
export const TIGHT_BUDGET_SHARE = 0.75;

/** The share below which publishers are read again. The gap keeps the server from flapping. */
export const RELAXED_BUDGET_SHARE = 0.625;

/** The share of it that partial frames may hold before those that take long are given up. */
export const UNFINISHED_TIGHT_SHARE = 0.1875;

/**
 * The share that partial frames may hold at all, however fast they come. Pooled buffers for further frames
 * count within it.
 */
export const UNFINISHED_CRITICAL_SHARE = 0.5;

/**
 * Milliseconds after which half of the pooled buffers that weren't needed are freed. So they are still there
 * for an attack that comes again after some seconds, and are gone in a minute.
 */
export const BUFFER_TRIM_INTERVAL_MS = 1_000;

/** The share that bytes waiting to be read may hold before clients that hold nothing aren't read. */
export const DEFERRED_SHARE = 0.3125;

/**
 * The share below which both together must fall before everything is read again. It is more than frames hold
 * that get the time they need.
 */
export const RELAXED_INPUT_SHARE = 0.25;

/** The steps that the server takes as its process nears {@linkcode Limits.maxMemoryBytes}, in this order. */
export type CeilingStep =
  | "gives_back"
  | "holds_bulk"
  | "holds_publishers"
  | "evicts"
  | "refuses";

/**
 * The shares of {@linkcode Limits.maxMemoryBytes} from which each step is taken, and until which. The steps
 * are so far apart that there is room for what arrives between two looks: with 400 MB a step is 20 MB. The
 * gap between from and until keeps a step from flapping.
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

/** The share that a collection must free so that another one is worth it soon. */
export const FUTILE_SHARE = 1 / 64;

/** If clients hold less than this share, they aren't the reason why memory is short. */
export const HELD_FOR_NOTHING_SHARE = 1 / 8;

/** Milliseconds for which publishers of small messages wait at a time; then they go on for as long. */
export const MAX_PUBLISHERS_HOLD_MS = 200;

/** The most milliseconds for which clients wait for memory that doesn't become free. */
export const MAX_HOLD_MS = 2_000;

/**
 * Bytes that an idle connection costs on Deno with its task's flags, which is more than on Bun (see
 * docs/performance.md).
 */
export const CONNECTION_BYTES = 9_500;

/** The least that {@linkcode Limits.maxMemoryBytes} may be: a runtime and its program take 60 MB. */
export const MIN_MEMORY_BYTES = 128 * 1024 * 1024;

/** The server's default share of the memory of the machine or the container. */
export const MEMORY_SHARE = 0.75;

/** Bytes of the server's memory for a supervisor; the rest is divided among the workers. */
export const SUPERVISOR_BYTES = 64 * 1024 * 1024;

/** The default share of each process's memory that connections may make it hold. */
export const TOTAL_PENDING_SHARE = 0.25;

/**
 * The share of {@linkcode Limits.maxTotalPendingBytes} that subscriptions and topics may hold before clients
 * of the address that holds most are closed: 800,000 subscriptions by default, as 20,000 clients with 40
 * topics each have. The other half is always left for messages.
 */
export const STANDING_SHARE = 0.5;

/** The part of that share to which they are brought down. */
export const RELAXED_STANDING_SHARE = 0.875;

/** The least that they may hold, in bytes: a small limit isn't meant to bound them. */
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
 * Bytes that may wait to be read for one connection while its socket is still read. Few, since they are
 * copies, but enough that small messages don't pause and resume the connection each time.
 */
export const READ_AHEAD_BYTES = 16 * 1024;

/**
 * Bytes of a partial frame that is too small to matter: with 20,000 connections that is 80 MB, as much as
 * the connections themselves.
 */
export const SMALL_FRAME_BYTES = 4 * 1024;

/** Milliseconds that a large frame has to be completed once all partial frames hold too much. */
export const CRITICAL_FRAME_MS = 100;

/**
 * Bytes that a waiting chunk costs besides its content: two objects and a place in a queue. Four bytes
 * of `ACK` cost some 90 of memory (measured with ten million of them, on Bun).
 */
export const CHUNK_OVERHEAD_BYTES = 96;

/**
 * Bytes that an owed receipt costs: 240 in one process, 50 more for each other process that has to count too
 * (measured with 300,000 of them, on both runtimes).
 */
export const RECEIPT_OVERHEAD_BYTES = 300;

/**
 * Receipts that one publisher may be owed. With so many, it isn't read on until half of them are given. 256:
 * a pass, or an answer of another process, takes some milliseconds, so that more than 50,000 messages a
 * second still go by, and what a publisher is owed stays below 80 KB.
 */
export const MAX_OWED_RECEIPTS = 256;

/**
 * Receipts that a publisher is owed if it waits for them as it goes. It gets them before publishers that
 * send as fast as they can.
 */
export const FEW_OWED_RECEIPTS = 4;

/**
 * Bytes that may wait for a client that wants receipts while it is still read: some 500 receipts, beside the
 * megabytes that the kernel takes. Otherwise a thousand clients that publish faster than they read would
 * make memory tight, and every publisher would wait.
 */
export const MAX_UNTAKEN_BYTES = 64 * 1024;

/** The share of the budget that owed receipts may take before each publisher may be owed fewer. */
export const OWED_RECEIPTS_SHARE = 0.125;

/**
 * Receipts that one publisher may be owed then. 20,000 publishers with so many hold 96 MB, so receipts alone
 * never make memory tight. Otherwise workers would wait for each other's receipts.
 */
export const MAX_OWED_RECEIPTS_IN_NEED = 16;

/**
 * Bytes that a topic may collect while its fan-out is busy, before its publishers are paused. Four full
 * batches keep the fan-out busy meanwhile.
 */
export const MAX_COLLECTED_BYTES = 1024 * 1024;

/**
 * Bytes of a batch, which is written to each subscriber at once. It is so large that a write's fixed cost
 * doesn't matter, and small against a connection's usual limit.
 */
export const MAX_BATCH_BYTES = 256 * 1024;

/**
 * The bytes of a batch if a connection's limit is small: a quarter of it, so that several batches of an
 * ordinary burst fit. A larger message is a batch by itself.
 *
 * @param maxPendingBytes {@linkcode Limits.maxPendingBytes}.
 */
export function maxBatchBytesFor(maxPendingBytes: number): number {
  return Math.min(MAX_BATCH_BYTES, maxPendingBytes / 4);
}

/**
 * Milliseconds after an unterminated MESSAGE until the server closes the connection. Publishers of 2009 close
 * at once; this is for those that don't, or whose NUL is on its way.
 */
export const PUBLISHER_LINGER_MS = 1_000;

/** Milliseconds that the peer of a closed connection has to close its side too. */
export const CLOSE_LINGER_MS = 2_000;

/**
 * Milliseconds for which the server waits for the first bytes of a refused connection. They show whether the
 * client is of 2009, which must not get an error frame.
 */
export const FIRST_BYTES_MS = 1_000;

/** Milliseconds that a refused connection has for its TLS handshake. */
export const REFUSED_HANDSHAKE_MS = 5_000;

/**
 * Connections that may be in the course of being refused at once, if there are descriptors for so many: some
 * 10 MB on Deno. There is room for {@linkcode KEPT_FOR_REFUSALS} at least.
 */
export const MAX_REFUSALS = 1_024;

/**
 * Milliseconds that a worker has to count what became of another worker's message. Then the receipt goes out
 * without its counts. This deadline is for a worker that is alive and has slow readers; one that gives no
 * sign of life is left out after {@linkcode STALL_MS}.
 */
export const RECEIPT_DEADLINE_MS = 10_000;

/**
 * Milliseconds between two sweeps, which act on deadlines; no deadline is more exact than this. With more
 * than 1,024 sessions a sweep doesn't look at all of them, but at each session once a second.
 */
export const SWEEP_INTERVAL_MS = 250;

/**
 * Milliseconds within which a graceful stop ends, whatever the peers do, on top of the time over which it is
 * asked to spread the closes: 2 s to read what had arrived, {@linkcode MAX_DEFAULT_DRAIN_MS}
 * for the closes, 1 s for publishers that wait, and 2 s for the peers to close too.
 */
export const STOP_DEADLINE_MS = 9_000;

/**
 * Connections that a stop closes in a second without `--drain-seconds`: half of what one core can accept in
 * that time, since clients that know no better come back at once.
 */
export const CLOSES_PER_SECOND = 5_000;

/** The most milliseconds that this takes: 20,000 connections' worth, so that a stop ends within 10 s. */
export const MAX_DEFAULT_DRAIN_MS = 4_000;

/**
 * Connections a second that a restarted server can take while it does its work: a fifth of what one core can
 * accept, since each client will subscribe too, and may speak TLS.
 */
export const RETURNS_PER_SECOND = 2_000;

/** The least milliseconds over which clients are told to come back, however few they are. */
export const RETURN_WINDOW_MIN_MS = 1_000;

/** Milliseconds that a stopped server may take to be there again. */
export const RESTART_MS = 1_000;

/** Milliseconds for which a worker waits for the supervisor's answer, and the supervisor for a worker's. */
export const ANSWER_DEADLINE_MS = 1_000;
