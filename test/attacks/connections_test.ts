import { assertEquals, assertGreater, assertLess } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { MAX_REFUSALS } from "../../server/limits/clients.ts";
import { type AttackBed, MIB, underAttack } from "../support/attacks/attack_bed.ts";
import {
  errorOf,
  GREETING,
  type JanusClient,
  message,
  subscribe,
} from "../support/clients/janus_client.ts";
import { until } from "../support/until.ts";

const timeout = 60_000;

/** Elsewhere only 127.0.0.1 is the machine's own. */
const skip = process.platform === "linux" ? false : "there is one loopback address only";

const OTHER = { from: "127.0.0.2" };

/** Connects a crowd at once, and waits until each has an answer or none. */
async function rush(bed: AttackBed, count: number): Promise<JanusClient[]> {
  const crowd = Array.from({ length: count }, () => bed.begin());
  await until(
    "each has an answer or none",
    () => crowd.every((client) => client.frames.length > 0 || client.ended !== null),
    30_000,
  );
  return crowd;
}

function greetedOf(crowd: readonly JanusClient[]): JanusClient[] {
  return crowd.filter(({ frames }) => GREETING.test(frames[0] ?? ""));
}

describe("connections", () => {
  it("that never speak are ended", { timeout }, async () => {
    await underAttack(["--idle-timeout", "2s"], async (bed) => {
      const silent = await bed.open(1_000);
      const { counters } = await bed.untilEnded("idle_timeout", 1_000);
      assertEquals(counters.ended.idle_timeout, 1_000);
      for (const client of silent) {
        const { frames } = await client.closed();
        assertEquals(errorOf(frames.pop()).code, "idle_timeout");
      }
      await bed.untilState("they have gone", ({ counters }) => counters.connections === 2);
      await bed.untilLogged(/closed 127\.0\.0\.1:\d+: idle_timeout/);
    });
  });

  it("that neither speak nor read nor close are given up", { timeout }, async () => {
    await underAttack(["--idle-timeout", "1s"], async (bed) => {
      await bed.open(200, { deaf: true, lingers: true });
      await bed.untilEnded("idle_timeout", 200);
      await bed.untilState("they have gone", ({ counters }) => counters.connections === 2);
    });
  });

  it("that are made and reset by the thousand leave nothing behind", { timeout }, async () => {
    await underAttack([], async (bed) => {
      const said = `${subscribe("t")}${subscribe("u")}PUBLISH\0${message("t")}`;
      for (let round = 0; round < 40; round++) {
        const crowd = await bed.open(100);
        for (const [i, client] of crowd.entries()) {
          if (i % 2 === 0) client.send(said);
          if (i % 4 < 2) client.reset();
          else client.close();
        }
        await bed.disband();
      }
      const { counters, topicCount } = await bed.untilState(
        "they have gone",
        // Where the reset came first, accepting may be what fails.
        ({ counters }) =>
          counters.connections === 2 && counters.accepted + counters.acceptErrors >= 4_002,
      );
      assertEquals([topicCount, counters.subscriptions], [1, 1]);
      const { connection_lost, client_closed } = counters.ended;
      assertGreater(connection_lost, 0);
      assertEquals(connection_lost + client_closed, counters.accepted - 2);
      await bed.assertPeakBelow(300 * MIB);
    });
  });

  it("of a flood from one address leave the others' places free", { skip, timeout }, async () => {
    const flags = ["--max-connections", "60", "--max-connections-per-ip", "50"];
    await underAttack(flags, async (bed) => {
      const flood = await rush(bed, 400);
      assertEquals(greetedOf(flood).length, 50);
      const { counters } = await bed.untilEnded("too_many_connections", 350);
      assertEquals(counters.refusedByAddress, 350);
      for (let i = 0; i < 5; i++) await bed.greeted(OTHER);
      await bed.untilLogged(
        /closed 127\.0\.0\.1:\d+: too_many_connections.*of one address are taken/,
      );
    }, { from: "127.0.0.3" });
  });

  it(
    "that one address makes again and again cost it its turn, not others",
    { skip, timeout },
    async () => {
      await underAttack(["--accept-rate", "20"], async (bed) => {
        const beganMs = performance.now();
        let greeted = 0;
        for (let round = 0; round < 5; round++) {
          const flood = await rush(bed, 50);
          greeted += greetedOf(flood).length;
          for (const client of flood) client.close();
          await bed.greeted(OTHER);
        }
        // Forty at once, and twenty for each second that it took.
        const mostGreeted = 40 + 20 * Math.ceil((performance.now() - beganMs) / 1_000);
        assertLess(greeted, mostGreeted + 1);
        const { counters } = await bed.state();
        assertGreater(counters.refusedByAddress + mostGreeted, 249);
        await bed.untilLogged(
          /closed 127\.0\.0\.1:\d+: too_many_connections.*connections a second/,
        );
      }, { from: "127.0.0.3" });
    },
  );

  it("beyond the maximum are told so, and the others stay", { timeout }, async () => {
    const flags = ["--max-connections", "100", "--max-connections-per-ip", "1000"];
    await underAttack(flags, async (bed) => {
      const crowd = await rush(bed, 500);
      const greeted = greetedOf(crowd);
      assertEquals(greeted.length, 98);
      for (const client of greeted) assertEquals(client.ended, null);
      const { counters } = await bed.untilEnded("too_many_connections", 500 - greeted.length);
      assertLess(counters.connections, 100 + MAX_REFUSALS);
      await bed.untilState("those have gone", ({ counters }) => counters.connections <= 100);
      await bed.untilLogged(/closed 127\.0\.0\.1:\d+: too_many_connections.*All 100 connections/);
    });
  });

  it("never take the last descriptors of a process that has few", { timeout }, async () => {
    await underAttack([], async (bed) => {
      const crowd = await rush(bed, 400);
      assertGreater(greetedOf(crowd).length, 30);
      const { counters } = await bed.untilState(
        "each was accepted",
        ({ counters }) => counters.accepted >= 402,
      );
      assertEquals(
        counters.ended.too_many_connections + greetedOf(crowd).length + 2,
        counters.accepted,
      );
      for (const client of crowd) client.close();
      await bed.untilState("they have gone", ({ counters }) => counters.connections === 2);
      await bed.greeted();
    }, { descriptors: 128 });
  });
});
