import { assertGreater, assertLess } from "@std/assert";
import process from "node:process";
import { describe, it } from "node:test";
import { MIB, underAttack } from "../support/attacks/attack_bed.ts";
import { message, publish } from "../support/clients/janus_client.ts";
import { Positions, subscribeFrame } from "../support/clients/resuming_client.ts";
import { until } from "../support/until.ts";

const timeout = 60_000;

/** Replays of a MiB that an address gets at once, and in each second after that. */
const AT_ONCE = 512;
const PER_SECOND = 64;

describe("a flood of clients that come back again and again", () => {
  it("gets no more replayed than its address may have, and delays no other client", {
    timeout,
    skip: process.platform === "linux" ? false : "needs several addresses of this machine",
  }, async () => {
    await underAttack([], async (bed) => {
      const publisher = await bed.greeted();
      const stored = publish(message("t", "x".repeat(950))).repeat(1_000);
      await publisher.sent(stored);
      await bed.untilState("all is stored", ({ counters }) => counters.historyMessages >= 1_000);

      // 60 bytes ask for a MiB. Those who don't read cost the server most, and the attackers least.
      const from = "127.0.0.3";
      const attackers = await bed.open(AT_ONCE + 200, { deaf: true, from });
      const beganMs = performance.now();
      const ask = subscribeFrame("t", { last: 1_000 });
      for (const attacker of attackers) attacker.send(ask.repeat(3));
      const { counters: { resumes } } = await bed.untilState(
        "some have to wait",
        ({ counters }) => counters.resumes.new >= AT_ONCE - 50,
      );
      const most = () => AT_ONCE + 50 + PER_SECOND * 2 * (performance.now() - beganMs) / 1000;
      assertLess(resumes.new, most());

      // They don't hold up others that come back, nor what these get.
      const other = await bed.greeted({ from: "127.0.0.4" });
      const positions = new Positions();
      other.send(positions.subscribe("t") + subscribeFrame("t", { last: 5 }));
      let messages = 0;
      await until("it has what it asked for", () => {
        for (const frame of other.frames.splice(0)) {
          if (positions.take(frame).what === "message") messages++;
        }
        return messages >= 5;
      }, 20_000);

      // Those that waited go on, one after the other, as the rate allows it.
      const later = await bed.untilState(
        "some more are answered",
        ({ counters }) => counters.resumes.new > resumes.new + 20,
      );
      assertLess(later.counters.resumes.new, most());
      assertGreater(AT_ONCE + 200, later.counters.resumes.new - 2);
      assertLess(later.peakHeldBytes, 48 * MIB);
    });
  });
});
