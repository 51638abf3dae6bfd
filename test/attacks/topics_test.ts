import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { underAttack } from "../support/attacks/attack_bed.ts";
import { errorOf, GREETING, subscribe } from "../support/clients/janus_client.ts";

const timeout = 60_000;

function subscribeAll(count: number, prefix: string): string {
  return Array.from({ length: count }, (_, i) => subscribe(`${prefix}${i}`)).join("");
}

describe("a flood of topics", () => {
  it("on one connection ends it at its limit", { timeout }, async () => {
    await underAttack([], async (bed) => {
      const flooder = await bed.greeted();
      flooder.send(subscribeAll(10_000, "t"));
      const { frames } = await flooder.closed();
      assertEquals(errorOf(frames.pop()).code, "too_many_topics");
      assertEquals(frames, Array(128).fill("ACK"));
      const { counters, topicCount } = await bed.untilEnded("too_many_topics", 1);
      assertEquals([counters.subscriptions, topicCount], [1, 1]);
      await bed.untilLogged(
        /closed 127\.0\.0\.1:\d+: too_many_topics, .* topic "t0" and 127 more, /,
      );
    });
  });

  it(
    "over many connections stops at the server's limit, and shuts nobody out",
    { timeout },
    async () => {
      await underAttack(["--max-topics-total", "500"], async (bed) => {
        const flooders = await bed.open(100);
        for (const [i, flooder] of flooders.entries()) flooder.send(subscribeAll(100, `${i}-`));
        const acknowledged = () =>
          flooders.flatMap(({ frames }) => frames).filter((frame) => frame === "ACK").length;
        const { topicCount } = await bed.untilState(
          "each is answered",
          ({ counters }) =>
            counters.ended.too_many_topics > 0 &&
            counters.ended.too_many_topics * 100 + counters.subscriptions >= 100 * 100,
        );
        assertEquals(topicCount <= 500, true, `${topicCount} topics`);
        for (const flooder of flooders) {
          const last = flooder.frames.at(-1);
          if (flooder.ended !== null) assertEquals(errorOf(last).code, "too_many_topics");
          else assertEquals(GREETING.test(flooder.frames[0] ?? ""), true);
        }
        assertEquals(acknowledged() > 0, true);
        // The bystanders' topic is there, and so is room for further subscribers to it.
        const reader = await bed.greeted();
        reader.send(subscribe("calm"));
        assertEquals(await reader.frame(), "ACK");
        await bed.untilLogged(/closed 127\.0\.0\.1:\d+: too_many_topics.*All 500 topics/);
      });
    },
  );
});
