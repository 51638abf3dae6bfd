import { assert, assertEquals } from "@std/assert";
import type { Logger } from "@logtape/logtape";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TransportError } from "../../../runtime/types.ts";
import { LineQuota } from "../../../server/log/line_quota.ts";
import {
  logClock,
  logDropped,
  logEvents,
  logHistoryFile,
  logLink,
  MAX_LINES_PER_SECOND,
} from "../../../server/log/log.ts";
import type { CeilingEvent } from "../../../server/memory/memory_ceiling.ts";
import type { SessionEnd } from "../../../server/session/session_end.ts";
import type { ClockEvent } from "../../../server/timing/timekeeper.ts";
import { linesOf, recordsOf } from "../../support/logged.ts";
import { until } from "../../support/until.ts";

/** The levels at which something is logged. */
async function levelsOf(act: (logger: Logger) => void): Promise<string[]> {
  return (await recordsOf(act)).map(({ level }) => level);
}

function endOf(change: Partial<SessionEnd> = {}): SessionEnd {
  return {
    remoteAddress: "192.0.2.1",
    remotePort: 49_152,
    reason: "slow_consumer",
    pendingBytes: 1234,
    topic: "t",
    topicCount: 1,
    ageMs: 5_250,
    detail: "No byte taken for 10 s",
    ...change,
  };
}

