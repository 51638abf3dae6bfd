import { getLogger, type Logger } from "@logtape/logtape";
import { counted } from "../../cli/counted.ts";
import type { Member } from "../machines/members.ts";
import type { ClusterEvents } from "../machines/report.ts";
import { LineQuota } from "./line_quota.ts";
import { TEXT } from "./format.ts";

/** Lines a second about faults of one kind. */
const FAULTS_PER_SECOND = 2;

/** Logs what becomes of a cluster's machines. Nothing of what they send is shown but names and counts. */
export function clusterLog(logger: Logger = getLogger("hotwheels")): ClusterEvents {
  const sumUp = (counts: ReadonlyMap<string, number>) => {
    const text = [...counts].map(([kind, count]) => `${count} ${kind}`).join(", ");
    logger.warn("of the cluster's events were not logged: {text.counts}", {
      counts: Object.fromEntries(counts),
      [TEXT]: { counts: text },
    });
  };
  const quotas = new Map<string, LineQuota>();
  const admits = (kind: string): boolean => {
    let quota = quotas.get(kind);
    // One for all would let a stranger's frames hide that NATS is away.
    if (quota === undefined) quotas.set(kind, quota = new LineQuota(FAULTS_PER_SECOND, sumUp));
    return quota.admits(kind);
  };
  return {
    onJoined: (member) => logger.info("{text.peer} is in the cluster", fieldsOf(member)),
    onSilent: (member) =>
      logger.warn("{text.peer} is silent: receipts don't wait for it", fieldsOf(member)),
    onBack: (member) => logger.info("{text.peer} is heard again", fieldsOf(member)),
    onLeft: (member, isClean) => {
      if (isClean) logger.info("{text.peer} has left the cluster", fieldsOf(member));
      else {
        logger.error(
          "{text.peer} has been silent for too long: it counts as dead, and what only it had is lost",
          fieldsOf(member),
        );
      }
    },
    onDisagreement: (member, what) =>
      logger.warn("{text.peer} doesn't agree with this machine: {text.what}", {
        ...fieldsOf(member),
        what,
        [TEXT]: { peer: peerText(member), what },
      }),
    onHole: (machine, origin, { after, to, why }) => {
      if (!admits("holes")) return;
      logger.error(
        "messages of {machine} are lost between the machines: those of its process {origin} behind {after} " +
          "up to {to}, since {why}; clients that go on where they were are told so",
        { machine, origin, after, to, why },
      );
    },
    onRejected: (machine, why) => {
      if (!admits("frames that were rejected")) return;
      logger.warn("rejected a frame of {machine} from NATS: {why}", {
        machine: machine === "" ? "a stranger" : machine,
        why,
      });
    },
    onOtherVersion: (what) =>
      logger.error(
        "a machine of the cluster sends {what}: nothing is exchanged with it; upgrade the older of the two",
        { what },
      ),
    onConnected: (servers) => logger.info("connected with NATS ({servers})", { servers }),
    onAway: (reason) => {
      if (!admits("losses of NATS")) return;
      logger.warn(
        "NATS is away, {reason}: this machine serves its own clients, and goes on trying",
        { reason },
      );
    },
    onError: (reason) => {
      if (admits("refusals of NATS")) logger.error("NATS says: {reason}", { reason });
    },
  };
}

function fieldsOf(member: Member): Record<string, unknown> {
  const { machine, state } = member;
  const { release, workers, address } = state;
  return { machine, address, release, workers, [TEXT]: { peer: peerText(member) } };
}

function peerText({ machine, state }: Member): string {
  return `machine ${machine} (${state.address}, ${state.release}, ${
    counted(state.workers, "worker")
  })`;
}
