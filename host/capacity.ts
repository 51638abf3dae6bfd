/**
 * Computes how many connections a server admits by its defaults, and the descriptors that they need. The
 * server uses it, and so do the commands that check beforehand whether n clients fit.
 *
 * @module
 */

/**
 * Descriptors that a process itself needs: Deno 27 with its listener, 29 as a worker; Bun 17, and 25
 * while it renews its certificate. Links to other processes need more.
 */
export const OWN_DESCRIPTORS = 32;

/**
 * Descriptors for connections that are being refused: the number of a burst that can be refused at once.
 */
export const KEPT_FOR_REFUSALS = 32;

/** Descriptors of a process that are not for clients' connections. */
export const RESERVED_DESCRIPTORS = OWN_DESCRIPTORS + KEPT_FOR_REFUSALS;

/** Descriptors for the links to one other process of the same server: one each way. */
const DESCRIPTORS_PER_LINK = 2;

/**
 * Descriptors that each of `processes` needs for its links: to every other process, and to one more,
 * which runs while processes are replaced one after the other.
 */
export function linkDescriptorsFor(processes: number): number {
  return processes === 1 ? 0 : processes * DESCRIPTORS_PER_LINK;
}

/** The descriptor limit to assume if it isn't known: the usual soft limit. */
const UNKNOWN_DESCRIPTOR_LIMIT = 1024;

/**
 * The most connections that a process may accept without running out of descriptors. Beyond the limit
 * clients would hang, connected but silent, and Bun's event loop would spin.
 *
 * @param descriptorLimit `RLIMIT_NOFILE` of this process, if known.
 * @param processes The number of processes that serve together; each is linked with every other.
 */
export function maxConnectionsFor(descriptorLimit: number | undefined, processes = 1): number {
  const limit = descriptorLimit ?? UNKNOWN_DESCRIPTOR_LIMIT;
  return Math.max(1, limit - RESERVED_DESCRIPTORS - linkDescriptorsFor(processes));
}

/** The least descriptor limit with which each of these processes can serve one client. */
export function leastDescriptorsFor(processes: number): number {
  return RESERVED_DESCRIPTORS + linkDescriptorsFor(processes) + 1;
}

/** The most places that one address leaves to others; a tenth of a small server's. */
const PLACES_FOR_OTHERS = 32;

/** The server's default for the connections of one address, `maxConnectionsPerIp`. */
export function connectionsPerIpFor(maxConnections: number): number {
  return maxConnections - Math.min(PLACES_FOR_OTHERS, Math.floor(maxConnections / 10));
}

/** The most processes of one server: each is linked with every other, so their cost grows with the square. */
export const MAX_WORKERS = 64;

/** n clients and the processes that share them. */
export interface Share {
  readonly n: number;
  readonly processes: number;
}

/** A run's publisher connects from its subscribers' address and needs a place of its own. */
const PUBLISHERS = 1;

/**
 * Standard deviations between a process's mean share and the greatest one: a greater share occurs once in
 * three million starts.
 */
const UNEVEN_DEVIATIONS = 5;

/**
 * True if a server's defaults admit n subscribers and their publisher from one address.
 *
 * @param descriptorLimit `RLIMIT_NOFILE` of each of its processes.
 */
export function admitsFromOneAddress({ n, processes }: Share, descriptorLimit: number): boolean {
  const ofOneProcess = maxConnectionsFor(descriptorLimit, processes);
  return n + PUBLISHERS <= connectionsPerIpFor(ofOneProcess * processes) &&
    fullestShare(n + PUBLISHERS, processes) <= ofOneProcess;
}

/** The least `RLIMIT_NOFILE` with which {@linkcode admitsFromOneAddress} holds. */
export function serverDescriptorsFor(share: Share): number {
  let enough = 1;
  while (!admitsFromOneAddress(share, enough)) enough *= 2;
  let tooFew = Math.floor(enough / 2);
  while (enough - tooFew > 1) {
    const middle = Math.floor((tooFew + enough) / 2);
    if (admitsFromOneAddress(share, middle)) enough = middle;
    else tooFew = middle;
  }
  return enough;
}

/**
 * The number of n connections that the fullest of some processes gets. The kernel distributes them by a
 * hash of their ports, so that shares are uneven, and a process without descriptors can't hand one on.
 */
function fullestShare(n: number, processes: number): number {
  const mean = n / processes;
  const deviation = Math.sqrt(mean * (1 - 1 / processes));
  return Math.min(n, Math.ceil(mean + UNEVEN_DEVIATIONS * deviation));
}
