import { assert, assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Samples, scrape } from "../../support/clients/admin_client.ts";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import {
  onEachWorker,
  skipWorkers,
  withWorkers,
  workersOf,
} from "../../support/processes/workers.ts";
import { until } from "../../support/until.ts";

/** Milliseconds in which a worker tells its supervisor what it counted, on a machine with time for it. */
const TOLD_MS = 500;

/** Milliseconds after which each worker has, on a busy machine too. */
const PATIENCE_MS = 15_000;

const ADMIN = ["--admin", ":0", "--metrics-topics", "t,not there"];

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;

/** Scrapes until the counts stand as the check has it, and returns them. */
async function settled(adminUrl: string, check: (samples: Samples) => void): Promise<Samples> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (;;) {
    await sleep(TOLD_MS);
    const samples = await scrape(adminUrl);
    try {
      check(samples);
      return samples;
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
    }
  }
}

function value(samples: Samples, name: string): number {
  const found = samples.get(`hotwheels_${name}`);
  assert(found !== undefined, `there is no hotwheels_${name}`);
  return found;
}

/** The sum of a metric over all values of its label. */
function sumOf(samples: Samples, name: string): number {
  const own = [...samples].filter(([key]) => key.startsWith(`hotwheels_${name}{`));
  return own.reduce((sum, [, number]) => sum + number, 0);
}

/** The values of a metric's only label, in order. */
function labelsOf(samples: Samples, name: string): string[] {
  const labels = [...samples.keys()].map((key) =>
    /^hotwheels_(\w+)\{\w+="([^"]*)"\}$/.exec(key) ?? []
  );
  return labels.flatMap(([, metric, label]) => metric === name ? [label!] : []).sort();
}

