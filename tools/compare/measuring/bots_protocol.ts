/**
 * What a comparison and the process of its bots say to each other: JSON, a line each.
 *
 * @module
 */

import type { BotsOptions } from "../../../bots/run/options.ts";
import type { BotsReport } from "../../../bots/results/report.ts";
import type { PackedLatencies } from "../results/samples.ts";

/** The bots' only argument. */
export type BotsTask = Pick<
  BotsOptions,
  "n" | "dialect" | "host" | "port" | "rounds" | "data" | "timeoutMs"
>;

/** What the bots say, on standard output. */
export type BotsWord =
  /** Everyone is subscribed; they publish when a line comes on standard input. */
  | { readonly says: "subscribed" }
  | {
    readonly says: "done";
    readonly report: BotsReport;
    /** From publish to arrival, of the good bots, round by round. */
    readonly latencies: readonly PackedLatencies[];
  }
  /** The run can't take place. */
  | { readonly says: "failed"; readonly why: string };
