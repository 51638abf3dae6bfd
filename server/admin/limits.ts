/**
 * The limits of the admin port, with the reason for each.
 *
 * @module
 */

/** Connections at once. One more ends that which has waited longest without a request to answer. */
export const MAX_ADMIN_CONNECTIONS = 64;

/** Bytes of a request's line and headers. */
export const MAX_HEADER_BYTES = 8 * 1024;

/** Headers of a request. */
export const MAX_HEADERS = 64;

/** Milliseconds in which a request's headers must have come. */
export const HEADERS_DEADLINE_MS = 5_000;

/** Milliseconds in which a whole request must have come. */
export const REQUEST_DEADLINE_MS = 6_000;

/** Milliseconds in which a client must have taken its answer. */
export const ANSWER_DEADLINE_MS = 10_000;

/**
 * Milliseconds for which a connection is kept without a request: longer than the minute that is the usual
 * interval of a scrape at most.
 */
export const KEEP_ALIVE_MS = 75_000;

/** Milliseconds between two checks of these deadlines. */
export const CHECK_INTERVAL_MS = 500;

/**
 * Requests that are answered in a second, with twice as many at once: a page in each of 20 windows, and a
 * dozen scrapers. More are told to come back later; the loop is the clients'.
 */
export const REQUESTS_PER_SECOND = 50;

/**
 * Connections that are accepted in a second, with {@linkcode ACCEPT_BURST} at once, as many as there may be.
 * More would cost the loop more than the requests, and what they send costs collections of garbage on Deno,
 * which reads 64 KiB of each: while there are more, nothing listens for {@linkcode ACCEPT_PAUSE_MS} at a time.
 */
export const ACCEPTS_PER_SECOND = 20;
export const ACCEPT_BURST: number = MAX_ADMIN_CONNECTIONS;
export const ACCEPT_PAUSE_MS = 400;

/**
 * Connections that may wait to be accepted. The loop accepts all of them in one turn, and spends up to half a
 * millisecond on each; a client that finds the queue full tries again after a second.
 */
export const ACCEPT_QUEUE = 8;

/** Requests that a client may send before the first is answered. */
export const MAX_PIPELINED = 4;

/** Milliseconds for which the answer of `/status.json` is given again, so that many pages cost as one. */
export const STATUS_REUSE_MS = 500;

/** Wrong keys of one address in a minute; then its keys are looked at slowly. */
export const MAX_WRONG_ADMIN_KEYS = 10;

/** Milliseconds for which a key of such an address waits. A right one waits as long. */
export const SLOW_ADMIN_KEY_MS = 1_000;

/** Keys of such addresses that wait at once: so many can be tried in a second. */
export const MAX_SLOW_ADMIN_KEYS = 8;

/** Addresses whose wrong keys are remembered; those that tried longest ago are forgotten first. */
export const MAX_GUESSING_ADDRESSES = 1_024;

/** Seconds for which a browser keeps the page's cookie. */
export const COOKIE_SECONDS = 30 * 24 * 3_600;

/** Traces that are watched at once. Each looks at every frame of the server. */
export const MAX_TRACES = 4;

/** Seconds for which a trace goes on, unless the request says. */
export const DEFAULT_TRACE_SECONDS = 10;

/** The most seconds for which one goes on: it costs time for each frame, and is easily forgotten. */
export const MAX_TRACE_SECONDS = 300;

/** Bytes that may wait for a client that watches; beyond that its frames are counted only. */
export const MAX_TRACE_BACKLOG_BYTES = 256 * 1024;
