import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { clusterLog } from "../../../server/log/cluster_log.ts";
import type { Member } from "../../../server/machines/members.ts";
import type { ClusterEvents } from "../../../server/machines/report.ts";
import { linesOf, recordsOf } from "../../support/logged.ts";
import { until } from "../../support/until.ts";

const MACHINE = "0123456789abcdef";
const ORIGIN = "fedcba9876543210";

const MEMBER: Member = {
  machine: MACHINE,
  isThere: true,
  state: {
    address: "10.0.0.1:8081",
    release: "1.2.3",
    versions: [1, 1],
    workers: 2,
    limits: { maxFrameBytes: 1_000, maxTopicBytes: 256 },
    micros: 1e15,
    asks: false,
    isReady: true,
    origins: [],
  },
};

/** The lines about a cluster's events. */
async function linesAbout(act: (log: ClusterEvents) => Promise<void> | void): Promise<string[]> {
  return linesOf(await recordsOf((logger) => act(clusterLog(logger))));
}

describe("the log of a cluster", () => {
  it("names a machine, its release and its size, and what becomes of it", async () => {
    const lines = await linesAbout((log) => {
      log.onJoined({ ...MEMBER, state: { ...MEMBER.state, workers: 1 } });
      log.onDisagreement(MEMBER, "its clock is 3 s ahead");
      log.onSilent(MEMBER);
      log.onBack(MEMBER);
      log.onLeft(MEMBER, true);
      log.onLeft(MEMBER, false);
    });
    const peer = `machine ${MACHINE} (10.0.0.1:8081, 1.2.3, 2 workers)`;
    assertEquals(lines, [
      `info: machine ${MACHINE} (10.0.0.1:8081, 1.2.3, 1 worker) is in the cluster`,
      `warning: ${peer} doesn't agree with this machine: its clock is 3 s ahead`,
      `warning: ${peer} is silent: receipts don't wait for it`,
      `info: ${peer} is heard again`,
      `info: ${peer} has left the cluster`,
      `error: ${peer} has been silent for too long: it counts as dead, and what only it had is lost`,
    ]);
  });

  it("says what was lost between the machines, and which, and why", async () => {
    const lines = await linesAbout((log) => {
      log.onHole(MACHINE, ORIGIN, { after: 3, to: 5, why: "their machine is dead" });
    });
    assertEquals(lines, [
      `error: messages of ${MACHINE} are lost between the machines: those of its process ` +
      `${ORIGIN} behind 3 up to 5, since their machine is dead; clients that go on where they were ` +
      "are told so",
    ]);
  });

  it("says when NATS is there, when it's away, and what it refuses", async () => {
    const lines = await linesAbout((log) => {
      log.onConnected("a:4222, b:4222");
      log.onAway("the connection was lost");
      log.onError("Permissions Violation");
    });
    assertEquals(lines, [
      "info: connected with NATS (a:4222, b:4222)",
      "warning: NATS is away, the connection was lost: this machine serves its own clients, and goes " +
      "on trying",
      "error: NATS says: Permissions Violation",
    ]);
  });

  it("shows nothing of a frame that isn't valid but its sender and the reason", async () => {
    const lines = await linesAbout((log) => {
      log.onRejected(MACHINE, "a batch without messages");
      log.onRejected("", "no frame");
      log.onOtherVersion("version 2 of the frames between machines");
    });
    assertEquals(lines, [
      `warning: rejected a frame of ${MACHINE} from NATS: a batch without messages`,
      "warning: rejected a frame of a stranger from NATS: no frame",
      "error: a machine of the cluster sends version 2 of the frames between machines: nothing is " +
      "exchanged with it; upgrade the older of the two",
    ]);
  });

  it("isn't filled by faults of a kind, nor do they hide others: more than two a second are summed up", async () => {
    const records = await recordsOf(async (logger, soFar) => {
      const log = clusterLog(logger);
      for (let i = 0; i < 10; i++) log.onRejected("", "no frame");
      for (let i = 0; i < 5; i++) {
        log.onHole(MACHINE, ORIGIN, { after: i, to: i + 1, why: "their machine is dead" });
      }
      log.onAway("the connection was lost");
      log.onError("Permissions Violation");
      await until("the others are summed up", () => soFar.length > 7);
    });
    const rejected = "warning: rejected a frame of a stranger from NATS: no frame";
    assertEquals(linesOf(records), [
      rejected,
      rejected,
      ...[[0, 1], [1, 2]].map(([after, to]) =>
        `error: messages of ${MACHINE} are lost between the machines: those of its process ` +
        `${ORIGIN} behind ${after} up to ${to}, since their machine is dead; clients that go on ` +
        "where they were are told so"
      ),
      "warning: NATS is away, the connection was lost: this machine serves its own clients, and goes " +
      "on trying",
      "error: NATS says: Permissions Violation",
      "warning: of the cluster's events were not logged: 8 frames that were rejected",
      "warning: of the cluster's events were not logged: 3 holes",
    ]);
  });
});
