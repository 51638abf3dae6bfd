import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { KIB, MIB, underAttack } from "../support/attacks/attack_bed.ts";
import {
  errorOf,
  message,
  publish,
  subscribe,
  unsubscribe,
} from "../support/clients/janus_client.ts";
import { until } from "../support/until.ts";

const timeout = 60_000;

interface Data {
  readonly data?: unknown;
}

describe("a flood of messages", () => {
  it("is read no faster than its rate, and delays no other client", { timeout }, async () => {
    await underAttack(["--publish-rate", "1000"], async (bed) => {
      const reader = await bed.greeted();
      await reader.subscribe("t");
      const flooder = await bed.greeted();
      const count = 4_000;
      const all = Array.from({ length: count }, (_, i) => publish(message("t", i))).join("");
      flooder.send(all);
      await bed.untilState("it is slowed", ({ counters }) => counters.ratePauses > 0);
      const other = await bed.greeted();
      other.send(publish(message("t", "in between")));
      const data: unknown[] = [];
      await until("all have come", () => {
        data.push(...reader.frames.splice(0).map((frame) => (JSON.parse(frame) as Data).data));
        return data.includes(count - 1) && data.includes("in between");
      }, 30_000);
      const numbers = data.filter((value) => value !== undefined);
      assertLess(numbers.indexOf("in between"), count / 2);
      assertEquals(numbers.filter((value) => value !== "in between"), [...Array(count).keys()]);
      await bed.untilLogged(/slowed 127\.0\.0\.1:\d+: .*1000 messages a second/);
    }, { topic: "t" });
  });

  it("of large messages is read no faster than its rate, and delays no other client", {
    timeout,
  }, async () => {
    await underAttack(["--publish-bytes-rate", String(MIB)], async (bed) => {
      const [flooder] = await bed.open(1);
      const large = publish(message("nobody", "x".repeat(60_000)));
      const beganMs = performance.now();
      await flooder!.sent(large.repeat(70));
      await bed.untilState("it is slowed", ({ counters }) => counters.ratePauses > 0);
      await bed.untilState("all is read", ({ counters }) => counters.bytesIn >= 4 * MIB);
      // A second's worth comes at once, the other three MiB at a MiB a second.
      assertGreater(performance.now() - beganMs, 2_000);
    });
  });

  it(
    "which is faster than its fan-out waits in its publisher, not in memory",
    { timeout },
    async () => {
      await underAttack([], async (bed) => {
        const readers = await bed.open(200, { counts: true });
        for (const reader of readers) reader.send(subscribe("t"));
        await bed.untilState("they are there", ({ counters }) => counters.subscriptions === 201);
        const flooders = await bed.open(4);
        const padding = "p".repeat(16 * KIB);
        const each = 160;
        const all = publish(message("t", padding)).repeat(each);
        await Promise.all(flooders.map((flooder) => flooder.sent(all)));
        const { peakHeldBytes } = await bed.untilState(
          "all is accepted",
          ({ counters }) => counters.messagesIn >= 4 * each,
        );
        // They wait at a gate or for their turn. What is joined for each reader is included.
        assertLess(peakHeldBytes, 24 * MIB);
        for (const reader of readers) assertEquals(reader.ended, null);
      });
    },
  );
});

describe("a flood of requests", () => {
  it("is answered in turns, and delays no other client", { timeout }, async () => {
    await underAttack([], async (bed) => {
      const askers = await bed.open(10, { counts: true });
      const each = 10_000;
      const asked = (subscribe("t") + unsubscribe("t")).repeat(each);
      const answered = () => askers.reduce((sum, { frameCount }) => sum + frameCount, 0);
      for (const asker of askers) asker.send(asked);
      await bed.confirm();
      assertLess(answered(), 10 * each);
      await until("all are answered", () => answered() >= 10 * each, 30_000);
      for (const asker of askers) assertEquals(asker.ended, null);
    }, { topic: "t" });
  });
});

describe("a flood of frames that ask for nothing", () => {
  for (
    const [what, opening, idle] of [
      ["PING", "", "PING\0"],
      ["nothing at all", "", "\0"],
      ["markers before a MESSAGE", "PUBLISH\0", "<regular-socket/>\0"],
    ] as const
  ) {
    it(
      `of ${what} is read in turns, and holds nobody else up`,
      { timeout },
      async () => {
        await underAttack([], async (bed) => {
          const flooders = await bed.open(10, { counts: true });
          const flood = opening + idle.repeat(60_000);
          const bytes = flooders.length * flood.length;
          for (const flooder of flooders) flooder.send(flood);
          await bed.confirm();
          await bed.untilState("all is read", ({ counters }) => counters.bytesIn >= bytes);
          for (const flooder of flooders) assertEquals(flooder.ended, null);
        }, { topic: "t" });
      },
    );
  }
});

