import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { withServer } from "../../support/clients/janus_bed.ts";
import {
  delivered,
  errorOf,
  message,
  publish,
  subscribe,
  unstamp,
  unsubscribe,
} from "../../support/clients/janus_client.ts";
import { until } from "../../support/until.ts";

describe("the limit of topics in all", () => {
  it("stops a flood of topics over many connections, and costs no other client anything", async () => {
    await withServer({ maxTopicsTotal: 50 }, async (bed) => {
      const receiver = await bed.subscribed("mine");
      const flooders = await Promise.all(Array.from({ length: 20 }, () => bed.greeted()));
      for (const [f, flooder] of flooders.entries()) {
        flooder.send(Array.from({ length: 10 }, (_, i) => subscribe(`${f}-${i}`)).join(""));
      }
      await bed.untilEnded("too_many_topics", 1);
      await until(
        "all have their answers",
        () => flooders.every((client) => client.frames.length === 10 || client.ended !== null),
      );
      assertEquals(bed.server.topicCount <= 50, true);
      for (const { reason, detail } of bed.ended) {
        assertEquals(reason, "too_many_topics");
        assertEquals(detail, "All 50 topics of the server are taken");
      }
      const publisher = await bed.greeted();
      publisher.send(publish(message("mine")));
      assertEquals(unstamp(await receiver.frame()).rest, delivered(message("mine")));
    });
  });

  it("lets every client subscribe to an existing topic, and has room when one has gone", async () => {
    await withServer({ maxTopicsTotal: 2 }, async (bed) => {
      const first = await bed.subscribed("a", "b");
      const second = await bed.subscribed("a", "b", "a");
      const third = await bed.greeted();
      third.send(subscribe("c"));
      const { frames } = await third.closed();
      assertEquals(errorOf(frames[0]).code, "too_many_topics");
      first.send(unsubscribe("b") + subscribe("a"));
      assertEquals(await first.frame(), "ACK");
      second.send(unsubscribe("b") + subscribe("c"));
      assertEquals(await second.frame(), "ACK");
      assertEquals(bed.server.topicCount, 2);
    });
  });
});