describe("the log", () => {
  it("isn't filled by clients that abort before they are accepted", async () => {
    const levels = await levelsOf((logger) => {
      logEvents(logger).onAcceptError(new TransportError("connection_reset", "aborted"));
    });
    assertEquals(levels, ["debug"]);
  });

  it("reports as an error that the system refuses every connection", async () => {
    const levels = await levelsOf((logger) => {
      logEvents(logger).onAcceptError(new TransportError("descriptors_exhausted", "none left"));
    });
    assertEquals(levels, ["error"]);
  });

  it("tells so once and not ten times a second, and says later how often it was", async () => {
    const records = await recordsOf((logger) => {
      const { onAcceptError } = logEvents(logger);
      for (let i = 0; i < 500; i++) {
        onAcceptError(new TransportError("descriptors_exhausted", "none left"));
      }
    });
    assertEquals(linesOf(records), ["error: a connection could not be accepted: none left"]);

    const sums: [string, number][][] = [];
    const quota = new LineQuota(1, (counts) => sums.push([...counts]), 300);
    const admitted = Array.from({ length: 500 }, () => quota.admits("failed"));
    assertEquals(admitted.filter((isAdmitted) => isAdmitted).length, 1);
    await sleep(150);
    assertEquals(sums, []);
    await until("the period is over", () => sums.length > 0);
    assertEquals(sums, [[["failed", 499]]]);
    assertEquals([quota.admits("failed"), quota.admits("failed")], [true, false]);
  });

  it("names who was closed, why, the topic, what waited and the age, in printable ASCII", async () => {
    const records = await recordsOf((logger) => {
      const { onSessionEnd } = logEvents(logger);
      onSessionEnd(endOf());
      onSessionEnd(endOf({ topic: "\n\x1b[31mé", topicCount: 3, remoteAddress: "" }));
      onSessionEnd(endOf({ remoteAddress: "2001:db8::1", detail: "late" }));
      onSessionEnd(endOf({ reason: "client_closed", topic: undefined, topicCount: 0, detail: "" }));
    });
    assertEquals(linesOf(records), [
      'warning: closed 192.0.2.1:49152: slow_consumer, 1234 bytes waiting, topic "t", 5.3 s old: ' +
      "No byte taken for 10 s",
      "warning: closed a local client: slow_consumer, 1234 bytes waiting, " +
      'topic "\\x0a\\x1b[31m\\xc3\\xa9" and 2 more, 5.3 s old: No byte taken for 10 s',
      'warning: closed [2001:db8::1]:49152: slow_consumer, 1234 bytes waiting, topic "t", ' +
      "5.3 s old: late",
      "debug: 192.0.2.1:49152 ended: client_closed, 1234 bytes waiting, no topic, 5.3 s old",
    ]);
  });

  it("sums up in one line what clients do by the thousand in a second", async () => {
    const records = await recordsOf(async (logger) => {
      const { onSessionEnd } = logEvents(logger);
      for (let i = 0; i < 5_000; i++) {
        onSessionEnd(endOf({ reason: i % 5 === 0 ? "bad_frame" : "slow_consumer" }));
        onSessionEnd(endOf({ reason: "connection_lost" }));
      }
      await sleep(1_100);
      onSessionEnd(endOf());
    });
    const lines = linesOf(records);
    assertEquals(lines.filter((line) => line.startsWith("warning: closed")).length, 21);
    assertEquals(lines.filter((line) => line.startsWith("debug: 192")).length, 20);
    const sums = lines.filter((line) => line.includes("and more")).sort();
    assertEquals(sums, [
      "debug: and more in the same second: 4980 connection_lost",
      "warning: and more in the same second: 996 bad_frame, 3984 slow_consumer",
    ]);
  });

  it("says which step the server takes while memory is short, and when it is over", async () => {
    const steps = ["gives_back", "holds_bulk", "holds_publishers", "evicts", "refuses", "gave_up"];
    const records = await recordsOf((logger) => {
      const { onMemory } = logEvents(logger);
      for (const step of steps as CeilingEvent["step"][]) {
        onMemory!({ step, hasBegun: true, residentBytes: 949_600_000, maxBytes: 1e9 });
      }
      onMemory!({ step: "evicts", hasBegun: false, residentBytes: 1e8, maxBytes: 1e9 });
    });
    const taken = "warning: memory is short, 950 of 1000 MB are taken: ";
    assertEquals(linesOf(records), [
      `${taken}garbage is collected`,
      `${taken}clients that send much wait`,
      `${taken}all publishers wait`,
      `${taken}clients that hold most are closed`,
      `${taken}connections are refused`,
      `${taken}it doesn't fall, so clients don't wait for it any longer`,
      "info: memory was short, 100 of 1000 MB are taken now; over: clients that hold most are closed",
    ]);
  });

  it("says which of its two rates a publisher exceeds that is slowed", async () => {
    const records = await recordsOf((logger) => {
      const { onThrottled } = logEvents(logger);
      onThrottled!("192.0.2.1", 49_152, 20);
      onThrottled!("", 0, undefined);
    });
    assertEquals(linesOf(records), [
      "info: slowed 192.0.2.1:49152: it sends more than 20 messages a second, or more bytes than it may",
      "info: slowed a local client: it sends more bytes a second than it may",
    ]);
  });

  it("names a hook that failed, whatever it has thrown", async () => {
    const records = await recordsOf((logger) => {
      const { onHookFailure } = logEvents(logger);
      onHookFailure!("publish", new Error("no table"));
      onHookFailure!("subscribe", "no word");
    });
    assertEquals(linesOf(records), [
      "error: the hook for publish failed, and the client is refused: no table",
      "error: the hook for subscribe failed, and the client is refused: no word",
    ]);
  });

  it("says by how much the clock was set, once for all processes", async () => {
    const events: ClockEvent[] = [
      { what: "set_forward", byMs: 3_600_040 },
      { what: "set_back", byMs: 1_960 },
      { what: "caught_up" },
    ];
    const lines = [
      "warning: the system's clock was set forward by 3600.0 s: timestamps follow",
      "warning: the system's clock was set back, 2.0 s behind the timestamps: they stand nearly still " +
      "until it has caught up, or the server is restarted",
      "info: timestamps agree with the system's clock again",
    ];
    const alone = await recordsOf((logger) => events.forEach(logEvents(logger).onClock!));
    assertEquals(linesOf(alone), lines);
    const supervised = await recordsOf((logger) => {
      for (const event of events) {
        logClock(logger, event);
        for (const log of [logEvents(logger, 2), logEvents(logger, 2)]) log.onClock!(event);
      }
    });
    assertEquals(linesOf(supervised), lines);
  });

  it("says what becomes of stored messages whose file can't be used", async () => {
    const records = await recordsOf(() => {
      for (const what of ["read", "tried", "written"] as const) {
        logHistoryFile("/var/h", what, new Error("it is a folder"));
      }
    }, ["hotwheels"]);
    const why = "--history-file /var/h can't be";
    assertEquals(linesOf(records), [
      `warning: ${why} used: it is a folder; the server starts without stored messages`,
      `error: ${why} written: it is a folder; a stop will lose what is stored`,
      `error: ${why} written: it is a folder; what was stored is lost`,
    ]);
  });

  it("names the worker at the other end of a link, and what it doesn't get", async () => {
    const path = "@hotwheels-1-worker-2-4711";
    const records = await recordsOf((logger) => {
      logLink(logger, { path, stands: false, downMs: 10_004, cause: "the peer reset it" });
      logLink(logger, { path, stands: true, downMs: 12_346, cause: "the peer reset it" });
      logDropped(logger, { path, keptBytes: 77 });
      logDropped(logger, { path: "/tmp/other", keptBytes: 1 });
    });
    assertEquals(linesOf(records), [
      "error: no link to worker-2-4711 for 10.00 s, dialling again: the peer reset it",
      "warning: linked with worker-2-4711 again after 12.35 s: the peer reset it",
      "error: worker-2-4711 hasn't taken 77 bytes in time, which are dropped",
      "error: /tmp/other hasn't taken 1 bytes in time, which are dropped",
    ]);
  });

  for (const processes of [2, 7, 64]) {
    it(`has no more lines of ${processes} processes than of one`, async () => {
      const seconds = 3;
      const records = await recordsOf(async (logger) => {
        const logs = Array.from({ length: processes }, () => logEvents(logger, processes));
        const endMs = performance.now() + seconds * 1_000;
        while (performance.now() < endMs) {
          for (const { onSessionEnd } of logs) onSessionEnd(endOf());
          await sleep(20);
        }
      });
      const lines = linesOf(records);
      const closed = lines.filter((line) => line.startsWith("warning: closed")).length;
      // All may have a line to begin with.
      assert(closed <= MAX_LINES_PER_SECOND * (seconds + 1) + processes, `${closed} lines`);
      assert(closed >= MAX_LINES_PER_SECOND * (seconds - 2) / 2, `${closed} lines`);
      assert(lines.length - closed <= seconds + processes, `${lines.length - closed} sums`);
    });
  }
});
