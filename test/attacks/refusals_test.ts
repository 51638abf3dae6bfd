import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { type AttackBed, underAttack } from "../support/attacks/attack_bed.ts";
import { FragileClient } from "../support/attacks/fragile_client.ts";
import { errorOf, GREETING, type JanusClient, subscribe } from "../support/clients/janus_client.ts";
import { quiet, until } from "../support/until.ts";

const timeout = 60_000;

/** Elsewhere only 127.0.0.1 is the machine's own. */
const skip = process.platform === "linux" ? false : "there is one loopback address only";

const MARKER = "<regular-socket/>\0";
const FULL = ["--max-connections", "50", "--max-connections-per-ip", "50"];

/** The kind of clients: of today, which wait for the greeting, or of 2009, which send at once. */
type Kind = "today" | "2009";

/** Takes the places that the bystanders leave. */
async function fill(bed: AttackBed): Promise<void> {
  await Promise.all(Array.from({ length: 48 }, () => bed.greeted()));
}

/** Connects as many in a loop. */
function burst(bed: AttackBed, count: number, kindOf: (i: number) => Kind): JanusClient[] {
  return Array.from({ length: count }, (_, i) => {
    const client = bed.begin();
    if (kindOf(i) === "2009") client.send(`${MARKER}${MARKER}${subscribe("t")}`);
    return client;
  });
}

/** The outcome for a client, in a word. */
function fateOf({ ended, frames, partialFrame }: JanusClient): string {
  const [frame] = frames;
  if (frame === undefined) return `${partialFrame.length} bytes, ${ended}`;
  if (GREETING.test(frame)) return "greeted";
  return `${frames.length > 1 ? "more and " : ""}${errorOf(frame).code}, ${ended}`;
}

/** Waits for the end of each that isn't greeted, and counts them by their fate. */
async function fates(clients: readonly JanusClient[]): Promise<Record<string, number>> {
  await until(
    "each is greeted or closed",
    () => clients.every(({ ended, frames }) => ended !== null || GREETING.test(frames[0] ?? "")),
    30_000,
  ).catch(() => {});
  const counts: Record<string, number> = {};
  for (const client of clients) counts[fateOf(client)] = (counts[fateOf(client)] ?? 0) + 1;
  return counts;
}

const TOLD = "too_many_connections, fin";
const CLOSED = "0 bytes, fin";

