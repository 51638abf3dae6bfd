import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { skipWorkers, withWorkers } from "../../support/processes/workers.ts";

interface Listed {
  readonly topic: string;
  readonly subscribers: number;
  readonly deliveries: number;
}

/** The part of the status that the tests look at. */
interface StatusText {
  readonly is_ready: boolean;
  readonly limits: Readonly<Record<string, number | null>>;
  /** `null` until a process has told of itself, as the gauges. */
  readonly counts: { readonly messages_in: number; readonly deliveries: number } | null;
  readonly gauges: { readonly connections: number; readonly topics: number } | null;
  readonly fanout: { readonly passes: number; readonly max_ms: number };
  readonly workers: readonly {
    readonly name: string;
    readonly is_up: boolean;
    readonly gauges: { readonly connections: number };
  }[];
  readonly topics_by_subscribers: readonly Listed[];
  readonly topics_by_deliveries: readonly Listed[];
  readonly slow_subscribers: readonly {
    readonly address: string;
    readonly port: number;
    readonly topics: readonly string[];
    readonly pending_bytes: number;
    readonly stalled_ms: number;
    readonly age_ms: number;
    readonly worker: string;
  }[];
  readonly slow_consumers_ended: readonly {
    readonly remote_port: number;
    readonly pending_bytes: number;
    readonly topic: string;
    readonly ended_ms: number;
  }[];
  readonly paused_publishers: readonly { readonly port: number; readonly gate: string }[];
  readonly paused_by_gate: Readonly<Record<string, number>>;
}

/** Reads the status until it is as wanted. */
async function statusThat(
  adminUrl: string,
  what: string,
  isWanted: (status: StatusText) => boolean,
): Promise<StatusText> {
  const deadlineMs = performance.now() + 20_000;
  for (;;) {
    const response = await fetch(`${adminUrl}/status.json`);
    const text = await response.text();
    assertEquals(response.status, 200, text);
    const status = JSON.parse(text) as StatusText;
    if (isWanted(status)) return status;
    if (performance.now() > deadlineMs) throw new Error(`${what} never came: ${text}`);
    await sleep(200);
  }
}

for (const runtime of TESTED_RUNTIMES) {
  for (const workers of [1, 2]) {
    const name = `${runtime}'s status with ${workers} ${workers === 1 ? "process" : "workers"}`;
    describe(name, { skip: workers > 1 && skipWorkers }, () => {
      it("has the counts, the limits in force, and the largest topics", {
        timeout: 60_000,
      }, async () => {
        await withWorkers(runtime, workers, async ({ adminUrl }, target) => {
          const clients = await Promise.all(
            Array.from({ length: 12 }, (_, i) => JanusClient.subscribed(target, `t${i % 4}`, "u")),
          );
          for (let i = 0; i < 3; i++) clients[0]!.send(publish(message("t1")));
          for (const one of [1, 5, 9]) for (let i = 0; i < 3; i++) await clients[one]!.frame();
          const status = await statusThat(
            adminUrl!,
            "all counts",
            // Each worker tells its counts at a time of its own: the one that took the messages may tell last.
            ({ counts, gauges }) =>
              counts?.deliveries === 9 && counts.messages_in === 3 && gauges?.connections === 12,
          );
          assertEquals(status.is_ready, true);
          assertEquals(status.limits["max_connections"], 400);
          assertEquals(status.limits["publish_rate"], null);
          assertEquals(status.counts?.messages_in, 3);
          assert(status.fanout.passes >= 1 && status.fanout.max_ms > 0);
          assertEquals(status.workers.length, workers);
          assert(status.workers.every(({ is_up }) => is_up));
          const connections = status.workers.reduce(
            (sum, { gauges }) => sum + gauges.connections,
            0,
          );
          assertEquals(connections, 12);
          const [first] = status.topics_by_subscribers;
          assertEquals([first!.topic, first!.subscribers], ["u", 12]);
          assertEquals(status.topics_by_deliveries, [
            { topic: "t1", subscribers: 3, deliveries: 9 },
          ]);
          for (const client of clients) await client.dispose();
        }, ["--admin", ":0", "--max-connections", "400"]);
      });
    });
  }

  describe(`${runtime}'s status`, () => {
    it("names slow subscribers, and those closed for not keeping up", {
      timeout: 60_000,
    }, async () => {
      await withWorkers(runtime, 1, async ({ adminUrl }, target) => {
        const slow = await JanusClient.open(target, { deaf: true });
        slow.send('{"action":"subscribe","data":"t"}\0');
        const { localPort } = slow;
        const publisher = await JanusClient.greeted(target);
        await statusThat(
          adminUrl!,
          "its subscription",
          ({ topics_by_subscribers }) => topics_by_subscribers.length === 1,
        );
        // More than the kernel takes.
        const text = "x".repeat(60_000);
        for (let i = 0; i < 250; i++) publisher.send(publish(message("t", text)));
        const status = await statusThat(
          adminUrl!,
          "a slow subscriber",
          ({ slow_subscribers }) => slow_subscribers.length === 1,
        );
        const [one] = status.slow_subscribers;
        assertEquals([one!.address, one!.port], ["127.0.0.1", localPort]);
        assertEquals([one!.topics, one!.worker], [["t"], "server"]);
        assert(one!.pending_bytes > 0 && one!.age_ms >= one!.stalled_ms);
        const later = await statusThat(
          adminUrl!,
          "its end",
          ({ slow_consumers_ended }) => slow_consumers_ended.length === 1,
        );
        const [end] = later.slow_consumers_ended;
        assertEquals([end!.remote_port, end!.topic], [localPort, "t"]);
        assert(Math.abs(end!.ended_ms - Date.now()) < 30_000);
        for (const client of [slow, publisher]) await client.dispose();
      }, [
        "--admin",
        ":0",
        "--write-deadline",
        "5s",
        "--max-pending-bytes",
        "64000000",
        "--soft-pending-bytes",
        "32000000",
      ]);
    });

    it("names publishers that wait, and the gate at which they do", {
      timeout: 60_000,
    }, async () => {
      await withWorkers(runtime, 1, async ({ adminUrl }, target) => {
        const publisher = await JanusClient.greeted(target);
        for (let i = 0; i < 300; i++) publisher.send(publish(message("t", i)));
        const { paused_publishers, paused_by_gate } = await statusThat(
          adminUrl!,
          "a paused publisher",
          ({ paused_publishers }) => paused_publishers.length === 1,
        );
        const [paused] = paused_publishers;
        assertEquals(paused, { ...paused, port: publisher.localPort, gate: "rate" });
        assertEquals(paused_by_gate, { rate: 1 });
        await publisher.dispose();
      }, ["--admin", ":0", "--publish-rate", "20"]);
    });
  });
}
