import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { readEvents, type StreamEvent } from "../../../commands/event_stream.ts";
import { authenticate, JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { startTask } from "../../support/processes/command_process.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { skipWorkers, withWorkers } from "../../support/processes/workers.ts";
import { until } from "../../support/until.ts";

interface Frame {
  readonly address: string;
  readonly port: number;
  readonly from: "client" | "server";
  readonly bytes: number;
  readonly text: string;
}

/** A trace under way. */
class Trace {
  readonly events: StreamEvent[] = [];
  hasEnded = false;
  readonly #leave = new AbortController();

  static async open(url: string, query: string): Promise<Trace> {
    const trace = new Trace();
    const response = await fetch(`${url}/trace?${query}`, { signal: trace.#leave.signal });
    assertEquals(response.status, 200, await (response.ok ? "" : response.text()));
    assertStringIncludes(response.headers.get("content-type")!, "text/event-stream");
    void trace.#read(response.body!).catch(() => {}).then(() => trace.hasEnded = true);
    return trace;
  }

  get frames(): Frame[] {
    return this.events.filter(({ name }) => name === "frame").map(({ data }) => JSON.parse(data));
  }

  get skipped(): number {
    return this.events.filter(({ name }) => name === "skipped")
      .reduce((sum, { data }) => sum + JSON.parse(data).frames, 0);
  }

  leave(): void {
    this.#leave.abort();
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    for await (const event of readEvents(body)) this.events.push(event);
  }
}

for (const runtime of TESTED_RUNTIMES) {
  for (const workers of [1, 2]) {
    const name = `${runtime}'s traces with ${workers} ${workers === 1 ? "process" : "workers"}`;
    describe(name, { skip: workers > 1 && skipWorkers }, () => {
      it("show what a topic's clients say and are sent, without keys, and no other's", {
        timeout: 60_000,
      }, async () => {
        await withWorkers(runtime, workers, async ({ adminUrl }, target) => {
          const reader = await JanusClient.subscribed(target, "traced");
          const stranger = await JanusClient.subscribed(target, "other");
          const publisher = await JanusClient.greeted(target);
          const trace = await Trace.open(adminUrl!, "topic=traced&seconds=30");
          const readerPort = reader.localPort;
          const publisherPort = publisher.localPort;
          // Each worker is told of the trace on its own.
          const wanted = [readerPort, publisherPort, stranger.localPort];
          for (let tries = 0;; tries++) {
            const ports = new Set(trace.frames.map(({ port }) => port));
            if (wanted.every((port) => ports.has(port))) break;
            assert(tries < 100, "the trace has begun everywhere");
            reader.send("PING\0");
            publisher.send(publish(message("traced", "warm-up")));
            stranger.send(publish(message("traced", "from elsewhere")));
            await sleep(100);
          }
          reader.send(authenticate("a secret that nobody sees"));
          publisher.send(publish(message("other", "unseen")));
          publisher.send(publish(message("traced", "seen")));
          publisher.send(publish(message("traced", "x".repeat(5_000))));
          await until("the last is sent", () => {
            return trace.frames.some(({ port, from, bytes }) =>
              port === readerPort && from === "server" && bytes > 5_000
            );
          });
          const { frames } = trace;
          const said = frames.filter(({ port, from }) => port === readerPort && from === "client");
          assert(said.some(({ text }) => text === '{"action":"authenticate","data":"…"}'));
          const got = frames.filter(({ port, from }) => port === readerPort && from === "server");
          assert(got.some(({ text }) => text === "ACK"));
          assert(got.some(({ text }) => /^\{"timestamp":\[.*"data":"seen"\}$/.test(text)));
          assert(got.every(({ text }) => text.length < 1_100));
          const published = frames.filter(({ port }) => port === publisherPort);
          assert(published.some(({ text }) => text.startsWith('PUBLISH {"topic":"traced"')));
          const all = JSON.stringify(frames);
          assert(!all.includes("secret") && !all.includes("unseen"));
          trace.leave();
          for (const client of [reader, stranger, publisher]) await client.dispose();
        }, ["--admin", ":0"]);
      });
    });
  }

  describe(`${runtime}'s traces`, () => {
    it("are bounded in rate, time and watchers, and hold nobody up", {
      timeout: 60_000,
    }, async () => {
      await withWorkers(runtime, 1, async ({ adminUrl }, target) => {
        const reader = await JanusClient.subscribed(target, "t");
        const publisher = await JanusClient.greeted(target);
        const traces = await Promise.all(
          [1, 2, 3, 4].map(() => Trace.open(adminUrl!, "address=127.0.0.1&seconds=2")),
        );
        const fifth = await fetch(`${adminUrl}/trace?topic=t`);
        assertEquals(fifth.status, 503);
        await fifth.body?.cancel();
        for (let i = 0; i < 3_000; i++) publisher.send(publish(message("t", i)));
        await until("all messages come", () => reader.frames.length === 3_000);
        await until("the traces end", () => traces.every(({ hasEnded }) => hasEnded));
        for (const trace of traces) {
          assertEquals(trace.events.at(-1)!.name, "end");
          const shown = trace.frames.length;
          assert(shown >= 100 && shown <= 1_000, `${shown} frames`);
          assertEquals(shown + trace.skipped, 6_000);
        }
        const next = await Trace.open(
          adminUrl!,
          `address=127.0.0.1:${reader.localPort}&seconds=30`,
        );
        publisher.send(publish(message("t", "alone")));
        await until("it is shown", () => next.frames.length === 1);
        assertStringIncludes(next.frames[0]!.text, "alone");
        next.leave();
        for (const client of [reader, publisher]) await client.dispose();
      }, ["--admin", ":0"]);
    });

    it("say what is missing in a request", async () => {
      await withWorkers(runtime, 1, async ({ adminUrl }) => {
        for (
          const query of ["", "seconds=5", "topic=t&seconds=0", "topic=t&seconds=301", "address=x"]
        ) {
          const response = await fetch(`${adminUrl}/trace?${query}`);
          assertEquals(response.status, 400, query);
          assertEquals((await response.text()).trimEnd().split("\n").length, 1);
        }
      }, ["--admin", ":0"]);
    });

    it("are printed by a command, a line a frame", { timeout: 60_000 }, async () => {
      await withWorkers(runtime, 1, async ({ adminUrl }, target) => {
        const trace = startTask(runtime, "trace", [adminUrl!, "--topic", "t", "--seconds", "4"]);
        await until("it watches", () => trace.stderr.includes("watching"), 30_000);
        const client = await JanusClient.subscribed(target, "t");
        client.send(publish(message("t", "\u202e")));
        const { status, stdout } = await trace.ended;
        assertEquals(status, 0);
        const from = `127.0.0.1:${client.localPort}`;
        assertStringIncludes(stdout, ` ${from} > {"action":"subscribe","data":"t"}\n`);
        assertStringIncludes(stdout, ` ${from} > PUBLISH {"topic":"t"`);
        assertStringIncludes(stdout, '"data":"\\u{202e}"}\n');
        assert(/ < \{"timestamp":/.test(stdout));
        await client.dispose();
      }, ["--admin", ":0"]);
    });
  });
}
