import { assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { MIB, underAttack } from "../support/attacks/attack_bed.ts";

const timeout = 120_000;

/**
 * What a bystander's message may take on a machine that has other things to do; each of these attacks
 * made it as long as the attack, or for ever.
 */
const BOUND_MS = 2_000;

const ATTACK_MS = 3_500;

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
        const sentBytes = await bed.attack(mode, clients, ATTACK_MS);
        assertGreater(sentBytes, MIB);
        await bed.confirm();
        assertLess(bed.p99Ms(), BOUND_MS);
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
        const sentBytes = await bed.attack(mode, clients, ATTACK_MS);
        assertGreater(sentBytes, 16 * MIB);
        await bed.confirm();
        const { counters } = await bed.state();
        assertGreater(counters.ended.frame_too_large, 50);
        assertLess(bed.p99Ms(), BOUND_MS);
        await bed.assertPeakBelow(500 * MIB);
      });
    });
  }
});
