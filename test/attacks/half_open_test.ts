import { assertEquals, assertGreater } from "@std/assert";
import { describe, it } from "node:test";
import { MIB, underAttack } from "../support/attacks/attack_bed.ts";
import { message, publish } from "../support/clients/janus_client.ts";
import { FarHost, whyNoFarHost } from "../support/network/far_host.ts";

const timeout = 60_000;
const skip = whyNoFarHost();

describe("peers whose network is cut", () => {
  it(
    "are ended when they don't answer, and when they take nothing",
    { skip, timeout },
    async () => {
      const host = await FarHost.start();
      try {
        const flags = [
          ...["--ping-after", "2s", "--idle-timeout", "2s"],
          ...["--write-deadline", "2s", "--max-pending-bytes", String(64 * MIB)],
        ];
        await underAttack(flags, async (bed) => {
          await host.subscribe(bed.port, "silent", 9);
          await host.subscribe(bed.port, "busy", 9);
          await bed.untilState("they are there", ({ counters }) => counters.subscriptions === 19);
          host.cut();
          // The server gets no sign of it: it finds out because nothing comes back.
          const publisher = await bed.greeted();
          const padding = "p".repeat(60_000);
          for (let sent = 0; sent < 16 * MIB; sent += padding.length) {
            await publisher.sent(publish(message("busy", padding)));
          }
          await bed.untilEnded("slow_consumer", 1);
          const { counters } = await bed.untilState(
            "all are ended",
            ({ counters: { ended } }) => ended.slow_consumer + ended.idle_timeout >= 18,
          );
          assertEquals(counters.ended.slow_consumer + counters.ended.idle_timeout, 18);
          assertGreater(counters.ended.idle_timeout, 8);
          await bed.untilState("they have gone", ({ counters }) => counters.subscriptions === 1);
          await bed.untilLogged(
            new RegExp(
              `closed ${host.address}:\\d+: idle_timeout, 0 bytes waiting, topic "silent", `,
            ),
          );
          await bed.untilLogged(
            new RegExp(
              `closed ${host.address}:\\d+: slow_consumer, .* topic "busy", .* No byte taken`,
            ),
          );
        }, { host: "0.0.0.0" });
      } finally {
        await host.stop();
      }
    },
  );
});
