import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import type { RuntimeName } from "../../../cli/program.ts";
import { FragileClient } from "../../support/attacks/fragile_client.ts";
import {
  authenticate,
  errorOf,
  JanusClient,
  message,
  publish,
  publishForReceipt,
  subscribe,
} from "../../support/clients/janus_client.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";
import { TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { quiet, until } from "../../support/until.ts";

const timeout = 60_000;
const MARKER = "<regular-socket/>\0";
const KIB = 1024;

/** Deadlines so short that the test needs no long waits. */
const IMPATIENT = ["--ping-after", "600ms", "--idle-timeout", "600ms"];

/** Longer than an impatient server bears a client of today: that is told and closed meanwhile. */
const LONG_MS = 3_000;

/** Frames that no client of 2009 sends. */
const DEEDS = [
  "PONG\0",
  authenticate("key"),
  publishForReceipt(message("elsewhere")),
  publish(message("elsewhere")),
];

interface Bed {
  readonly server: ServerCommand;
  /** A subscriber of 2009, which is subscribed. */
  fragile(topic: string): Promise<FragileClient>;
  /** A client of any kind, which has its greeting. */
  greeted(): Promise<JanusClient>;
  /** Publishes as the publishers of 2009 did. */
  publish(topic: string, data?: unknown): Promise<void>;
}

async function withServer(
  runtime: RuntimeName,
  flags: readonly string[],
  test: (bed: Bed) => Promise<void>,
): Promise<void> {
  const server = await ServerCommand.listening(runtime, flags);
  const fragile: FragileClient[] = [];
  const clients: JanusClient[] = [];
  const greeted = async () => {
    const client = await JanusClient.greeted(server);
    clients.push(client);
    return client;
  };
  try {
    await test({
      server,
      greeted,
      async fragile(topic) {
        const client = new FragileClient(server, topic);
        fragile.push(client);
        await until("it is subscribed", () => client.subscriptions === 1);
        return client;
      },
      async publish(topic, data) {
        const publisher = await greeted();
        await publisher.sent(`${MARKER}PUBLISH\0${message(topic, data)}`);
        publisher.close();
      },
    });
  } finally {
    for (const client of fragile) client.dispose();
    for (const client of clients) await client.dispose();
    await server.dispose();
  }
}

/** It was closed without a word behind the frames given. */
async function assertClosedSilently(client: JanusClient, ...frames: string[]): Promise<void> {
  assertEquals(await client.closed(), { how: "fin", frames });
  assertEquals(client.partialFrame.length, 0);
}

async function assertTold(client: JanusClient, code: string): Promise<void> {
  const { how, frames } = await client.closed();
  assertEquals([how, errorOf(frames.at(-1)).code], ["fin", code]);
}

/** The fragile client is as it was. */
function assertUndisturbed(client: FragileClient): void {
  const { crash, connections, closes, resets } = client;
  assertEquals({ crash, connections, closes, resets }, {
    crash: undefined,
    connections: 1,
    closes: 0,
    resets: 0,
  });
}

for (const runtime of TESTED_RUNTIMES) {
  describe(`the server's command on ${runtime}, to clients of 2009`, () => {
    it("says nothing while they wait for their first message", { timeout }, async () => {
      await withServer(runtime, IMPATIENT, async (bed) => {
        const waiting = await bed.fragile("t");
        const today = await bed.greeted();
        today.send(subscribe("t"));
        await quiet(LONG_MS);
        const { frames } = await today.closed();
        assertEquals(frames.slice(0, 2), ["ACK", "PING"]);
        assertEquals(errorOf(frames[2]).code, "idle_timeout");
        assertUndisturbed(waiting);
        await bed.publish("t");
        await until("the message comes", () => waiting.messages.length === 1);
        assertUndisturbed(waiting);
      });
    });

    it("says PING once, some time after a message, and never closes", { timeout }, async () => {
      await withServer(runtime, IMPATIENT, async (bed) => {
        const client = await bed.greeted();
        client.send(MARKER + subscribe("t"));
        assertEquals(await client.frame(), "ACK");
        const fragile = await bed.fragile("t");
        await bed.publish("t");
        await until("PING comes", () => client.frames.includes("PING"));
        await quiet(LONG_MS);
        assertEquals([client.frames.length, client.frames[1]], [2, "PING"]);
        assertEquals(client.ended, null);
        // As in 2009: a bug of theirs.
        assertEquals(fragile.crash, "PING");
      });
    });

    it("closes those that are subscribed to nothing, without a word", { timeout }, async () => {
      await withServer(runtime, IMPATIENT, async (bed) => {
        for (const said of [MARKER, `${MARKER}PING\0`, MARKER.slice(0, 1), MARKER.slice(0, -1)]) {
          const client = await bed.greeted();
          client.send(said);
          await assertClosedSilently(client);
        }
      });
    });

    it("closes a subscriber of 2009 for silence where it is told to", { timeout }, async () => {
      await withServer(runtime, ["--legacy-idle-timeout", "1s"], async (bed) => {
        const silent = await bed.fragile("t");
        const lively = await bed.greeted();
        lively.send(MARKER + subscribe("t"));
        const speaking = setInterval(() => lively.send(`${MARKER}PING\0`), 100);
        try {
          await until("it is closed, and comes back", () => silent.subscriptions > 1);
          assertEquals([silent.crash, silent.resets], [undefined, 0]);
          assertEquals([lively.frames, lively.ended], [["ACK"], null]);
        } finally {
          clearInterval(speaking);
        }
      });
    });

    it("closes them without a word when it stops", { timeout }, async () => {
      await withServer(runtime, ["--drain-seconds", "0"], async (bed) => {
        const fragile = await bed.fragile("t");
        const clients: JanusClient[] = [];
        const begun = Array.from({ length: MARKER.length }, (_, i) => MARKER.slice(0, i + 1));
        for (const said of [...begun, `${MARKER}{"act`, `${MARKER}PUBLISH\0{"topic":`]) {
          const client = await bed.greeted();
          await client.sent(said);
          clients.push(client);
        }
        const today = await bed.greeted();
        today.send(subscribe("t"));
        const silent = await bed.greeted();
        await today.frame();
        await bed.publish("t");
        bed.server.signal("SIGTERM");
        for (const client of clients) await assertClosedSilently(client);
        await assertTold(today, "server_shutdown");
        await assertTold(silent, "server_shutdown");
        await until("it is closed", () => fragile.closes > 0);
        assertEquals([fragile.crash, fragile.messages.length], [undefined, 1]);
        assertEquals((await bed.server.exited()).status, 0);
      });
    });

    it("closes slow readers without a word, on a frame boundary", { timeout }, async () => {
      const flags = ["--max-pending-bytes", String(256 * KIB), "--max-frame-bytes", "65536"];
      await withServer(runtime, flags, async (bed) => {
        const slow = await bed.fragile("t");
        slow.pause();
        const today = await bed.greeted();
        today.send(subscribe("t"));
        await today.frame();
        today.pause();
        const publisher = await bed.greeted();
        const padding = "p".repeat(32 * KIB);
        for (let i = 0; i < 512; i++) {
          await publisher.sent(publish(message("t", `${i} ${padding}`)));
        }
        await until(
          "both have ended",
          () => bed.server.stderr.match(/: slow_consumer, /g)?.length === 2,
          30_000,
        );
        slow.resume();
        today.resume();
        await assertTold(today, "slow_consumer");
        await until("it comes back", () => slow.subscriptions === 2);
        assertEquals([slow.crash, slow.closes, slow.resets], [undefined, 1, 0]);
        assertGreater(slow.messages.length, 0);
        assertLess(slow.messages.length, 512);
        slow.messages.forEach((frame, i) => assert(frame.includes(`"data":"${i} `)));
      });
    });

    it("closes them without a word for what they do wrong, however it's cut", {
      timeout,
    }, async () => {
      const flags = ["--max-topics", "1", "--publish-from", "192.0.2.1"];
      await withServer(runtime, flags, async (bed) => {
        const wrongs = [
          "nonsense\0",
          '{"action":"subscribe","data":""}\0',
          "x".repeat(70_000),
          "PUBLISH\0[",
          `PUBLISH\0${message("t")}`,
        ];
        for (const wrong of wrongs) {
          const client = await bed.greeted();
          client.send(MARKER + wrong);
          await assertClosedSilently(client);
        }
        const greedy = await bed.greeted();
        greedy.send(MARKER + subscribe("t") + MARKER + subscribe("u"));
        await assertClosedSilently(greedy, "ACK");
        for (let cut = 1; cut <= MARKER.length; cut++) {
          const client = await bed.greeted();
          await client.sent(MARKER.slice(0, cut));
          // Apart from what follows, in the usual case.
          await quiet(5);
          client.send(`${MARKER.slice(cut)}nonsense\0`);
          await assertClosedSilently(client);
        }
      });
    });

    it("asks and closes them as clients of today once they do something new", {
      timeout,
    }, async () => {
      await withServer(runtime, IMPATIENT, async (bed) => {
        const clients = await Promise.all(DEEDS.map(() => bed.greeted()));
        for (const [i, client] of clients.entries()) {
          client.send(MARKER + subscribe("t") + MARKER + DEEDS[i]);
        }
        for (const client of clients) {
          const { frames } = await client.closed();
          assertEquals(frames.at(-2), "PING");
          assertEquals(errorOf(frames.at(-1)).code, "idle_timeout");
        }
      });
    });

    it("tells them what it tells clients of today once they do something new", {
      timeout,
    }, async () => {
      await withServer(runtime, ["--drain-seconds", "0"], async (bed) => {
        const staying: JanusClient[] = [];
        for (const deed of DEEDS) {
          const wrong = await bed.greeted();
          wrong.send(`${MARKER}${deed}${MARKER}nonsense\0`);
          await assertTold(wrong, "bad_frame");
          const client = await bed.greeted();
          client.send(MARKER + deed + MARKER + subscribe("t"));
          await until("its ACK comes", () => client.frames.at(-1) === "ACK");
          staying.push(client);
        }
        await bed.publish("t");
        bed.server.signal("SIGTERM");
        for (const client of staying) await assertTold(client, "server_shutdown");
      });
    });

    it("tells those that don't begin with the marker, wherever it comes", { timeout }, async () => {
      await withServer(runtime, [], async (bed) => {
        for (const first of ["\0", "PING\0", "<regular-socket>\0"]) {
          const client = await bed.greeted();
          client.send(`${first}${MARKER}nonsense\0`);
          await assertTold(client, "bad_frame");
        }
        const fragile = await bed.fragile("t");
        assertUndisturbed(fragile);
      });
    });
  });
}
