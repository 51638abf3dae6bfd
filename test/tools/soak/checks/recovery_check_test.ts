import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { Faults } from "../../../../tools/soak/checks/faults.ts";
import { type Loss, RecoveryCheck } from "../../../../tools/soak/checks/recovery_check.ts";
import { StrikeHistory } from "../../../../tools/soak/checks/strike_history.ts";

/** What a server says of these losses, which had given up so much before and after. */
async function judged(
  losses: readonly Partial<Loss>[],
  givenUp: readonly [before: number, after: number] = [0, 0],
  strikes = new StrikeHistory(),
  isCluster = false,
): Promise<number> {
  const faults = new Faults();
  let isToldAll = false;
  const check = new RecoveryCheck(
    {
      timeMs: 60_000,
      messages: 1_000,
      bytes: 100_000,
      readGivenUp: () => Promise.resolve(givenUp[isToldAll ? 1 : 0]),
    },
    3,
    strikes,
    faults,
    isCluster,
  );
  await check.start();
  const nowMs = performance.now();
  for (const loss of losses) {
    check.judge({
      who: "somebody",
      reason: "too_old",
      // Only the first look is known to have been before.
      goneMs: nowMs + 3_000,
      sinceMs: nowMs - 10_000,
      missed: { messages: 400, bytes: 40_000 },
      ...loss,
    });
  }
  isToldAll = true;
  await check.stop();
  return faults.counts.not_recovered ?? 0;
}

describe("a server that says that something is lost", () => {
  it("may say so where too much came meanwhile, after too long, or where it had no room", async () => {
    const nowMs = performance.now();
    const [enough, much, room, none] = await Promise.all([
      judged([{}]),
      judged([
        { missed: { messages: 501, bytes: 1 } },
        { missed: { messages: 1, bytes: 50_001 } },
        { goneMs: nowMs - 31_000 },
      ]),
      judged([{}, {}], [7, 8]),
      judged([{}], [7, 7]),
    ]);
    assertEquals([enough, much, room, none], [1, 0, 0, 1]);
  });

  it("may say so in a cluster of what was given up while one member was behind another", async () => {
    const nowMs = performance.now();
    const strikes = new StrikeHistory();
    const [behind, even] = await Promise.all([
      judged([{ goneMs: nowMs + 3_000 }], [7, 7], strikes, true),
      judged([{ goneMs: nowMs + 19_000 }], [7, 7], strikes, true),
    ]);
    assertEquals([behind, even], [0, 1]);
  });

  it("may forget an origin only after very many, and lose something only after a hang", async () => {
    const strikes = new StrikeHistory();
    const said = () => judged([{ reason: "unknown_origin" }, { reason: "gap" }], [0, 0], strikes);
    assertEquals(await said(), 2);
    const record = { at_s: performance.now() / 1000, pid: 1, connections: 0 };
    strikes.note({ ...record, how: "hung" });
    assertEquals(await said(), 1);
    for (let i = 0; i < 40; i++) strikes.note({ ...record, how: "rolled" });
    assertEquals(await said(), 0);
  });

  it("may not know yet what another member had told, for a while after members were apart", async () => {
    const strikes = new StrikeHistory();
    const said = (isCluster: boolean) =>
      judged([{ reason: "unknown_origin" }], [0, 0], strikes, isCluster);
    assertEquals(await said(true), 1);
    strikes.note({ at_s: performance.now() / 1000, pid: 1, connections: 0, how: "nats_restarted" });
    assertEquals([await said(false), await said(true)], [1, 0]);
  });

  it("may not say that it stores nothing, nor take a subscriber for a new one", async () => {
    assertEquals(await judged([{ reason: "off" }, { reason: "new" }]), 2);
  });
});
