import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { type AttackBed, KIB, MIB, underAttack } from "../support/attacks/attack_bed.ts";
import { message, publish, subscribe, type Target } from "../support/clients/janus_client.ts";
import { until } from "../support/until.ts";

const timeout = 60_000;

/** More than the kernels keep between a server and a client that doesn't read. */
const PLENTY = 16 * MIB;

const PADDING = "p".repeat(60 * KIB);

/** Messages in one send. */
const AT_ONCE = 8;

/** Flags that move each limit of a slow reader out of the way, but for those given. */
function only(...flags: string[]): string[] {
  const all = new Map([
    ["--max-pending-bytes", String(1024 * MIB)],
    ["--max-total-pending-bytes", String(2048 * MIB)],
    ["--soft-pending-bytes", String(1024 * MIB)],
    ["--soft-pending-time", "60s"],
    ["--write-deadline", "60s"],
    // What is stored takes memory of its own, whatever readers do.
    ["--history-time", "0"],
  ]);
  for (let i = 0; i < flags.length; i += 2) all.set(flags[i]!, flags[i + 1]!);
  return [...all].flat();
}

/** Publishes numbered messages, and says how many when all are accepted. */
async function flood(bed: AttackBed, topic: string, bytes: number): Promise<number> {
  const count = Math.ceil(bytes / PADDING.length / AT_ONCE) * AT_ONCE;
  const publisher = await bed.greeted();
  for (let i = 0; i < count; i += AT_ONCE) {
    const some = Array.from(
      { length: AT_ONCE },
      (_, j) => publish(message(topic, `${i + j} ${PADDING}`)),
    );
    await publisher.sent(some.join(""));
  }
  await publisher.synced(30_000);
  publisher.close();
  return count;
}

/** The numbers of a flood's messages among those of others. */
function numbersOf(frames: readonly string[]): number[] {
  return frames.flatMap((frame) => /"data":"(\d+) /.exec(frame)?.[1] ?? []).map(Number);
}

/** Below some 3 MB in the write deadline, the kernel doesn't tell the server that there is room. */
const SIP_BYTES = 256 * KIB;

/** A subscriber that reads a little now and then: too little to keep up, enough for a deadline. */
class Sipper {
  readonly #socket: Socket;
  readonly #timer: ReturnType<typeof setInterval>;
  #thirst = SIP_BYTES;

  constructor({ hostname, port }: Target, topic: string) {
    this.#socket = connect({ host: hostname, port });
    this.#socket.on("data", ({ length }: Uint8Array) => {
      this.#thirst -= length;
      if (this.#thirst <= 0) this.#socket.pause();
    });
    this.#socket.on("error", () => {});
    this.#socket.write(subscribe(topic));
    this.#timer = setInterval(() => {
      // A runtime may read more at once.
      this.#thirst += SIP_BYTES;
      if (this.#thirst > 0) this.#socket.resume();
    }, 250);
  }

  dispose(): void {
    clearInterval(this.#timer);
    this.#socket.destroy();
  }
}

describe("readers that don't keep up", () => {
  it("end at the bytes that may wait for one, and cost no more memory", { timeout }, async () => {
    const flags = only("--max-pending-bytes", String(MIB), "--soft-pending-bytes", String(MIB));
    await underAttack(flags, async (bed) => {
      // Each on a topic of its own, so that none shares what waits with another.
      const count = 16;
      const topics = Array.from({ length: count }, (_, i) => `t${i}`);
      for (const topic of topics) await bed.deaf(topic);
      await Promise.all(topics.map((topic) => flood(bed, topic, PLENTY)));
      const { counters, peakHeldBytes } = await bed.untilEnded("slow_consumer", count);
      assertEquals(counters.ended.slow_consumer, count);
      assertLess(peakHeldBytes, count * 2 * MIB);
      await bed.assertPeakBelow(300 * MIB);
      await bed.untilLogged(
        /closed 127\.0\.0\.1:\d+: slow_consumer, \d{7,} bytes waiting, topic "t\d+", \d+\.\d s old: .*1048576 may/,
      );
    });
  });

  it("end at the write deadline, and cost those who read no message", { timeout }, async () => {
    await underAttack(only("--write-deadline", "1s"), async (bed) => {
      for (let i = 0; i < 20; i++) await bed.deaf("t");
      const reader = await bed.greeted();
      await reader.subscribe("t");
      const count = await flood(bed, "t", PLENTY);
      const { counters } = await bed.untilEnded("slow_consumer", 20);
      assertEquals(counters.ended.slow_consumer, 20);
      const numbers: number[] = [];
      await until("it has had the last", () => {
        numbers.push(...numbersOf(reader.frames.splice(0)));
        return numbers.includes(count - 1);
      });
      assertEquals(numbers, Array.from({ length: count }, (_, i) => i));
      await bed.untilLogged(
        /closed 127\.0\.0\.1:\d+: slow_consumer, \d+ bytes waiting, topic "t", \d+\.\d s old: No byte taken for 1 s/,
      );
    }, { topic: "t" });
  });

  it("hold up the publisher of their topic, but no message of another one", {
    timeout,
  }, async () => {
    await underAttack([], async (bed) => {
      const sipper = new Sipper(bed, "t");
      try {
        await bed.untilState("it is there", ({ counters }) => counters.subscriptions === 2);
        await flood(bed, "t", PLENTY);
        const { counters } = await bed.state();
        assertGreater(counters.publisherPauses, 0);
        await bed.confirm();
      } finally {
        sipper.dispose();
      }
    });
  });

  it("end when they are behind for too long, though they read enough for the deadline", {
    timeout,
  }, async () => {
    const flags = only(
      ...["--soft-pending-bytes", String(4 * MIB)],
      ...["--soft-pending-time", "3s"],
      ...["--write-deadline", "2500ms"],
    );
    await underAttack(flags, async (bed) => {
      const sippers = Array.from({ length: 5 }, () => new Sipper(bed, "t"));
      try {
        await bed.untilState("they are there", ({ counters }) => counters.subscriptions === 6);
        await flood(bed, "t", 2 * PLENTY);
        await bed.untilEnded("slow_consumer", sippers.length);
      } finally {
        for (const sipper of sippers) sipper.dispose();
      }
      await bed.untilLogged(
        /closed 127\.0\.0\.1:\d+: slow_consumer, \d+ bytes waiting, topic "t", \d+\.\d s old: .*for 3 s too many/,
      );
      assertEquals(bed.log.includes("No byte taken"), false, bed.log);
    });
  });

  it("end by the server's memory, where no limit of their own ends them", { timeout }, async () => {
    const budgetBytes = 24 * MIB;
    await underAttack(only("--max-total-pending-bytes", String(budgetBytes)), async (bed) => {
      const topics = Array.from({ length: 12 }, (_, i) => `t${i}`);
      for (const topic of topics) await bed.deaf(topic);
      await Promise.all(topics.map((topic) => flood(bed, topic, PLENTY)));
      const { counters, peakHeldBytes, heldBytes } = await bed.state();
      assertGreater(counters.ended.slow_consumer, 6);
      assertLess(heldBytes, budgetBytes);
      // More may come before it's noticed than fits.
      assertLess(peakHeldBytes, budgetBytes + 4 * MIB);
      await bed.assertPeakBelow(250 * MIB);
      await bed.untilLogged(
        /closed 127\.0\.0\.1:\d+: slow_consumer, \d+ bytes waiting, topic "t\d+", .* old: .*while memory was short/,
      );
    });
  });
});
