import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { publish } from "../../support/clients/janus_client.ts";
import { dataOf, MemoryBed } from "../../support/memory/memory_bed.ts";
import { until } from "../../support/until.ts";
import { WebSocketClient } from "../../support/web_socket/web_socket_client.ts";
import { withWebSockets } from "../session/web_socket_bed.ts";

const KIB = 1024;

describe("small frames that alone hold more than half of the memory", () => {
  it("are given up although a large one is begun again and again", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: KIB * KIB });
    const client = bed.dial({ from: "10.0.0.2" });
    for (let i = 0; i < 400; i++) {
      bed.dial({ from: "10.0.0.1" }).send(`PUBLISH\0{"topic":"t","data":"${"x".repeat(3 * KIB)}`);
    }
    bed.net.settle();
    const begin = () => {
      const peer = bed.dial({ from: "10.0.0.5" });
      peer.send(`PUBLISH\0{"topic":"t","data":"${"x".repeat(5 * KIB)}`);
    };
    begin();
    bed.net.settle();
    client.send('{"action":"subscribe","data":"new"}\0' + publish('{"topic":"new","data":1}'));
    bed.pass(5_000, begin);
    assertEquals(dataOf(client), [1]);
    assertLess(bed.server.heldBytes, 0.6 * KIB * KIB);
  });

  it("cost no publisher its connection that the server itself makes wait", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: KIB * KIB, publishRate: 1 });
    const publisher = bed.dial();
    const message = publish('{"topic":"t","data":1}');
    // It waits for its rate, and has begun one more message.
    publisher.send(message.repeat(3) + message.slice(0, 20));
    bed.net.settle();
    assertEquals(publisher.unreadBytes, 0);
    bed.pass(250);
    for (let i = 0; i < 400; i++) {
      bed.dial().send(`PUBLISH\0{"topic":"t","data":"${"x".repeat(3 * KIB)}`);
    }
    bed.net.settle();
    bed.pass(1_500);
    assertGreater(bed.ended.length, 100);
    assertLess(bed.ended.length, 390);
    assertEquals([publisher.ended, publisher.text.includes("error")], [false, false]);
  });
});

describe("small frames of clients that have published before", () => {
  const half = `PUBLISH\0{"topic":"t","data":"${"x".repeat(3 * KIB)}`;
  /** So much that the client isn't read while memory is short, and the beginning of one more message. */
  const much = publish(`{"topic":"t","data":"${"x".repeat(5 * KIB)}"}`) + half;

  it("are theirs while the server itself doesn't read the rest", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: KIB * KIB });
    const publishers = Array.from({ length: 40 }, () => bed.dial());
    for (const publisher of publishers) publisher.send(much);
    bed.net.settle();
    bed.pass(1_500, () => {
      for (let i = 0; i < 100; i++) bed.dial().send(half);
      bed.net.settle();
    });
    for (const publisher of publishers) publisher.send('"}\0');
    bed.pass(4_000);
    assertEquals(publishers.filter(({ ended }) => ended).length, 0);
    assertEquals(bed.server.counters.messagesIn, 80);
  });

  it("are given up too if nothing comes while they are read", async () => {
    const bed = await MemoryBed.start({ maxTotalPendingBytes: KIB * KIB });
    for (let i = 0; i < 400; i++) bed.dial({ from: "10.0.0.1" }).send(much);
    bed.net.settle();
    const client = bed.dial({ from: "10.0.0.2" });
    client.send('{"action":"subscribe","data":"new"}\0' + publish('{"topic":"new","data":1}'));
    bed.pass(10_000);
    assertEquals(dataOf(client), [1]);
    assertEquals(client.ended, false);
  });
});

describe("handshakes of WebSocket that alone hold more than half of the memory", () => {
  it("are given up, so that others are read", { timeout: 60_000 }, async () => {
    await withWebSockets({ maxTotalPendingBytes: KIB * KIB }, async (_, bed, port) => {
      const client = await bed.greeted();
      const begun = Array.from({ length: 300 }, () => WebSocketClient.bare(port));
      try {
        const half = `GET / HTTP/1.1\r\nHost: localhost\r\nX-Filling: ${"x".repeat(3_800)}`;
        for (const one of begun) one.send(new TextEncoder().encode(half));
        await until("they hold much", () => bed.server.heldBytes > KIB * KIB / 2);
        await new Promise((done) => setTimeout(done, 1_000));
        client.send('{"action":"subscribe","data":"new"}\0');
        await until("it is read", () => bed.server.counters.subscriptions === 1, 10_000);
      } finally {
        for (const one of begun) one.dispose();
      }
    });
  });
});
