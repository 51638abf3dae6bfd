/**
 * The messages between a comparison and its process of bots: one line of JSON each.
 *
 * @module
 */

import type { LeaderFlags } from "../../../bots/run/agent_options.ts";
import type { BotsOptions } from "../../../bots/run/options.ts";
import type { BotsReport } from "../../../bots/results/report.ts";
import type { PackedLatencies } from "../results/samples.ts";

/** The bots' only argument. */
export interface BotsTask
  extends Pick<BotsOptions, "n" | "dialect" | "host" | "port" | "rounds" | "data" | "timeoutMs"> {
  /** The agents that have the bots, with the files' names in place of keys; `null` for this machine. */
  readonly agents: LeaderFlags | null;
}

/** A message from the bots, on standard output. */
export type BotsWord =
  /** All bots are subscribed. They publish when a line comes on standard input. */
  | { readonly says: "subscribed" }
  | {
    readonly says: "done";
    readonly report: BotsReport;
    /** The good bots' latencies from publish to arrival, round by round. */
    readonly latencies: readonly PackedLatencies[];
  }
  /** The run can't take place. */
  | { readonly says: "failed"; readonly why: string };
