/**
 * Checks whether there is memory for as many connections as are asked for.
 *
 * @module
 */

import type { SystemFacts, SystemLimits } from "./facts.ts";
import { fatal, type Finding, fine, note, unknown } from "./finding.ts";

/** The memory of a program, for each process and for each connection. */
export interface MemoryCost {
  readonly processBytes: number;
  readonly connectionBytes: number;
}

const KB = 1000;
const MB = 1000 * KB;

/**
 * The server's memory: its peak resident memory with 2,000, 8,000 and 19,000 subscribers of one topic,
 * through connecting, three messages and disconnecting, rounded up so that the line lies on or above the
 * measurements (Linux 6.18, x64; Deno 2.9.6 89, 158 and 217 MB, Bun 1.4.5 63, 77 and 111 MB).
 */
export const SERVER_COSTS: Readonly<Record<"deno" | "bun", MemoryCost>> = {
  deno: { processBytes: 85 * MB, connectionBytes: 9.5 * KB },
  bun: { processBytes: 60 * MB, connectionBytes: 3 * KB },
};

/**
 * The bots' memory, measured in the same runs: Deno 106 MB for 2,000 bots and 143 MB for 4,750, Bun 111
 * MB for 19,000.
 */
export const BOTS_COSTS: Readonly<Record<"deno" | "bun", MemoryCost>> = {
  deno: { processBytes: 70 * MB, connectionBytes: 20 * KB },
  bun: { processBytes: 60 * MB, connectionBytes: 3 * KB },
};

/**
 * Bytes of a connection's end in the kernel (socket, file, poll entry). Measured at 8 to 11 kB for both
 * ends.
 */
const SOCKET_BYTES = 5.5 * KB;

/** The load on this machine. */
export interface MemoryNeed {
  readonly n: number;
  readonly parts: readonly { readonly cost: MemoryCost; readonly processes: number }[];
}

/** Checks whether there is memory for everything that will run here. */
export function checkMemory(
  { n, parts }: MemoryNeed,
  { memoryBytes, freeMemoryBytes }: SystemFacts,
): Finding {
  const about = "memory";
  if (memoryBytes === null || freeMemoryBytes === null) return unknown(about);
  const needed = parts.reduce((sum, { cost, processes }) => {
    return sum + processes * cost.processBytes + n * (cost.connectionBytes + SOCKET_BYTES);
  }, 0);
  const says = `about ${megabytes(needed)} are needed, and ${megabytes(freeMemoryBytes)} of ` +
    `${megabytes(memoryBytes)} are free`;
  if (needed <= freeMemoryBytes) return fine(about, says);
  if (needed > memoryBytes) {
    return fatal(about, says, [
      { where: "anywhere", what: "take fewer clients, or a machine with more memory" },
    ]);
  }
  return note(about, `${says}; what doesn't fit is swapped out, or ends a process`, [
    { where: "anywhere", what: "end what else runs; ps ax -o rss,comm | sort -n | tail lists it" },
  ]);
}

/**
 * Checks whether TCP's buffers hold a message for each connection. A message takes a page, wherever it
 * waits: up to 0.9 pages a connection were measured, with server and bots on one machine.
 */
export function checkTcpMemory(n: number, { tcpMemory }: SystemLimits): Finding {
  const about = "TCP's buffers";
  if (tcpMemory === null) return unknown(about);
  const { pressureBytes, pageBytes } = tcpMemory;
  const needed = n * pageBytes;
  const says = `a message for each of ${n} connections takes ${megabytes(needed)}, and from ` +
    `${megabytes(pressureBytes)} on the system holds them back`;
  if (needed <= pressureBytes) return fine(about, says);
  const pages = [n, n * 1.5, n * 2].map(Math.ceil).join(" ");
  return note(about, says, [{
    where: "Linux",
    what: `sudo sysctl -w net.ipv4.tcp_mem="${pages}"`,
  }]);
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / MB)} MB`;
}