describe("JSON", () => {
  const limits = ["--max-frame-bytes", String(8 * MIB), "--max-pending-bytes", String(64 * MIB)];

  it("as deep as the frame limit lets it be breaks nothing", { timeout }, async () => {
    await underAttack(limits, async (bed) => {
      const reader = await bed.greeted({ counts: false });
      await reader.subscribe("deep");
      const publisher = await bed.greeted();
      const depth = 3_000_000;
      for (
        const [open, close] of [["[", "]"], ['{"a":', "}"], ['{"a":[', "]}"]] as const
      ) {
        const levels = Math.floor(depth / open.length);
        const deep = `{"topic":"deep","data":${open.repeat(levels)}1${close.repeat(levels)}}`;
        publisher.send(publish(deep));
        assertEquals((await reader.frame()).slice(-deep.length + 1), deep.slice(1));
        publisher.send(
          `{"action":"subscribe","data":"x","more":${open.repeat(levels)}1${
            close.repeat(levels)
          }}\0`,
        );
        assertEquals(await publisher.frame(), "ACK");
        // Not closed: as many levels are open when it turns out that it's no JSON.
        const wrong = await bed.greeted();
        wrong.send(`{"action":"subscribe","data":${open.repeat(levels)}\0`);
        assertEquals(errorOf((await wrong.closed()).frames[0]).code, "bad_frame");
        const half = await bed.greeted();
        half.send(`PUBLISH\0{"topic":"deep","data":${open.repeat(levels)}`);
        half.reset();
      }
      await bed.untilEnded("connection_lost", 3);
      await bed.untilLogged(/closed 127\.0\.0\.1:\d+: bad_frame/);
    });
  });

  it(
    "that is huge ends its sender at the limit, in a frame or in a MESSAGE",
    { timeout },
    async () => {
      await underAttack([], async (bed) => {
        const huge = "x".repeat(32 * MIB);
        for (
          const bytes of [
            `{"action":"subscribe","data":"${huge}"}\0`,
            `PUBLISH\0{"topic":"t","data":"${huge}"}\0`,
            `PUBLISH\0{"topic":"${huge}"}\0`,
            `PUBLISH\0{"topic":"t","data":${"1".repeat(32 * MIB)}}\0`,
            `PUBLISH\0{"topic":"t",${'"a":1,'.repeat(4 * MIB)}"b":2}\0`,
          ]
        ) {
          const client = await bed.greeted();
          client.send(bytes);
          assertEquals(errorOf((await client.closed()).frames[0]).code, "frame_too_large");
        }
        const { peakHeldBytes } = await bed.untilEnded("frame_too_large", 5);
        assertLess(peakHeldBytes, MIB);
        await bed.assertPeakBelow(300 * MIB);
        await bed.untilLogged(/closed 127\.0\.0\.1:\d+: frame_too_large/);
      });
    },
  );
});

describe("any byte", () => {
  it(
    "as a frame, in front of one, within one or behind one ends its sender at most",
    { timeout },
    async () => {
      await underAttack([], async (bed) => {
        const around: readonly [string, string][] = [
          ["", "\0"],
          ["", '{"action":"subscribe","data":"t"}\0'],
          ['{"action":"subscribe","data":"', '"}\0'],
          ['{"action":"subscribe","data":"t"}', "\0"],
          ["PUBLISH\0", '{"topic":"t"}\0'],
          ['PUBLISH\0{"topic":"t"', "}\0"],
          ['PUBLISH\0{"topic":"t"}', "\0"],
        ];
        let ended = 0;
        for (const [before, after] of around) {
          const clients = await bed.open(256);
          for (const [byte, client] of clients.entries()) {
            client.send(before);
            client.send(new Uint8Array([byte]));
            client.send(after);
            client.end();
          }
          for (const client of clients) {
            const { how, frames } = await client.closed();
            assertEquals(how, "fin");
            for (const frame of frames.slice(1)) {
              if (frame === "ACK") continue;
              assertEquals(["bad_frame", "bad_message"].includes(errorOf(frame).code), true, frame);
              ended++;
            }
          }
        }
        const { bad_frame, bad_message } = (await bed.state()).counters.ended;
        assertEquals(bad_frame + bad_message, ended);
        assertGreater(ended, 1_500);
      });
    },
  );
});