describe("connections that are refused", () => {
  for (const count of [300, 400, 1_000]) {
    it(`are told so, all of ${count} that come at once`, { timeout }, async () => {
      await underAttack(FULL, async (bed) => {
        await fill(bed);
        assertEquals(await fates(burst(bed, count, () => "today")), { [TOLD]: count });
      });
    });
  }

  it("are closed without a word where they are of 2009", { timeout }, async () => {
    await underAttack(FULL, async (bed) => {
      await fill(bed);
      assertEquals(await fates(burst(bed, 300, () => "2009")), { [CLOSED]: 300 });
      const mixed = burst(bed, 300, (i) => i % 2 === 0 ? "2009" : "today");
      assertEquals(await fates(mixed), { [CLOSED]: 150, [TOLD]: 150 });
      const { counters } = await bed.state();
      assertEquals(counters.ended.too_many_connections, 600);
    });
  });

  it("may take a second until they say who they are, and no longer", { timeout }, async () => {
    await underAttack(FULL, async (bed) => {
      await fill(bed);
      const silent = bed.begin();
      const piecemeal = bed.begin();
      const doubtful = bed.begin();
      const done = bed.begin();
      const other = bed.begin();
      for (const client of [silent, piecemeal, doubtful, done, other]) await client.connected();
      other.send("PING\0");
      await until("who isn't of 2009 is told at once", () => other.ended !== null, 5_000);
      doubtful.send(MARKER.slice(0, -1));
      done.end();
      for (const piece of [MARKER.slice(0, 1), MARKER.slice(1, -1), "\0"]) {
        piecemeal.send(piece);
        await quiet(20);
      }
      assertEquals(await fates([piecemeal]), { [CLOSED]: 1 });
      assertEquals(await fates([other, silent, doubtful, done]), { [TOLD]: 4 });
    });
  });

  it(
    "of one address are told, and of 2009 are not, like all others",
    { skip, timeout },
    async () => {
      const flags = ["--max-connections", "100", "--max-connections-per-ip", "20"];
      await underAttack(flags, async (bed) => {
        await Promise.all(Array.from({ length: 20 }, () => bed.greeted()));
        const mixed = burst(bed, 300, (i) => i % 2 === 0 ? "2009" : "today");
        assertEquals(await fates(mixed), { [CLOSED]: 150, [TOLD]: 150 });
        const { counters } = await bed.state();
        assertEquals(counters.refusedByAddress, 300);
      }, { from: "127.0.0.3" });
    },
  );

  for (const descriptors of [120, 150, 256]) {
    it(`all know it with ${descriptors} descriptors, too`, { timeout }, async () => {
      await underAttack(FULL, async (bed) => {
        await fill(bed);
        assertEquals(await fates(burst(bed, 400, () => "today")), { [TOLD]: 400 });
        // No more at once than there are descriptors for: then there's time to hear them out.
        for (let round = 0; round < 10; round++) {
          const crowd = burst(bed, 30, () => "2009");
          assertEquals(await fates(crowd), { [CLOSED]: 30 }, `round ${round}`);
        }
        assertEquals((await bed.state()).counters.acceptErrors, 0);
      }, { descriptors });
    });
  }

  it("take no descriptors for long, though they never close", { timeout }, async () => {
    await underAttack(FULL, async (bed) => {
      await fill(bed);
      const lingering = Array.from({ length: 300 }, () => bed.begin({ lingers: true }));
      assertEquals(await fates(lingering), { [TOLD]: 300 });
      await bed.untilState("they are dropped", ({ counters }) => counters.connections === 50);
      assertEquals((await bed.state()).counters.acceptErrors, 0);
    }, { descriptors: 128 });
  });

  it("of 2009 get in when there is room again", { timeout }, async () => {
    await underAttack(FULL, async (bed) => {
      await fill(bed);
      const fragile = Array.from({ length: 5 }, () => new FragileClient(bed, "t"));
      try {
        await until("each was refused twice", () => fragile.every(({ closes }) => closes >= 2));
        await bed.disband();
        await until("each is subscribed", () => {
          return fragile.every(({ subscriptions, crash }) => subscriptions > 0 || crash);
        });
        assertEquals(
          fragile.map(({ crash, resets }) => [crash, resets]),
          Array(5).fill([undefined, 0]),
        );
      } finally {
        for (const client of fragile) client.dispose();
      }
    });
  });

  it("are told by the thousand at the usual descriptor limit", { timeout: 120_000 }, async () => {
    await underAttack([], async (bed) => {
      const crowd = burst(bed, 3_000, () => "today");
      const { greeted = 0, ...others } = await fates(crowd);
      assertGreater(greeted, 850);
      assertEquals(others, { [TOLD]: 3_000 - greeted });
      for (const client of crowd) {
        if (GREETING.test(client.frames[0]!)) assertEquals(client.ended, null);
      }
      const { counters } = await bed.state();
      assertEquals(counters.acceptErrors, 0);
      assert(!bed.log.includes("accept"), bed.log);
      assertLess(bed.log.split("\n").length, 100);
    }, { descriptors: 1_024 });
  });

  it("are told where the server was told to hold more than it has descriptors for", {
    timeout,
  }, async () => {
    const flags = ["--max-connections", "1000", "--max-connections-per-ip", "1000"];
    await underAttack(flags, async (bed) => {
      const crowd = burst(bed, 300, () => "today");
      const { greeted = 0, ...others } = await fates(crowd);
      assertGreater(greeted, 50);
      assertEquals(others, { [TOLD]: 300 - greeted });
      await bed.untilLogged(new RegExp(`All ${greeted + 2} connections are taken`));
    }, { descriptors: 128 });
  });
});
