import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { backoffMs } from "../../../bots/fleet/backoff.ts";
import { Reconnection } from "../../../bots/fleet/reconnection.ts";
import { buildStormReport, peakPerSecond, type StormFacts } from "../../../bots/storm/report.ts";
import { stormText } from "../../../bots/storm/text.ts";
import { until } from "../../support/until.ts";

const FACTS: StormFacts = {
  started_at: "2026-11-23T00:00:00.000Z",
  target: { host: "there", port: 1, addresses: ["127.0.0.1"], dialect: "janus" },
  n: 3,
  subscribed: 3,
  valid: true,
  invalid_because: [],
  published: 0,
  server_cpu_s: null,
  environment: {} as StormFacts["environment"],
};

/** Three bots, and those of them that have asked for a connection. */
function scene(connect: (index: number) => Promise<void> = () => Promise.resolve()) {
  const asked: { index: number; atMs: number }[] = [];
  const reconnection = new Reconnection({
    size: 3,
    connect(index) {
      asked.push({ index, atMs: performance.now() });
      return connect(index);
    },
    abandon() {},
  });
  return { reconnection, asked };
}

describe("a bot that lost its connection", () => {
  it("comes back when the server told it to, not before", async () => {
    const { reconnection, asked } = scene();
    const beganMs = performance.now();
    reconnection.onTold(1, "server_shutdown", 150);
    reconnection.onClosed(1, true);
    await until("it comes back", () => asked.length === 1);
    // Timers may fire a millisecond early.
    assert(asked[0]!.atMs - beganMs >= 149, `after ${asked[0]!.atMs - beganMs} ms`);
    reconnection.onSubscribed(1);
    const { struck, appointments, told, outages } = reconnection.end();
    assertEquals([struck, appointments, told], [1, 1, { server_shutdown: 1 }]);
    assert(outages[0]!.backAtMs! - outages[0]!.lostAtMs >= 149);
  });

  it("tries again until it is subscribed, and counts why it wasn't", async () => {
    let refusals = 2;
    const { reconnection, asked } = scene(() =>
      refusals-- > 0
        ? Promise.reject(Object.assign(new Error(), { code: "connection_refused" }))
        : Promise.resolve()
    );
    reconnection.onClosed(0, true);
    await until("it has tried three times", () => asked.length === 3);
    // The third gets a connection, but no subscription; the fourth does.
    reconnection.onClosed(0, false);
    await until("it has tried four times", () => asked.length === 4);
    assertEquals(reconnection.progress.out, 1);
    reconnection.onSubscribed(0);
    assertEquals(reconnection.progress.out, 0);
    const { attempts, failedAttempts, outages } = reconnection.end();
    assertEquals(attempts, 4);
    assertEquals(failedAttempts, { connection_refused: 2, closed_before_subscribed: 1 });
    assertEquals(outages.length, 1);
  });

  it("is still out where it never got back, also if others did", () => {
    const { reconnection } = scene();
    reconnection.onClosed(0, true);
    reconnection.onClosed(2, true);
    reconnection.onSubscribed(2);
    reconnection.onClosed(2, true);
    reconnection.onSubscribed(2);
    const report = buildStormReport(FACTS, [{ ...reconnection.end(), resumption: null }]);
    const { struck, still_out, outages } = report;
    assertEquals([struck, still_out, outages], [2, 1, 3]);
    assert(stormText(report).startsWith("verdict: FAILED: 1 of 2 bots are still out\n"));
  });

  it("waits a random time that may double with each failure, ten seconds at most", () => {
    assertEquals([0, 1, 2, 5, 200].map((failures) => backoffMs(failures, 0.5)), [
      ...[250, 500, 1000, 5000, 5000],
    ]);
    assertEquals(backoffMs(0, 0), 0);
  });
});

