import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { errorOf } from "../../support/clients/janus_client.ts";
import { framesOf, MemoryBed } from "../../support/memory/memory_bed.ts";

/** So many that a sweep doesn't look at all of them. */
const MANY = 8_000;

describe("the sweeps over many connections", () => {
  it("look at each once a second", async () => {
    const bed = await MemoryBed.start({
      idleMs: 2_000,
      maxConnectionsPerIp: MANY,
      acceptRate: 1e6,
    });
    const silent = Array.from({ length: MANY }, () => bed.dial());
    bed.pass(2_000);
    assert(silent.some((peer) => framesOf(peer).length === 0), "all were looked at together");
    bed.pass(1_000);
    for (const peer of silent) {
      assertEquals(errorOf(framesOf(peer)[0]).code, "idle_timeout");
    }
  });

  it("miss no session while others come and go", async () => {
    const bed = await MemoryBed.start({
      idleMs: 4_000,
      maxConnectionsPerIp: 2 * MANY,
      acceptRate: 1e6,
    });
    const silent = Array.from({ length: MANY }, () => bed.dial());
    const leavers = silent.filter((_, i) => i % 3 === 0);
    bed.pass(5_250, () => {
      for (const peer of leavers.splice(0, 100)) peer.reset();
      for (let i = 0; i < 50; i++) bed.dial();
    });
    for (const [i, peer] of silent.entries()) {
      if (i % 3 === 0) continue;
      assertEquals(errorOf(framesOf(peer)[0]).code, "idle_timeout");
    }
  });
});
