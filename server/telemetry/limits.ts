/**
 * The bounds of what a process measures of itself, and of what it tells about it.
 *
 * @module
 */

/**
 * Upper bounds of the buckets for the time of a pass over a topic's subscribers, in seconds. From 20 ms to 2 s
 * each is at most 1.4 times the one before, and mostly 1.25, so that a quantile that is read between two of
 * them is some 10 % off.
 */
export const FANOUT_SECONDS: readonly number[] = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.075, 0.09],
  ...[0.1, 0.12, 0.14, 0.17, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
  ...[1, 1.25, 1.5, 2, 2.5, 3.5, 5, 7, 10],
];

/** Upper bounds of the buckets for the number of subscribers that a pass reached. */
export const FANOUT_SUBSCRIBERS: readonly number[] = [
  1,
  3,
  10,
  30,
  100,
  300,
  1_000,
  3_000,
  10_000,
  20_000,
  30_000,
  50_000,
  100_000,
];

/** A pass that reaches more subscribers than this counts as large. */
export const LARGE_PASS_SUBSCRIBERS = 10_000;

/** Upper bounds of the buckets for the event loop's delay, in seconds. */
export const LOOP_DELAY_SECONDS: readonly number[] = [
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
];

/**
 * Milliseconds between two samples of the event loop's delay. 50: a standstill of 0.1 s is seen, and the
 * timer costs some 0.02 % of a core.
 */
export const LOOP_SAMPLE_MS = 50;

/** Milliseconds without a turn of the loop after which a process doesn't count as alive. */
export const STANDSTILL_MS = 1_000;

/**
 * The most milliseconds that a message may have taken from the process that accepted it. A clock that is set
 * meanwhile would make it hours.
 */
export const MAX_TRANSIT_MS = 10_000;

/** Passes that are remembered for the page: enough for a minute of eight a second. */
export const RECENT_PASSES = 512;

/** Milliseconds after which they are forgotten. */
export const RECENT_PASSES_MS = 60_000;

/** The most topics, subscribers, ended sessions and paused publishers in a list of `/status.json`. */
export const LISTED = 100;

/** The most topics named of one subscriber in such a list. */
export const LISTED_TOPICS_OF_ONE = 8;

/** Bytes that wait for a subscriber that make it a slow one, even if it takes some all the time. */
export const MUCH_PENDING_BYTES = 64 * 1024;

/** Topics whose counts `--metrics-topics` adds. Each is several time series for ever. */
export const MAX_WATCHED_TOPICS = 50;

/** Sessions or topics that can be looked at in the time of one write. */
export const LOOKS_PER_WRITE = 64;

/**
 * Milliseconds between two reports of a worker to its supervisor, and so the most of its counts that are lost
 * if it is killed.
 */
export const REPORT_INTERVAL_MS = 100;

/** Frames a second that one watcher is shown of each process, and as many at once; more are counted only. */
export const TRACE_FRAMES_PER_SECOND = 200;

/** Bytes of a traced frame's text. */
export const MAX_TRACED_BYTES = 1_024;

/** Milliseconds between two times that a watcher is told of frames. */
export const TRACE_FLUSH_MS = 100;
