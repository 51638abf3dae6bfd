import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { type RunningServer, serve, type TopicHooks, type TopicRequest } from "../../../mod.ts";
import {
  authenticate,
  errorOf,
  JanusClient,
  message,
  publish,
} from "../../support/clients/janus_client.ts";
import { dialRawPeer } from "../../support/clients/raw_peer.ts";
import { quiet, until } from "../../support/until.ts";

const subscribe = (topic: string) => `{"action":"subscribe","data":"${topic}"}\0`;

const utf8 = new TextEncoder();

/** A decision that the test makes when it likes. */
class Decision {
  readonly asked: TopicRequest[] = [];
  #decide: ((isAllowed: boolean) => void)[] = [];

  ask = (request: TopicRequest): Promise<boolean> => {
    this.asked.push(request);
    return new Promise((resolve) => this.#decide.push(resolve));
  };

  make(isAllowed: boolean): void {
    for (const decide of this.#decide.splice(0)) decide(isAllowed);
  }
}

async function withServer(
  on: TopicHooks,
  use: (
    server: RunningServer,
    target: { hostname: string; port: number },
    failures: unknown[],
  ) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  const server = await serve({
    hostname: "127.0.0.1",
    port: 0,
    on,
    events: {
      onSessionEnd: () => {},
      onAcceptError: () => {},
      onHookFailure: (_, error) => failures.push(error),
    },
  });
  assert(server.address.transport === "tcp");
  try {
    await use(server, server.address, failures);
  } finally {
    await server.close({ drainMs: 0 });
  }
}

describe("a program's hooks", () => {
  it("say which client may publish and subscribe to which topic", async () => {
    const asked: TopicRequest[] = [];
    const on: TopicHooks = {
      subscribe: (request) => asked.push(request) > 0 && request.topic.startsWith("open"),
      publish: ({ topic, keys }) => topic === "open" || keys.includes("right"),
    };
    await withServer(on, async (server, target) => {
      const reader = await JanusClient.subscribed(target, "open", "open too");
      assertEquals(asked.map(({ topic, address }) => [topic, address]), [
        ["open", "127.0.0.1"],
        ["open too", "127.0.0.1"],
      ]);
      assert(asked[0]!.port > 0);
      const writer = await JanusClient.greeted(target);
      writer.send(publish(message("open", "by anybody")));
      assert((await reader.frame()).includes("by anybody"));
      writer.send(authenticate("right"));
      assertEquals(await writer.frame(), "ACK");
      writer.send(publish(message("open too", "with a key")));
      assert((await reader.frame()).includes("with a key"));
      const stranger = await JanusClient.greeted(target);
      stranger.send(publish(message("open too", "without")));
      assertEquals(errorOf((await stranger.closed()).frames.pop()).code, "forbidden");
      const curious = await JanusClient.greeted(target);
      curious.send(subscribe("closed"));
      assertEquals(errorOf((await curious.closed()).frames.pop()).code, "forbidden");
      assertEquals(server.counters.ended.forbidden, 2);
      // The program itself is asked nothing.
      assertEquals((await server.publish({ topic: "open too" })).matched, 1);
      for (const one of [reader, writer, stranger, curious]) await one.dispose();
    });
  });

  it("may take their time: their client waits, and is answered in its order", async () => {
    const [reading, writing] = [new Decision(), new Decision()];
    await withServer({ subscribe: reading.ask, publish: writing.ask }, async (server, target) => {
      const reader = await JanusClient.greeted(target);
      reader.send(subscribe("t") + subscribe("u"));
      await until("it is asked", () => reading.asked.length === 1);
      await quiet(100);
      // Nothing behind the request is read.
      assertEquals(reading.asked.map(({ topic }) => topic), ["t"]);
      reading.make(true);
      assertEquals(await reader.frame(), "ACK");
      await until("it is asked again", () => reading.asked.length === 2);
      reading.make(true);
      assertEquals(await reader.frame(), "ACK");

      const writer = await JanusClient.greeted(target);
      writer.send(publish(message("t", "first")) + publish(message("t", "second")));
      await until("the other is asked", () => writing.asked.length === 1);
      // Meanwhile the program publishes, which nobody is asked about.
      await server.publish({ topic: "t", data: "between" });
      assert((await reader.frame()).includes("between"));
      writing.make(true);
      assert((await reader.frame()).includes("first"));
      assert((await reader.frame()).includes("second"));
      // Once for a client and a topic.
      assertEquals(writing.asked.length, 1);
      for (const one of [reader, writer]) await one.dispose();
    });
  });

  it("decide also about what a client sent that has left in the meantime", async () => {
    const writing = new Decision();
    await withServer({ publish: writing.ask }, async (server, target) => {
      const reader = await JanusClient.subscribed(target, "t", "u");
      // As the publisher of 2009 does.
      const peer = await dialRawPeer({ transport: "tcp", ...target });
      peer.send(utf8.encode(`<regular-socket/>\0PUBLISH\0${message("t", "from one who left")}`));
      await until("it is asked", () => writing.asked.length === 1);
      peer.end();
      await quiet(200);
      writing.make(true);
      assert((await reader.frame()).includes("from one who left"));
      const refused = await dialRawPeer({ transport: "tcp", ...target });
      refused.send(utf8.encode(`PUBLISH\0${message("u", "never")}`));
      await until("it is asked", () => writing.asked.length === 2);
      refused.end();
      await quiet(100);
      writing.make(false);
      await server.publish({ topic: "u", data: "last" });
      assert((await reader.frame()).includes("last"));
      for (const one of [peer, refused]) one.reset();
      await reader.dispose();
    });
  });

  it("refuse by failing, which harms nobody else and is reported", async () => {
    const on: TopicHooks = {
      subscribe: ({ topic }) => {
        if (topic === "t") return true;
        throw new Error("thrown");
      },
      publish: ({ topic }) => topic === "t" || Promise.reject(new Error("rejected")),
    };
    await withServer(on, async (server, target, failures) => {
      const reader = await JanusClient.subscribed(target, "t");
      for (const frames of [subscribe("u"), publish(message("u", "no"))]) {
        const client = await JanusClient.greeted(target);
        client.send(frames);
        assertEquals(errorOf((await client.closed()).frames.pop()).code, "forbidden");
        await client.dispose();
      }
      assertEquals(failures.map((error) => (error as Error).message), ["thrown", "rejected"]);
      await server.publish({ topic: "t", data: "on" });
      assert((await reader.frame()).includes('"on"'));
      await reader.dispose();
    });
  });

  it("allow nothing by an answer that isn't true", async () => {
    const on = {
      subscribe: () => 1,
      publish: () => Promise.resolve("yes"),
    } as unknown as TopicHooks;
    await withServer(on, async (_, target) => {
      for (const frames of [subscribe("t"), publish(message("t", "no"))]) {
        const client = await JanusClient.greeted(target);
        client.send(frames);
        assertEquals(errorOf((await client.closed()).frames.pop()).code, "forbidden");
        await client.dispose();
      }
    });
  });

  it("refuse by not deciding within ten seconds", { timeout: 20_000 }, async () => {
    await withServer({ subscribe: () => new Promise(() => {}) }, async (_, target, failures) => {
      const client = await JanusClient.greeted(target);
      client.send(subscribe("t"));
      assertEquals(errorOf((await client.closed()).frames.pop()).code, "forbidden");
      assert(/no decision within 10 s/.test(String(failures[0])));
      await client.dispose();
    });
  });
});
