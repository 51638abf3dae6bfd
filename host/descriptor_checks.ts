/**
 * Checks whether the system allows as many open connections as are asked for.
 *
 * @module
 */

import { counted } from "../cli/counted.ts";
import {
  admitsFromOneAddress,
  linkDescriptorsFor,
  MAX_WORKERS,
  RESERVED_DESCRIPTORS,
  serverDescriptorsFor,
  type Share,
} from "./capacity.ts";
import type { SystemLimits } from "./facts.ts";
import { fatal, type Finding, fine, type Remedy, unknown } from "./finding.ts";

const SERVER = "server's descriptors";

/**
 * Checks whether each of the server's processes may have its share of n connections, from any number of
 * addresses.
 */
export function checkServerDescriptors(share: Share, limits: SystemLimits): Finding {
  const needed = descriptorsFor(share) + linkDescriptorsFor(share.processes);
  const processes = linkedProcessesFor(share.n, limits);
  return checkDescriptors(SERVER, counted(share.n, "connection"), { share, needed }, limits, [
    ...(processes === null ? [] : [{ where: "here", what: `--workers ${processes}` }]),
    { where: "systemd", what: `LimitNOFILE=${needed}` },
  ]);
}

/**
 * Checks whether the server's defaults admit n subscribers and their publisher, all of one address as in
 * a load test.
 */
export function checkServerCapacity(share: Share, limits: SystemLimits): Finding {
  const needed = serverDescriptorsFor(share);
  const whose = `${counted(share.n, "client")} and their publisher, of one address,`;
  const processes = workersFor(share.n, limits);
  return checkDescriptors(SERVER, whose, { share, needed }, limits, [
    ...(processes === null ? [] : [{ where: "here", what: `--workers ${processes}` }]),
    { where: "systemd", what: `LimitNOFILE=${needed}` },
  ]);
}

/** Checks whether each of the bots' processes may have its share of n connections. */
export function checkBotsDescriptors(share: Share, limits: SystemLimits): Finding {
  const processes = processesFor(share.n, limits);
  const need = { share, needed: descriptorsFor(share) };
  return checkDescriptors("bots' descriptors", counted(share.n, "bot"), need, limits, [
    { where: "here", what: `--processes ${processes}, or auto` },
  ]);
}

function checkDescriptors(
  about: string,
  whose: string,
  { share, needed }: { readonly share: Share; readonly needed: number },
  { descriptorLimit, maxDescriptorLimit }: SystemLimits,
  remedies: readonly Remedy[],
): Finding {
  if (descriptorLimit === null) return unknown(about);
  const says =
    `${whose} in ${share.processes} ${share.processes === 1 ? "process" : "processes"} ` +
    `${
      share.n === 1 ? "needs" : "need"
    } ${needed} descriptors in each, and ${descriptorLimit} are allowed`;
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

/**
 * Checks whether the whole system may have that many files open.
 *
 * @param needed The files of all processes that will run.
 */
export function checkOpenFiles(needed: number, { maxOpenFiles }: SystemLimits): Finding {
  const about = "open files of the system";
  if (maxOpenFiles === null) return unknown(about);
  const says = `${needed} are needed, and ${maxOpenFiles} are allowed`;
  if (needed <= maxOpenFiles) return fine(about, says);
  return fatal(about, says, [
    { where: "Linux", what: `sudo sysctl -w fs.file-max=${needed * 2}` },
    { where: "macOS", what: `sudo sysctl -w kern.maxfiles=${needed * 2}` },
  ]);
}

/** The least number of processes for n connections. */
export function processesFor(
  n: number,
  { descriptorLimit }: Pick<SystemLimits, "descriptorLimit">,
) {
  if (descriptorLimit === null || descriptorLimit <= RESERVED_DESCRIPTORS) return 1;
  return Math.ceil(n / (descriptorLimit - RESERVED_DESCRIPTORS));
}

/**
 * The least number of workers with enough descriptors for n connections; `null` if no number is enough.
 */
function linkedProcessesFor(
  n: number,
  { descriptorLimit }: Pick<SystemLimits, "descriptorLimit">,
): number | null {
  for (let processes = 1; processes <= MAX_WORKERS; processes++) {
    const needed = descriptorsFor({ n, processes }) + linkDescriptorsFor(processes);
    if (needed <= (descriptorLimit ?? Infinity)) return processes;
  }
  return null;
}

/** The least number of workers that admit n clients of one address; `null` if no number does. */
export function workersFor(
  n: number,
  { descriptorLimit }: Pick<SystemLimits, "descriptorLimit">,
): number | null {
  for (let processes = 1; processes <= MAX_WORKERS; processes++) {
    if (admitsFromOneAddress({ n, processes }, descriptorLimit ?? Infinity)) return processes;
  }
  return null;
}

/** The descriptors that each of some processes needs for its share of n connections. */
export function descriptorsFor({ n, processes }: Share): number {
  return Math.ceil(n / processes) + RESERVED_DESCRIPTORS;
}
