import { assertEquals, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { publish } from "../../support/clients/janus_client.ts";
import { dataOf, MemoryBed } from "../../support/memory/memory_bed.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const padding = "p".repeat(60_000);

/**
 * A client that is behind by about 2 MiB and has unsubscribed. A healthy subscriber stays in the topic.
 */
async function leaver() {
  const bed = await MemoryBed.start({ maxTotalPendingBytes: 64 * MIB }, { bufferBytes: 64 * KIB });
  const client = bed.subscribed(["t"]);
  const other = bed.subscribed(["t"], { bufferBytes: MIB, forgets: true });
  client.stall();
  const publisher = bed.dial();
  let count = 0;
  const send = (messages: number) => {
    for (let i = 0; i < messages; i++) {
      publisher.send(publish(`{"topic":"t","data":${count++},"padding":"${padding}"}`));
      bed.net.settle();
    }
  };
  send(30);
  client.send('{"action":"unsubscribe","data":"t"}\0');
  bed.net.settle();
  return { bed, client, other, publisher, send };
}

describe("a client that has left a topic while it was behind", () => {
  it("keeps nothing of what is published later", async () => {
    const { bed, client, send } = await leaver();
    const before = bed.server.heldBytes;
    assertLess(before, 2 * MIB);
    // It takes 60 kB a quarter of a second, which is fast enough.
    for (let i = 0; i < 8; i++) {
      client.take(60_000);
      send(60);
      bed.pass(250);
    }
    assertEquals(bed.ended, []);
    assertLess(bed.server.heldBytes, before);
  });

  it("makes no publisher of other topics wait", async () => {
    const { bed, client, publisher, send } = await leaver();
    for (let i = 0; i < 3; i++) {
      client.take(60_000);
      send(400);
      bed.pass(250);
    }
    const listener = bed.subscribed(["u"]);
    const another = bed.dial();
    another.send(publish('{"topic":"u","data":1}'));
    another.send(publish('{"topic":"u","data":2}'));
    another.send(publish('{"topic":"u","data":3}'));
    bed.pass(3_000, () => {
      client.take(60_000);
      another.send(publish('{"topic":"u","data":4}'));
    });
    assertEquals(publisher.unreadBytes, 0);
    assertEquals(bed.ended, []);
    assertEquals(dataOf(listener).length, 15);
  });

  it("isn't ended for what is published later when it pauses for a second", async () => {
    const { bed, client, send } = await leaver();
    send(200);
    bed.pass(1_500);
    assertEquals(bed.ended.map(({ detail }) => detail), []);
    client.flow();
    bed.net.settle();
    assertEquals(dataOf(client).length, 30);
  });
});
