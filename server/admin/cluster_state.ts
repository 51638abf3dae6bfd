import type { InboxCounts, MachineCounts } from "../machines/inbox.ts";
import type { ClusterReport } from "../machines/report.ts";
import { addUp } from "../telemetry/report.ts";
import type { ClusterState } from "./source.ts";

const NOTHING: InboxCounts = { duplicates: 0, gaps: 0, refills: 0, holes: 0, rejected: 0 };

/**
 * The cluster as several processes of a machine see it.
 *
 * @param reports What each worker's process has told last, by the worker's name.
 * @param past The counts of processes that have ended.
 */
export function clusterState(
  reports: readonly (readonly [name: string, ClusterReport])[],
  past: InboxCounts = NOTHING,
): ClusterState {
  const [holder, held] = reports.find(([, { isHolding }]) => isHolding) ?? [];
  const sum = (valueOf: (report: ClusterReport) => number) =>
    reports.reduce((total, [, report]) => total + valueOf(report), 0);
  return {
    isConnected: held?.isConnected ?? false,
    holder,
    counts: reports.reduce((total, [, { counts }]) => addUp(total, counts), past),
    logBytes: sum(({ logBytes }) => logBytes),
    heldBytes: sum(({ heldBytes }) => heldBytes),
    members: (held?.members ?? []).map((member) => {
      const seen = reports.flatMap(([, { members }]) =>
        members.filter(({ machine }) => machine === member.machine)
      );
      const total = (what: keyof MachineCounts) => seen.reduce((sum, one) => sum + one[what], 0);
      return {
        ...member,
        lagMs: Math.max(...seen.map(({ lagMs }) => lagMs)),
        gaps: total("gaps"),
        refills: total("refills"),
        holes: total("holes"),
      };
    }),
  };
}
