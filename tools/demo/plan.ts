/**
 * Plans a demonstration with n bots on this machine.
 *
 * @module
 */

import { EnvironmentError } from "../../cli/command_line.ts";
import { MAX_WORKERS } from "../../host/capacity.ts";
import { workersFor } from "../../host/descriptor_checks.ts";
import type { SystemFacts } from "../../host/facts.ts";
import { findingLine } from "../../host/finding.ts";
import { checkUp } from "../doctor/checkup.ts";
import { chooseSpread } from "../../bots/run/preflight.ts";

/** The way to start the server. */
export interface DemoPlan {
  /** The server's processes. */
  readonly workers: number;
  /** The server's flags, but for its port. */
  readonly flags: readonly string[];
}

/** The only system on which several processes can share a port. */
const SYSTEM_WITH_WORKERS = "Linux";

/** The clients of a server that listens on all addresses: a demonstration must not serve the network. */
const THIS_MACHINE = "127.0.0.0/8";

/**
 * Shares n connections among as many server processes as the descriptor limit calls for. The bots choose
 * their own processes and the loopback addresses that they connect to.
 *
 * @throws {EnvironmentError} if this machine can't hold so many connections, with the remedy.
 */
export function planDemo(n: number, facts: SystemFacts): DemoPlan {
  const workers = facts.os === SYSTEM_WITH_WORKERS ? workersFor(n, facts) : 1;
  if (workers === null) {
    throw new EnvironmentError(
      `${n} clients are too many for ${MAX_WORKERS} server processes with ` +
        `${facts.descriptorLimit} descriptors each; take fewer, or raise the limit (ulimit -n)`,
    );
  }
  const findings = checkUp({ n, role: "both", workers, runtime: "bun" }, facts, null);
  const fatal = findings.find(({ isFatal }) => isFatal);
  if (fatal !== undefined) throw new EnvironmentError(findingLine(fatal, facts.os));
  const isSpread = chooseSpread(n, facts.portRange) > 1;
  return {
    workers,
    flags: [
      ...isSpread
        ? ["--host", "0.0.0.0", "--publish-from", THIS_MACHINE, "--subscribe-from", THIS_MACHINE]
        : ["--host", "127.0.0.1"],
      ...workers === 1 ? [] : ["--workers", String(workers)],
      ...["--log-level", "warning"],
    ],
  };
}
