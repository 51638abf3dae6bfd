import { assert, assertEquals, assertRejects } from "@std/assert";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import { type RunningServer, serve, type ServeOptions, type TopicRequest } from "../../../mod.ts";
import { errorOf, JanusClient, message, publish } from "../../support/clients/janus_client.ts";
import { quiet, until } from "../../support/until.ts";
import { skipWorkers } from "../../support/processes/workers.ts";

const timeout = 60_000;

const subscribe = (topic: string) => `{"action":"subscribe","data":"${topic}"}\0`;

/** The process ids of this program's workers. */
function ownWorkers(): number[] {
  const columns = ["-o", "pid=,comm=", "--ppid", String(process.pid)];
  const { stdout } = spawnSync("ps", columns, { encoding: "utf8" });
  return stdout.trim().split("\n").map((line) => line.trim().split(/\s+/))
    .filter(([pid, command]) => pid !== "" && command !== "ps").map(([pid]) => Number(pid));
}

async function withWorkers(
  options: ServeOptions,
  use: (server: RunningServer, target: { hostname: string; port: number }) => Promise<void>,
): Promise<void> {
  const server = await serve({ hostname: "127.0.0.1", port: 0, workers: 2, ...options });
  assert(server.address.transport === "tcp");
  try {
    await use(server, server.address);
  } finally {
    await server.close({ drainMs: 0 });
  }
}

describe("a program that embeds a server of several workers", { skip: skipWorkers }, () => {
  it("publishes to the clients of all, and counts them together", { timeout }, async () => {
    await withWorkers({}, async (server, target) => {
      assertEquals(ownWorkers().length, 2);
      const readers: JanusClient[] = [];
      for (let n = 0; n < 12; n++) readers.push(await JanusClient.subscribed(target, "t", "u"));
      const receipts = await Promise.all(
        ["one", "two", "three"].map((data) => server.publish({ topic: "t", data })),
      );
      assertEquals(receipts.map(({ matched }) => matched), [12, 12, 12]);
      for (const reader of readers) {
        const data = (await reader.next(3)).map((frame) =>
          (JSON.parse(frame) as { data: string }).data
        );
        assertEquals(data, ["one", "two", "three"]);
      }
      const topics = (await server.topics()).toSorted((a, b) => a.topic < b.topic ? -1 : 1);
      assertEquals(topics, [
        { topic: "t", subscribers: 12, deliveries: 36 },
        { topic: "u", subscribers: 12, deliveries: 0 },
      ]);
      await until("it is counted", () => server.counters.deliveries === 36);
      assertEquals([server.counters.connections, server.counters.messagesIn], [12, 3]);
      await assertRejects(() => server.publish({ topic: "" }), RangeError, "empty");
      for (const reader of readers) await reader.dispose();
    });
    await until("no worker is left", () => ownWorkers().length === 0);
  });

  it("decides for all workers who may do what, and may take its time", { timeout }, async () => {
    const asked: TopicRequest[] = [];
    const failures: unknown[] = [];
    await withWorkers({
      on: {
        subscribe: async (request) => {
          asked.push(request);
          await quiet(50);
          if (request.topic === "broken") throw new Error("thrown");
          return request.topic === "t";
        },
        publish: ({ topic }) => topic === "t",
      },
      events: {
        onSessionEnd: () => {},
        onAcceptError: () => {},
        onHookFailure: (_, error) => failures.push(error),
      },
    }, async (server, target) => {
      const readers: JanusClient[] = [];
      for (let n = 0; n < 6; n++) readers.push(await JanusClient.subscribed(target, "t"));
      assertEquals(
        asked.map(({ topic, address }) => `${topic} ${address}`),
        Array(6).fill("t 127.0.0.1"),
      );
      readers[0]!.send(publish(message("t", "allowed")));
      for (const reader of readers) assert((await reader.frame()).includes("allowed"));
      for (const frames of [subscribe("u"), subscribe("broken"), publish(message("u", "no"))]) {
        const client = await JanusClient.greeted(target);
        client.send(frames);
        assertEquals(errorOf((await client.closed()).frames.pop()).code, "forbidden");
        await client.dispose();
      }
      assertEquals(failures.map((error) => (error as Error).message), ["thrown"]);
      assertEquals((await server.publish({ topic: "t", data: "own" })).matched, 6);
      for (const reader of readers) await reader.dispose();
    });
  });

  it("goes on when a worker dies, and forgets nothing that it counted", { timeout }, async () => {
    await withWorkers({ limits: { maxConnections: 100 } }, async (server, target) => {
      const first = await JanusClient.subscribed(target, "t");
      for (let n = 0; n < 5; n++) await server.publish({ topic: "t", n });
      await until("it is counted", () => server.counters.messagesIn === 5);
      process.kill(ownWorkers()[0]!, "SIGKILL");
      await until("there are two again", () => ownWorkers().length === 2);
      let isAccepted = false;
      while (!isAccepted) {
        isAccepted = await server.publish({ topic: "t" }).then(() => true, () => false);
      }
      await until("it is counted", () => server.counters.messagesIn >= 6);
      await first.dispose();
    });
  });

  it("is told of its own mistakes before anything starts", { timeout }, async () => {
    const at = { hostname: "127.0.0.1", port: 0 };
    await assertRejects(() => serve({ ...at, workers: 0 }), RangeError, "workers");
    await assertRejects(() => serve({ ...at, workers: 65 }), RangeError, "workers");
    const access = { publishFrom: ["nowhere"] };
    await assertRejects(() => serve({ ...at, workers: 2, access }), RangeError);
    const server = await serve(at);
    assert(server.address.transport === "tcp");
    const { port } = server.address;
    await assertRejects(() => serve({ hostname: "127.0.0.1", port, workers: 2 }), Error, "in use");
    await server.close();
    assertEquals(ownWorkers().length, 0);
  });
});
