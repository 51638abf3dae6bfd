import { assert, assertEquals, assertMatch } from "@std/assert";
import * as fc from "fast-check";
import { describe, it } from "node:test";
import { type JanusBed, withServer } from "../../support/clients/janus_bed.ts";
import {
  bytesOf,
  delivered,
  GREETING,
  type JanusClient,
  message,
  publish,
  subscribe,
  unstamp,
} from "../../support/clients/janus_client.ts";
import { until } from "../../support/until.ts";

/** Pieces of the protocol, right and wrong, that a stream may be made of. */
const PIECES = [
  "\0",
  "\x01",
  "PUBLISH\0",
  "PUBLISH",
  "PING\0",
  "PONG",
  "<regular-socket/>\0",
  '{"action":"subscribe","data":"hostile"}\0',
  '{"action":"unsubscribe","data":"hostile"}\0',
  '{"topic":"hostile","data":1}',
  '{"topic":"hostile","data":{"a":[1,2,{"b":null}]}}\0',
  '{"topic":',
  '"hostile"',
  "}",
  "{",
  "[[[[[[[[",
  "\\u00",
  '"',
  " \t\r\n",
  ",",
  "-1e309",
  "é🚀",
];

const stream = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...PIECES).map((piece) => bytesOf(piece)) },
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 40 }) },
    { weight: 1, arbitrary: fc.nat(300).map((n) => bytesOf("x".repeat(n))) },
  ),
  { maxLength: 30, size: "max" },
);

const peer = fc.record({
  stream,
  /** Bytes to a segment. */
  cut: fc.integer({ min: 1, max: 200 }),
  leave: fc.constantFrom("end", "reset", "close", "stay" as const),
  deaf: fc.boolean(),
});

/** A publisher and a subscriber that behave, and that nobody may disturb. */
class Neighbours {
  readonly #subscriber: JanusClient;
  readonly #publisher: JanusClient;
  #sent = 0;

  private constructor(subscriber: JanusClient, publisher: JanusClient) {
    this.#subscriber = subscriber;
    this.#publisher = publisher;
  }

  static async arrive(bed: JanusBed): Promise<Neighbours> {
    return new Neighbours(await bed.subscribed("calm"), await bed.greeted());
  }

  async talk(): Promise<void> {
    const said = message("calm", this.#sent++);
    this.#publisher.send(publish(said));
    assertEquals(unstamp(await this.#subscriber.frame()).rest, delivered(said));
  }
}

describe("hostile peers", () => {
  it(
    "get nothing but whole frames of the protocol, and disturb nobody",
    { timeout: 60_000 },
    async () => {
      const limits = { maxFrameBytes: 200, maxTopics: 3, maxConnections: 300 };
      await withServer(limits, async (bed) => {
        const neighbours = await Neighbours.arrive(bed);
        await fc.assert(
          fc.asyncProperty(fc.array(peer, { minLength: 10, maxLength: 40 }), async (peers) => {
            const clients = await Promise.all(peers.map(async ({ stream, cut, leave, deaf }) => {
              const client = await bed.open({ deaf });
              const bytes = bytesOf(...stream);
              for (let at = 0; at < bytes.length && client.ended === null; at += cut) {
                client.send(bytes.subarray(at, at + cut));
              }
              if (leave !== "stay") client[leave]();
              return client;
            }));
            for (let i = 0; i < 5; i++) await neighbours.talk();
            for (const client of clients) {
              for (const frame of client.frames) {
                if (frame === "ACK" || GREETING.test(frame)) continue;
                assertMatch(
                  frame,
                  /^\{"timestamp":\[\d+,\d+,\d+\],("topic":"hostile"|"error":\{"code")/,
                );
                JSON.parse(frame);
              }
              await client.dispose();
            }
            await until("they have gone", () => bed.server.counters.connections === 2);
            assertEquals(bed.server.topicCount, 1);
            assertEquals(bed.server.heldBytes, 0);
          }),
          { numRuns: 40 },
        );
      });
    },
  );

  it(
    "that connect and reset by the thousand leave nothing behind",
    { timeout: 60_000 },
    async () => {
      await withServer({}, async (bed) => {
        const neighbours = await Neighbours.arrive(bed);
        for (let round = 0; round < 10; round++) {
          const crowd = Array.from({ length: 150 }, () => bed.begin());
          for (const [i, client] of crowd.entries()) {
            if (i % 3 === 0) client.reset();
            else if (i % 3 === 1) {
              client.send(subscribe("crowd"));
              await client.connected();
              client.reset();
            } else {
              client.send(subscribe("crowd") + `PUBLISH\0${message("crowd")}`);
              client.close();
            }
          }
          await neighbours.talk();
          await Promise.all(crowd.map((client) => client.dispose()));
        }
        const { server } = bed;
        // Some may still wait to be accepted.
        await until("they have gone", () => {
          const { connections, subscriptions } = server.counters;
          return connections === 2 && subscriptions === 1 && server.heldBytes === 0;
        });
        await neighbours.talk();
        await until("nothing is held", () => server.heldBytes === 0);
        assertEquals(server.topicCount, 1);
      });
    },
  );

  it("may nest a MESSAGE as deep as its limit lets them, and break off anywhere", async () => {
    await withServer({}, async (bed) => {
      const receiver = await bed.subscribed("deep");
      const publisher = await bed.greeted();
      const depth = 32_000;
      const deep = `{"topic":"deep","data":${"[".repeat(depth)}${"]".repeat(depth)}}`;
      publisher.send(publish(deep));
      assertEquals(unstamp(await receiver.frame()).rest, delivered(deep));
      const objects = `{"topic":"deep","data":${'{"a":'.repeat(9_000)}1${"}".repeat(9_000)}}`;
      publisher.send(publish(objects));
      assertEquals(unstamp(await receiver.frame()).rest, delivered(objects));
      publisher.send(`PUBLISH\0{"topic":"deep","data":${'{"a":['.repeat(9_000)}`);
      publisher.reset();
      await bed.untilEnded("connection_lost");
      assert(receiver.ended === null);
    });
  });
});
