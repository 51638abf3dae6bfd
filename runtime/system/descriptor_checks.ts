/**
 * Whether the system allows as many open connections as are asked for.
 *
 * @module
 */

import type { SystemLimits } from "./facts.ts";
import { fatal, type Finding, fine, type Remedy, unknown } from "./finding.ts";

/**
 * Descriptors of a process that its connections can't have: the runtime's own (Deno some 24, Bun 7), the
 * listener, logs, the channels to other processes, and connections that are being turned away.
 */
export const RESERVED_DESCRIPTORS = 64;

/** Connections, and the processes that share them. */
export interface Share {
  readonly n: number;
  readonly processes: number;
}

/** Whether each of the server's processes may have its part of n connections. */
export function checkServerDescriptors(share: Share, limits: SystemLimits): Finding {
  const needed = descriptorsFor(share);
  const processes = processesFor(share.n, limits);
  return checkDescriptors("server's descriptors", `${share.n} connections`, share, limits, [
    { where: "here", what: `--workers ${processes}` },
    { where: "systemd", what: `LimitNOFILE=${needed}` },
  ]);
}

/** Whether each of the bots' processes may have its part of n connections. */
export function checkBotsDescriptors(share: Share, limits: SystemLimits): Finding {
  const processes = processesFor(share.n, limits);
  return checkDescriptors("bots' descriptors", `${share.n} bots`, share, limits, [
    { where: "here", what: `--processes ${processes}, or auto` },
  ]);
}

function checkDescriptors(
  about: string,
  whose: string,
  share: Share,
  { descriptorLimit, maxDescriptorLimit }: SystemLimits,
  remedies: readonly Remedy[],
): Finding {
  if (descriptorLimit === null) return unknown(about);
  const needed = descriptorsFor(share);
  const says =
    `${whose} in ${share.processes} ${share.processes === 1 ? "process" : "processes"} ` +
    `need ${needed} descriptors in each, and ${descriptorLimit} are allowed`;
  if (needed <= descriptorLimit) return fine(about, says);
  const raise = maxDescriptorLimit !== null && needed > maxDescriptorLimit
    ? `sudo sysctl -w fs.nr_open=${needed} && `
    : "";
  return fatal(about, says, [
    ...remedies,
    {
      where: "Linux",
      what: `${raise}ulimit -n ${needed} || sudo prlimit --pid $$ --nofile=${needed}`,
    },
    {
      where: "macOS",
      what: `sudo sysctl -w kern.maxfiles=${share.n * 2} kern.maxfilesperproc=${needed} && ` +
        `ulimit -n ${needed}`,
    },
  ]);
}

/** Whether the whole system may have so many files open. */
export function checkOpenFiles(shares: readonly Share[], { maxOpenFiles }: SystemLimits): Finding {
  const about = "open files of the system";
  if (maxOpenFiles === null) return unknown(about);
  const needed = shares.reduce((sum, share) => sum + descriptorsFor(share) * share.processes, 0);
  const says = `${needed} are needed, and ${maxOpenFiles} are allowed`;
  if (needed <= maxOpenFiles) return fine(about, says);
  return fatal(about, says, [
    { where: "Linux", what: `sudo sysctl -w fs.file-max=${needed * 2}` },
    { where: "macOS", what: `sudo sysctl -w kern.maxfiles=${needed * 2}` },
  ]);
}

/** How many processes n connections need at least. */
export function processesFor(
  n: number,
  { descriptorLimit }: Pick<SystemLimits, "descriptorLimit">,
) {
  if (descriptorLimit === null || descriptorLimit <= RESERVED_DESCRIPTORS) return 1;
  return Math.ceil(n / (descriptorLimit - RESERVED_DESCRIPTORS));
}

function descriptorsFor({ n, processes }: Share): number {
  return Math.ceil(n / processes) + RESERVED_DESCRIPTORS;
}
