import { Counter, Gauge, type Registry } from "prom-client";
import type { AdminSource, ClusterState } from "./source.ts";

/** Adds the metrics of a cluster, whose values are taken from the source when they are asked for. */
export function addClusterMetrics(source: AdminSource, registry: Registry): void {
  const gauge = (name: string, help: string, valueOf: (cluster: ClusterState) => number) => {
    new Gauge({
      name: `hotwheels_cluster_${name}`,
      help,
      registers: [registry],
      collect() {
        const { cluster } = source;
        if (cluster !== undefined) this.set(valueOf(cluster));
      },
    });
  };
  const counter = (name: string, help: string, valueOf: (cluster: ClusterState) => number) => {
    new Counter({
      name: `hotwheels_cluster_${name}_total`,
      help,
      registers: [registry],
      collect() {
        const { cluster } = source;
        this.reset();
        if (cluster !== undefined) this.inc(valueOf(cluster));
      },
    });
  };
  gauge("connected", "1 while the other machines can be reached over NATS.", (cluster) => {
    return cluster.isConnected ? 1 : 0;
  });
  gauge("members", "Other machines that are heard.", ({ members }) => {
    return members.filter(({ isThere }) => isThere).length;
  });
  gauge("log_bytes", "Bytes kept for machines that miss some of what was sent.", (cluster) => {
    return cluster.logBytes;
  });
  gauge(
    "held_bytes",
    "Bytes of other machines that wait behind a gap, or for memory.",
    (cluster) => {
      return cluster.heldBytes;
    },
  );
  new Gauge({
    name: "hotwheels_cluster_lag_seconds",
    help: "By how much the last known message of a machine is ahead of the last delivered here.",
    labelNames: ["machine"],
    registers: [registry],
    collect() {
      this.reset();
      for (const { machine, lagMs } of source.cluster?.members ?? []) {
        this.set({ machine }, lagMs / 1000);
      }
    },
  });
  counter(
    "gaps",
    "How often messages of other machines were missing.",
    ({ counts }) => counts.gaps,
  );
  counter("refills", "Requests for missing messages.", ({ counts }) => counts.refills);
  counter(
    "holes",
    "How often missing messages couldn't be had any more, and clients were told so.",
    ({ counts }) => counts.holes,
  );
  counter("duplicates", "Batches that were here already.", ({ counts }) => counts.duplicates);
  counter(
    "rejected_frames",
    "Frames from NATS that weren't valid, or not their sender's.",
    ({ counts }) => counts.rejected,
  );
}
