/**
 * The constants of what the machines of a cluster tell each other.
 *
 * @module
 */

/** The version of the frames between machines that this release sends. */
export const FRAME_VERSION = 1;

/** The oldest version that it understands. */
export const OLDEST_FRAME_VERSION = 1;

/** Milliseconds between two statements of a machine: a lost tail shows within that time. */
export const STATE_INTERVAL_MS = 1_000;

/** Milliseconds of silence after which a machine doesn't count as a member, and no receipt waits for it. */
export const MEMBER_SILENCE_MS = 4_000;

/**
 * Milliseconds of silence after which a machine's processes count as crashed. Longer than a partition that
 * heals by itself, and than NATS takes to start again.
 */
export const MEMBER_DEATH_MS = 30_000;

/**
 * Milliseconds of silence after which the process that speaks with NATS counts as standing still, as far as its
 * siblings can tell.
 */
export const UPLINK_SILENCE_MS = 1_500;

/** Milliseconds for which messages behind a gap wait for those in it, since the last of these came. */
export const GAP_PATIENCE_MS = 5_000;

/**
 * The same where no message waits behind those that are missing, of which only their machine's state tells: as long
 * as that may be silent.
 */
export const TAIL_PATIENCE_MS = MEMBER_DEATH_MS;

/**
 * Milliseconds after which missing messages are asked for again, or those behind what has come, and the most that these
 * become while nothing comes or answers take long.
 */
export const ASK_AGAIN_MS = 200;
export const MAX_ASK_AGAIN_MS = 1_600;

/** Gaps in one process's messages that are asked for at once. */
export const MAX_GAPS_ASKED_FOR = 8;

/** Bytes that wait behind gaps, or for memory, in one process. What is more is dropped, and asked for again. */
export const MAX_HELD_BYTES = 8 * 1024 * 1024;

/** Bytes of all answers to what a process asks for at once. The next requests bring more. */
export const REFILL_BYTES = 4 * 1024 * 1024;

/** Bytes that are sent again to all who ask, between two sweeps: requests may not cost more than answers. */
export const MAX_REFILLED_BYTES = 16 * 1024 * 1024;

/** Bytes that NATS hasn't confirmed, above which no request for messages or history is answered. */
export const MAX_ANSWERED_BYTES = 16 * 1024 * 1024;

/** Milliseconds for which publishers wait for a machine, since it asked for messages that the log is about to lose. */
export const LAGGARD_MS = 1_000;

/** Bytes of a stored history in one frame. */
export const HISTORY_PIECE_BYTES = 256 * 1024;

/** Pieces of a copied history that are asked for at once, and kept by the machine that gives them. */
export const HISTORY_PIECES = 4;

/** Members of a cluster, this machine excepted. */
export const MAX_MEMBERS = 62;

/**
 * Processes of other machines that may live at once. A client's position names up to 256 processes, of which
 * 128 may have ended and 65 are this machine's.
 */
export const MAX_REMOTE_ORIGINS = 62;

/** Processes of other machines that have ended, and whose machines are remembered. */
export const MAX_FORMER_PROCESSES = 256;

/** Milliseconds by which a message's timestamp may be ahead of this machine's clock. */
export const MAX_AHEAD_MS = 24 * 3_600_000;

/** Milliseconds by which another machine's clock may be ahead before that is logged. */
export const CLOCK_WARNING_MS = 2_000;

/** Milliseconds for which a machine that starts waits for others to answer. */
export const DISCOVERY_MS = 1_500;

/** Milliseconds within which a history must have been copied from another machine. */
export const HISTORY_PATIENCE_MS = 10_000;

/** Milliseconds within which the first connection to NATS must stand, before the server goes on without. */
export const FIRST_CONNECT_MS = 5_000;

/** Milliseconds between two attempts to connect to NATS, and the most that chance adds. */
export const RECONNECT_MS = 500;
export const RECONNECT_JITTER_MS = 1_000;

/** Milliseconds for which an ended process is still named to the other machines. */
export const ENDED_ORIGIN_MS = 60_000;

/** `--cluster-log-bytes` and `--cluster-log-time`, unless given. */
export const DEFAULT_LOG_BYTES = 64 * 1024 * 1024;
export const DEFAULT_LOG_MS = 60_000;