describe("a storm's report", () => {
  it("has the time from the first loss to the last return, over all processes", () => {
    const group = {
      struck: 1,
      attempts: 2,
      failedAttempts: { timed_out: 1 },
      told: { server_shutdown: 1 },
      appointments: 1,
      resumption: null,
    };
    const report = buildStormReport(FACTS, [
      { ...group, outages: [{ lostAtMs: 1000, backAtMs: 1700 }] },
      { ...group, outages: [{ lostAtMs: 1400, backAtMs: 3100 }] },
    ]);
    assertEquals([report.took_ms, report.loss_span_ms], [2100, 400]);
    assertEquals(report.outage_ms, { min: 700, p50: 700, p90: 1700, p99: 1700, max: 1700 });
    assertEquals([report.attempts, report.failed_attempts], [4, { timed_out: 2 }]);
    assertEquals([report.told, report.appointments], [{ server_shutdown: 2 }, 2]);
    assertEquals(report.peak_reconnects_per_s, 1);
  });

  it("has the answer first, then one table, and the rest where it's asked for", () => {
    const report = buildStormReport(FACTS, [{
      struck: 2,
      attempts: 3,
      failedAttempts: { timed_out: 1 },
      told: { server_shutdown: 2 },
      appointments: 1,
      outages: [{ lostAtMs: 1000, backAtMs: 1700 }, { lostAtMs: 1400, backAtMs: 3100 }],
      resumption: null,
    }]);
    const few = [
      "verdict: all are back, the last 2.10 s after the first loss",
      "",
      "seconds              min      p50      p90      p99      max",
      "a bot's outage      0.70     0.70     1.70     1.70     1.70",
      "",
      "2 of 3 bots lost their connection, within 0.40 s; most that came back in one",
      "second: 1",
    ];
    assertEquals(stormText(report).split("\n"), few);
    assertEquals(stormText(report, true).split("\n"), [
      ...few,
      "3 bots subscribed at there port 1",
      "3 attempts to connect, failed: timed_out 1",
      "the server said: server_shutdown 2; when to come back, 1 time",
    ]);
  });

  it("says what bots got that came back with their positions, over all processes", () => {
    const group = {
      struck: 2,
      attempts: 2,
      failedAttempts: {},
      told: {},
      appointments: 0,
      outages: [{ lostAtMs: 1000, backAtMs: 1700 }, { lostAtMs: 1000, backAtMs: 1800 }],
    };
    const resumption = {
      reasons: { ok: 2 },
      crashed: 0,
      missed: [1, 2],
      lastLevelAtMs: 2500,
      behind: 0,
      whole: 2,
      had: [2, 2, 0],
      seen: [0, 1],
      duplicates: 0,
      wrong: 0,
    };
    const facts = { ...FACTS, published: 3, server_cpu_s: 1.234 };
    const whole = buildStormReport(facts, [{ ...group, resumption }, { ...group, resumption }]);
    assertEquals(whole.resumption, {
      published: 3,
      resumes: 4,
      recovered: 4,
      reasons: { ok: 4 },
      crashed: 0,
      missed_messages: { min: 1, p50: 1, p90: 2, p99: 2, max: 2 },
      level_ms: 1500,
      behind: 0,
      whole: 4,
      missing: 0,
      duplicate: 0,
      wrong: 0,
    });
    assertEquals(stormText(whole).split("\n").slice(-4), [
      "second: 4",
      "4 of 4 returns recovered (ok 4), the last bot level 1.50 s after the first loss",
      "3 messages published meanwhile; missed by a bot: 1 to 2, 1 in the median",
      "the server used 1.23 s of processor",
    ]);
    // A bot of the other process has what one of this process lacks.
    const other = { ...resumption, had: [2, 2, 1], seen: [0, 1, 2], duplicates: 1 };
    const report = buildStormReport(facts, [{ ...group, resumption }, {
      ...group,
      resumption: other,
    }]);
    assertEquals([report.resumption!.missing, report.resumption!.duplicate], [3, 1]);
    assert(
      stormText(report).startsWith(
        "verdict: FAILED: all are back, with 3 messages lost, 1 message that came twice\n",
      ),
      stormText(report),
    );
  });

  it("finds the busiest second wherever it begins", () => {
    assertEquals(peakPerSecond(new Float64Array(0)), 0);
    const moments = [0, 900, 1000, 1001, 1800, 1900, 3000];
    assertEquals(peakPerSecond(Float64Array.from(moments)), 5);
  });
});
