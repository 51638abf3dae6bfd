import { assert, assertEquals } from "@std/assert";
import { configure, type LogRecord, reset } from "@logtape/logtape";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TransportError } from "../../../runtime/types.ts";
import { LineQuota } from "../../../server/log/line_quota.ts";
import { logEvents, MAX_LINES_PER_SECOND } from "../../../server/log/log.ts";
import type { SessionEnd } from "../../../server/session/session_end.ts";
import { until } from "../../support/until.ts";

/** The lines that are logged. */
async function recordsOf(act: () => Promise<void> | void): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  await configure({
    sinks: { kept: (record) => records.push(record) },
    loggers: [
      { category: "hotwheels", lowestLevel: "debug", sinks: ["kept"] },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["kept"] },
    ],
  });
  await act();
  await reset();
  return records;
}

/** The levels at which something is logged. */
async function levelsOf(act: () => void): Promise<string[]> {
  return (await recordsOf(act)).map(({ level }) => level);
}

/** Lines without their timestamps, as they are written. */
function linesOf(records: readonly LogRecord[]): string[] {
  return records.map(({ level, message }) => `${level}: ${message.join("")}`);
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
    const levels = await levelsOf(() => {
      logEvents().onAcceptError(new TransportError("connection_reset", "aborted"));
    });
    assertEquals(levels, ["debug"]);
  });

  it("reports as an error that the system refuses every connection", async () => {
    const levels = await levelsOf(() => {
      logEvents().onAcceptError(new TransportError("descriptors_exhausted", "none left"));
    });
    assertEquals(levels, ["error"]);
  });

  it("tells so once and not ten times a second, and says later how often it was", async () => {
    const records = await recordsOf(() => {
      const { onAcceptError } = logEvents();
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
    const records = await recordsOf(() => {
      const { onSessionEnd } = logEvents();
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
    const records = await recordsOf(async () => {
      const { onSessionEnd } = logEvents();
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

  for (const processes of [2, 7, 64]) {
    it(`has no more lines of ${processes} processes than of one`, async () => {
      const seconds = 3;
      const records = await recordsOf(async () => {
        const logs = Array.from({ length: processes }, () => logEvents(undefined, processes));
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
