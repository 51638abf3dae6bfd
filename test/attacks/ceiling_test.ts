import { assertEquals, assertGreater } from "@std/assert";
import { describe, it } from "node:test";
import { type AttackBed, KIB, MIB, underAttack } from "../support/attacks/attack_bed.ts";
import {
  JanusClient,
  message,
  publish,
  subscribe,
  type Target,
} from "../support/clients/janus_client.ts";
import { quiet, until } from "../support/until.ts";

const timeout = 120_000;

/** The memory that the server's process may take. */
const CEILING = 300_000_000;

/** Clients that connect at once, so that no backlog overflows. */
const AT_ONCE = 100;

/** That, and all other limits of memory out of the way. */
const FLAGS = [
  ...["--max-memory", String(CEILING)],
  ...["--max-total-pending-bytes", String(4096 * MIB)],
  ...["--max-pending-bytes", String(64 * MIB)],
  ...["--soft-pending-bytes", String(64 * MIB)],
  ...["--write-deadline", "60s", "--soft-pending-time", "60s"],
];

/**
 * What a busy machine may add: between two looks so much arrives, where no other limit of memory holds
 * and a collection has to wait for its turn of the processor.
 */
const MARGIN = 45_000_000;

/** The bystanders have had everything, though it may take a while; the process never had too much. */
async function assertCalm(bed: AttackBed): Promise<void> {
  await bed.confirm();
  await bed.assertPeakBelow(CEILING + MARGIN);
}

/** Clients that each send the same once, and come again when they are closed. */
class Churn {
  readonly #timer: ReturnType<typeof setInterval>;
  #clients: JanusClient[] = [];

  constructor(target: Target, count: number, bytes: string) {
    this.#timer = setInterval(() => {
      this.#clients = this.#clients.filter((client) => {
        if (client.ended !== null) client.close();
        return client.ended === null;
      });
      const missing = Math.min(AT_ONCE, count - this.#clients.length);
      for (let i = 0; i < missing; i++) {
        const client = new JanusClient(target);
        client.send(bytes);
        this.#clients.push(client);
      }
    }, 50);
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#clients.map((client) => client.dispose()));
  }
}

describe("the ceiling of the process's memory", () => {
  it("holds against frames that are never finished, by clients that come again", {
    timeout,
  }, async () => {
    await underAttack(FLAGS, async (bed) => {
      const half = `PUBLISH\0{"topic":"t","data":${"[".repeat(62 * KIB)}`;
      const churn = new Churn(bed, 3_000, half);
      try {
        await bed.untilState(
          "those that hold most are ended",
          ({ counters }) => counters.memoryEvictions > 0,
        );
        await bed.untilState("it collects garbage, and makes clients wait", ({ counters }) => {
          return counters.collections > 0 && counters.memoryPauses > 0;
        });
        await quiet(1_500);
        await assertCalm(bed);
      } finally {
        await churn.end();
      }
      await bed.untilLogged(/memory is short, \d+ of 300 MB are taken: garbage is collected/);
      await bed.untilLogged(
        /memory is short, \d+ of 300 MB are taken: clients that send much wait/,
      );
    });
  });

  it("holds against readers that take nothing", { timeout }, async () => {
    await underAttack(FLAGS, async (bed) => {
      const topics = Array.from({ length: 30 }, (_, i) => `deaf ${i}`);
      for (const topic of topics) await bed.deaf(topic);
      const padding = "p".repeat(60_000);
      // 16 MB for each, of which the kernel takes 4: 360 MB in all.
      const flooding = topics.map(async (topic) => {
        const publisher = await bed.greeted();
        // In the middle of a message it holds much too, and may be closed for it.
        const closed = until("it's closed", () => publisher.ended !== null, 60_000).catch(() => {});
        for (let sent = 0; sent < 16_000_000; sent += padding.length) {
          await Promise.race([publisher.sent(publish(message(topic, padding))), closed]);
          if (publisher.ended !== null) return;
        }
      });
      await Promise.all(flooding);
      const { counters } = await bed.untilState(
        "those that hold most are ended",
        ({ counters }) => counters.memoryEvictions > 0,
      );
      const { slow_consumer, frame_too_large } = counters.ended;
      assertGreater(slow_consumer, 0);
      assertEquals(slow_consumer + frame_too_large, counters.memoryEvictions);
      await assertCalm(bed);
    });
  });

  it("has a share for subscriptions, which those that hold most give up", { timeout }, async () => {
    const flags = [
      ...["--max-memory", String(CEILING)],
      ...["--max-total-pending-bytes", String(24 * MIB)],
      ...["--max-topics", "1000"],
    ];
    await underAttack(flags, async (bed) => {
      const modest = await bed.open(20, { from: "127.0.0.2" });
      for (const client of modest) client.send(subscribe("one"));
      const greedy = await bed.open(200);
      const all = Array.from({ length: 1_000 }, (_, i) => subscribe(`t${i}`)).join("");
      for (const client of greedy) client.send(all);
      const { counters } = await bed.untilState(
        "those that hold most are ended",
        ({ counters }) => counters.ended.too_many_topics > 50,
      );
      assertEquals(counters.ended.too_many_topics, counters.memoryEvictions);
      await bed.untilState(
        "there is room again",
        ({ counters }) => counters.subscriptions < 80_000,
      );
      assertEquals(modest.map(({ ended }) => ended), modest.map(() => null));
      await bed.untilLogged(/too_many_topics.*Memory is too short for so many subscriptions/);
      await assertCalm(bed);
    });
  });
});
