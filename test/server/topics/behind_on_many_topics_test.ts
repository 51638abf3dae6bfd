import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import type { SessionEnd } from "../../../server/session/session_end.ts";
import { publish } from "../../support/clients/janus_client.ts";
import { dataOf, MemoryBed } from "../../support/memory/memory_bed.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const TOPICS = Array.from({ length: 128 }, (_, i) => `t${i}`);
const padding = "p".repeat(60_000);

describe("a client that is behind on many topics, and reads just enough", () => {
  it("holds no more than may wait for one, and makes no publisher of other topics wait", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: 128 * MIB }, {
      bufferBytes: 64 * KIB,
    });
    const client = bed.subscribed(TOPICS);
    client.stall();
    const publishers = TOPICS.map(() => bed.dial());
    const send = (messages: number) => {
      for (const [i, publisher] of publishers.entries()) {
        for (let n = 0; n < messages; n++) {
          // It sends more once the server has read what it sent.
          if (publisher.unreadBytes > 0) break;
          publisher.send(publish(`{"topic":"t${i}","data":0,"padding":"${padding}"}`));
          bed.net.settle();
        }
      }
    };
    let most = 0;
    for (let i = 0; i < 80; i++) {
      bed.pass(250, () => {
        client.take(32_000);
        bed.net.settle();
        send(2);
      });
      most = Math.max(most, bed.server.heldBytes);
    }
    const listener = bed.subscribed(["u"]);
    const another = bed.dial();
    bed.pass(5_000, () => {
      client.take(32_000);
      another.send(publish('{"topic":"u","data":1}'));
    });
    assertEquals(dataOf(listener).length, 20);
    // A message of each topic is in its outbox, and as much is of publishers that wait.
    assertLess(most, 18 * MIB);
  });

  for (const how of ["it ends its side", "the server stops"] as const) {
    it(`gets what is queued for it when ${how}`, async () => {
      const bed = await MemoryBed.start({}, { bufferBytes: 64 * KIB });
      const client = bed.subscribed(TOPICS.slice(0, 20));
      client.stall();
      const publisher = bed.dial();
      for (let n = 0; n < 13; n++) {
        bed.pass(250, () => client.take(48_000));
        for (let i = 0; i < 20 && publisher.unreadBytes === 0; i++) {
          publisher.send(publish(`{"topic":"t${i}","data":0,"padding":"${padding}"}`));
          bed.net.settle();
        }
      }
      assertEquals(bed.ended, []);
      assertGreater(bed.server.heldBytes, MIB);
      let accepted = bed.server.counters.messagesIn;
      let stopped: Promise<void> | undefined;
      if (how === "it ends its side") client.end();
      else stopped = bed.server.stop();
      bed.pass(250);
      client.flow();
      for (let i = 0; i < 20; i++) {
        bed.pass(250);
        await new Promise((done) => setTimeout(done, 5));
      }
      void stopped;
      // A server that stops reads what publishers have sent.
      if (how === "the server stops") accepted = bed.server.counters.messagesIn;
      const [{ reason }] = bed.ended.filter(({ topicCount }) => topicCount > 0) as [SessionEnd];
      assertEquals(reason, how === "it ends its side" ? "client_closed" : "server_shutdown");
      assertEquals(dataOf(client).filter((data) => data === 0).length, accepted);
    });
  }
});
