import type { MetricSet } from "./metric_set.ts";
import type { AdminSource, ClusterState } from "./source.ts";

/** Adds the metrics of a cluster. */
export function addClusterMetrics(set: MetricSet, source: AdminSource): void {
  const members = () => source.cluster?.members ?? [];
  set.gauge(
    "cluster_connected",
    "1 while the other machines can be reached over NATS.",
    () => Number(source.cluster?.isConnected ?? false),
  );
  set.gauge(
    "cluster_members",
    "Other machines that are heard.",
    () => members().filter(({ isThere }) => isThere).length,
  );
  set.gauge(
    "cluster_log_bytes",
    "Bytes kept for machines that miss some of what was sent.",
    () => source.cluster?.logBytes ?? 0,
  );
  set.gauge(
    "cluster_held_bytes",
    "Bytes of other machines that wait behind a gap, or for memory.",
    () => source.cluster?.heldBytes ?? 0,
  );
  set.gauge(
    "cluster_lag_seconds",
    "By how much the last known message of a machine is ahead of the last delivered here.",
    () => members().map(({ machine, lagMs }) => [machine, lagMs / 1000]),
    "machine",
  );
  const counter = (name: string, help: string, what: keyof ClusterState["counts"]) =>
    set.counter(`cluster_${name}_total`, help, () => source.cluster?.counts[what] ?? 0);
  counter("gaps", "How often messages of other machines were missing.", "gaps");
  counter("refills", "Requests for missing messages.", "refills");
  counter(
    "holes",
    "How often missing messages couldn't be had any more, and clients were told so.",
    "holes",
  );
  counter("duplicates", "Batches that were here already.", "duplicates");
  counter(
    "rejected_frames",
    "Frames from NATS that weren't valid, or not their sender's.",
    "rejected",
  );
}