/** Asserts that nothing that only ever grows is less than it was. */
function assertNothingFell(before: Samples, after: Samples): void {
  const isCounter = /_total(?:\{|$)|_bucket\{|_sum(?:\{|$)|_count(?:\{|$)/;
  for (const [name, number] of before) {
    if (!isCounter.test(name)) continue;
    const now = after.get(name);
    assert(now !== undefined && now >= number, `${name} fell from ${number} to ${now}`);
  }
}

const DOCUMENT = readFileSync("docs/operating.md", "utf8");

/** The names of all metrics, without `hotwheels_`, and without those of a histogram's parts. */
function namesOf(samples: Samples): string[] {
  const names = [...samples.keys()].map((key) => key.replace(/^hotwheels_|\{.*/g, ""));
  return [...new Set(names.map((name) => name.replace(/_(?:bucket|sum|count)$/, "")))];
}

interface Traffic {
  readonly subscribers: JanusClient[];
  readonly publisher: JanusClient;
}

/** Publishes so many messages to all subscribers, who get each of them. */
async function play({ subscribers, publisher }: Traffic, count: number): Promise<void> {
  const before = subscribers.map(({ frames }) => frames.length);
  for (let i = 0; i < count; i++) publisher.send(publish(message("t", i)));
  for (const [at, subscriber] of subscribers.entries()) {
    await until("all messages come", () => subscriber.frames.length === before[at]! + count);
  }
}

/** Asserts that a scrape agrees with what clients counted. */
function assertCounts(
  samples: Samples,
  { accepted, messages, deliveries, ended }: {
    readonly accepted: number;
    readonly messages: number;
    readonly deliveries: number;
    readonly ended: number;
  },
): void {
  assertEquals(value(samples, "connections_accepted_total"), accepted);
  assertEquals(value(samples, "messages_received_total"), messages);
  assertEquals(value(samples, "deliveries_total"), deliveries);
  assertEquals(value(samples, 'topic_messages_received_total{topic="t"}'), messages);
  assertEquals(value(samples, 'topic_deliveries_total{topic="t"}'), deliveries);
  assertEquals(value(samples, 'topic_deliveries_total{topic="not there"}'), 0);
  assertEquals(sumOf(samples, "sessions_ended_total"), ended);
}

for (const runtime of TESTED_RUNTIMES) {
  for (const workers of [1, 3]) {
    const name = `${runtime}'s metrics with ${workers} ${workers === 1 ? "process" : "workers"}`;
    describe(name, { skip: workers > 1 && skipWorkers }, () => {
      it("agree exactly with what clients counted", { timeout: 60_000 }, async () => {
        await withWorkers(runtime, workers, async ({ adminUrl }, target) => {
          const subscribers = await Promise.all(
            Array.from({ length: 20 }, () => JanusClient.subscribed(target, "t")),
          );
          const publisher = await JanusClient.greeted(target);
          await play({ subscribers, publisher }, 50);
          const counts = { accepted: 21, messages: 50, deliveries: 20 * 50, ended: 0 };
          const first = await settled(adminUrl!, (samples) => assertCounts(samples, counts));
          assertEquals(value(first, "connections"), 21);
          assertEquals(value(first, "subscriptions"), 20);
          assertEquals(value(first, 'topic_subscribers{topic="t"}'), 20);
          assertEquals(
            labelsOf(first, "process_max_fds"),
            workers === 1 ? ["server"] : ["supervisor", "worker-1", "worker-2", "worker-3"],
          );
          const sent = subscribers.reduce(
            (sum, { byteCount }) => sum + byteCount,
            publisher.byteCount,
          );
          assertEquals(value(first, "sent_bytes_total"), sent);
          const passes = value(first, "fanout_seconds_count");
          assert(passes >= 1 && passes <= 50 * workers, `${passes} passes`);
          assertEquals(value(first, "fanout_subscribers_count"), passes);
          assertEquals(value(first, 'fanout_seconds_bucket{le="+Inf"}'), passes);
          const leavers = subscribers.splice(0, 5);
          for (const leaver of leavers) await leaver.dispose();
          await play({ subscribers, publisher }, 10);
          const deliveries = 20 * 50 + 15 * 10;
          const second = await settled(
            adminUrl!,
            (samples) =>
              assertCounts(samples, { accepted: 21, messages: 60, deliveries, ended: 5 }),
          );
          assertEquals(value(second, "connections"), 16);
          assertNothingFell(first, second);
          const late = await JanusClient.greeted(target);
          late.send('{"action":"subscribe","data":"t","resume":{"last":3}}\0');
          await until("three messages are replayed", () => late.frames.length >= 5);
          const third = await settled(
            adminUrl!,
            (samples) => assertEquals(value(samples, 'resumes_total{reason="new"}'), 1),
          );
          assertEquals(sumOf(third, "resumes_total"), 1);
          assertEquals(value(third, "messages_replayed_total"), 3);
          assertEquals(value(third, "history_messages"), 60);
          assertEquals(value(third, "history_topics"), 1);
          assert(value(third, "history_bytes") >= workers * 60 * 40);
          assertEquals(namesOf(third).filter((name) => !DOCUMENT.includes(`\`${name}`)), []);
          for (const client of [...subscribers, publisher, late]) await client.dispose();
        }, ADMIN);
      });
    });
  }

  describe(`${runtime}'s metrics`, { skip: skipWorkers }, () => {
    it("lose nothing when a worker is killed, and count its sessions as lost", {
      timeout: 60_000,
    }, async () => {
      await withWorkers(runtime, 3, async (server, target) => {
        const adminUrl = server.adminUrl!;
        const pids = workersOf(server);
        const { clients: subscribers, on } = await onEachWorker(
          pids,
          target,
          () => JanusClient.subscribed(target, "t"),
        );
        const killed = on(pids[0]!);
        let publisher = await JanusClient.greeted(target);
        await play({ subscribers, publisher }, 40);
        const deliveries = subscribers.length * 40;
        const accepted = subscribers.length + 1;
        const before = await settled(
          adminUrl,
          (samples) => assertCounts(samples, { accepted, messages: 40, deliveries, ended: 0 }),
        );
        process.kill(pids[0]!, "SIGKILL");
        await until(
          "its clients have lost their connections",
          () => killed.every((one) => one.isClosed),
        );
        let wasDown = false;
        let after = before;
        await untilAsync("another worker is up", async () => {
          const now = await scrape(adminUrl);
          assertNothingFell(after, now);
          after = now;
          wasDown ||= sumOf(now, "worker_up") < 3;
          return wasDown && sumOf(now, "worker_up") === 3;
        });
        await publisher.dispose();
        publisher = await JanusClient.greeted(target);
        const left = subscribers.filter((client) => !killed.includes(client));
        await play({ subscribers: left, publisher }, 10);
        const last = await settled(adminUrl, (samples) =>
          assertCounts(samples, {
            accepted: accepted + 1,
            messages: 50,
            deliveries: deliveries + left.length * 10,
            // The first publisher was on one of the workers, perhaps on the one that died.
            ended: killed.length + 1,
          }));
        assertNothingFell(after, last);
        assertEquals(value(last, "worker_restarts_total"), 1);
        const lost = value(last, 'sessions_ended_total{reason="worker_lost"}');
        assert(lost === killed.length || lost === killed.length + 1, `${lost} lost`);
        for (const client of [...left, publisher]) await client.dispose();
      }, ADMIN);
    });

    it("are what promtool wants", {
      skip: hasPromtool ? false : "there is no promtool here",
    }, async () => {
      await withWorkers(runtime, 1, async ({ adminUrl }) => {
        const input = await (await fetch(`${adminUrl}/metrics`)).text();
        const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
          input,
          encoding: "utf8",
        });
        assertEquals([status, stdout, stderr], [0, "", ""]);
      }, ADMIN);
    });
  });
}

async function untilAsync(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 30_000;
  while (!await condition()) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain until ${what}`);
    await sleep(50);
  }
}
