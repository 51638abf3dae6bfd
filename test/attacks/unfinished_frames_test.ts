import { assert, assertEquals, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { KIB, MIB, underAttack } from "../support/attacks/attack_bed.ts";
import { errorOf, type JanusClient, message, publish } from "../support/clients/janus_client.ts";
import { quiet, until } from "../support/until.ts";

const timeout = 60_000;

/** Each got its greeting and an error frame, and nothing else. */
async function assertEndedWith(clients: readonly JanusClient[], code: string): Promise<void> {
  for (const client of clients) {
    const { frames } = await client.closed();
    assertEquals(frames.filter((frame) => frame !== "PING").length, 2);
    assertEquals(errorOf(frames.at(-1)).code, code);
  }
}

describe("frames that are never finished", () => {
  it("end their senders when they fall silent in mid-frame", { timeout }, async () => {
    await underAttack(["--idle-timeout", "1s", "--ping-after", "1s"], async (bed) => {
      // No more than the log has lines for.
      const starters = await bed.open(9);
      for (const client of starters) client.send('{"action":"subscribe","da');
      // They completed a frame, so they get a PING first.
      const publishers = await bed.open(9);
      for (const client of publishers) client.send('\0PUBLISH\0{"topic":"t","data":"half');
      await bed.untilEnded("idle_timeout", 18);
      await assertEndedWith([...starters, ...publishers], "idle_timeout");
      await bed.untilLogged(
        /closed 127\.0\.0\.1:\d+: idle_timeout, 0 bytes waiting, no topic, \d+\.\d s old: No complete frame/,
      );
      await bed.untilLogged(/closed 127\.0\.0\.1:\d+: idle_timeout.*after a PING/);
    });
  });

  it("give way where their memory is needed", { timeout }, async () => {
    const budgetBytes = 16 * MIB;
    await underAttack(["--max-total-pending-bytes", String(budgetBytes)], async (bed) => {
      const hoarders = await bed.open(600);
      const half = `PUBLISH\0{"topic":"t","data":"${"x".repeat(60 * KIB)}`;
      for (const client of hoarders) client.send(half);
      const { counters } = await bed.untilState(
        "what they hold is freed",
        ({ counters, heldBytes }) =>
          counters.ended.frame_too_large > 300 && heldBytes < budgetBytes * 0.75,
      );
      assertEquals(counters.ended.slow_consumer, 0);
      await bed.untilLogged(/closed 127\.0\.0\.1:\d+: frame_too_large.*Memory is too short/);
    });
  });

  it("cost no publisher its frame that the server itself makes wait", { timeout }, async () => {
    const flags = [
      ...["--max-total-pending-bytes", String(MIB)],
      ...["--publish-bytes-rate", String(15 * KIB)],
    ];
    await underAttack(flags, async (bed) => {
      const [reader, publisher] = [await bed.greeted(), await bed.greeted()];
      await reader.subscribe("t");
      const whole = publish(message("t", "p".repeat(60 * KIB)));
      const firstBytes = 55 * KIB;
      publisher.send(whole.slice(0, firstBytes));
      await bed.untilState("it has to wait", ({ counters }) => counters.ratePauses > 0);
      publisher.send(whole.slice(firstBytes));
      const half = `PUBLISH\0{"topic":"u","data":"${"x".repeat(14 * KIB)}`;
      // Together they hold too much, though none for so long that it has to go.
      while (reader.frames.length === 0 && publisher.ended === null) {
        const others = await bed.open(14);
        for (const other of others) other.send(half);
        await quiet(400);
        for (const other of others) other.close();
      }
      assertEquals(publisher.ended, null);
    });
  });

  it("end who sends a byte now and then, and never a whole one", { timeout }, async () => {
    const flags = ["--idle-timeout", "2s", "--max-frame-bytes", "100"];
    await underAttack(flags, async (bed) => {
      const starters = await bed.open(50);
      const others = await bed.open(50);
      for (const client of others) client.send("PING\0");
      const dripping = setInterval(() => {
        for (const client of [...starters, ...others]) client.send("x");
      }, 30);
      try {
        await bed.untilEnded("idle_timeout", 50);
        await bed.untilEnded("frame_too_large", 50);
      } finally {
        clearInterval(dripping);
      }
      for (const client of starters) {
        const { code } = errorOf((await client.closed()).frames.at(-1));
        assert(code === "idle_timeout" || code === "frame_too_large", code);
      }
      await assertEndedWith(others, "frame_too_large");
    });
  });

  for (
    const [what, start, piece, code] of [
      ["a frame", "", "x", "frame_too_large"],
      ["a MESSAGE", 'PUBLISH\0{"topic":"t","data":"', "x", "frame_too_large"],
      ["the space in front of a MESSAGE", "PUBLISH\0", " ", "frame_too_large"],
      ["the space behind a MESSAGE", 'PUBLISH\0{"topic":"t"}', " ", "frame_too_large"],
      [
        "a MESSAGE in the new way",
        '{"action":"publish","data":{"topic":"t","data":"',
        "x",
        "frame_too_large",
      ],
    ] as const
  ) {
    it(`end who sends ${what} without an end, and aren't kept`, { timeout }, async () => {
      await underAttack([], async (bed) => {
        const chunk = piece.repeat(MIB);
        const senders = await bed.open(4);
        let sentBytes = 0;
        await Promise.all(senders.map(async (client) => {
          client.send(start);
          while (client.ended === null && sentBytes < 400 * MIB) {
            // A client that is closed may never hear that its bytes were taken.
            const sent = client.sent(chunk).then(() => sentBytes += chunk.length);
            await Promise.race([sent, until("it has ended", () => client.ended !== null, 60_000)]);
          }
        }));
        const { counters, peakHeldBytes } = await bed.untilEnded(code, senders.length);
        assertEquals(counters.ended[code], senders.length);
        assertLess(peakHeldBytes, 4 * MIB);
        await bed.assertPeakBelow(350 * MIB);
        await bed.untilLogged(new RegExp(`closed 127\\.0\\.0\\.1:\\d+: ${code}`));
      });
    });
  }
});
