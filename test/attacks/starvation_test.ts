import { describe, it } from "node:test";
import { MIB, underAttack } from "../support/attacks/attack_bed.ts";

const timeout = 120_000;

describe("a busy loop", () => {
  for (
    const [mode, clients] of [
      ["large messages", 1],
      ["large messages", 32],
      ["tiny messages", 48],
      ["escaped names", 10],
    ] as const
  ) {
    it(`of ${mode} of ${clients} is shared with who says little`, { timeout }, async () => {
      await underAttack([], async (bed) => {
        await bed.attack(mode, clients, ({ counters }) => counters.bytesIn > MIB);
        await bed.assertPeakBelow(700 * MIB);
      });
    });
  }
});

describe("frames that hold much and never end", () => {
  const flags = ["--max-total-pending-bytes", String(64 * MIB), "--log-level", "error"];

  for (
    const [mode, clients] of [
      ["a message, then an unfinished one", 1_200],
      ["unfinished frames, again and again", 600],
    ] as const
  ) {
    it(`stop no client's publishing: ${mode}`, { timeout }, async () => {
      await underAttack(flags, async (bed) => {
        await bed.attack(mode, clients, ({ counters: { bytesIn, ended } }) => {
          return bytesIn > 16 * MIB && ended.frame_too_large > 50;
        });
        await bed.assertPeakBelow(500 * MIB);
      });
    });
  }
});
