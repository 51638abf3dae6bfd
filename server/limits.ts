/**
 * The limits that a server can be given, each with its unit, its default and the reason for it. Each member
 * of {@linkcode Limits} is a flag of the command; the folder `limits/` has the constants. The server faces
 * the open internet, so only two limits are absent by default, and say why.
 *
 * @module
 */

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
  /**
   * Bytes that may wait for one connection for longer than {@linkcode softPendingMs}, unless it takes as many
   * in that time. Publishers wait while more waits for a subscriber that takes bytes.
   */
  readonly softPendingBytes: number;
  /**
   * Milliseconds in which a connection for which more than {@linkcode softPendingBytes} wait must take so
   * many. 1 MiB in 10 s: a reader below some 100 kB/s doesn't keep up with a topic that is faster than it,
   * however it spreads its reads.
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
