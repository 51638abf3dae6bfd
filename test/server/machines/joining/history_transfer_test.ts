import { assertEquals, assertLessOrEqual } from "@std/assert";
import { describe, it } from "node:test";
import {
  HistoryExports,
  HistoryFetch,
  type HistoryPart,
} from "../../../../server/machines/joining/history_transfer.ts";
import type { Want } from "../../../../server/machines/wire/frames.ts";
import { CoarseClock } from "../../../../server/timing/coarse_clock.ts";

/** Records that make 20 pieces, some of which end within a record. */
const RECORDS = Array.from({ length: 50 }, (_, at) => new Uint8Array(100_000).fill(at));

interface Copied {
  readonly records: readonly Uint8Array[];
  /** How often pieces were on their way, all that were asked for at once. */
  readonly ways: number;
  readonly wants: number;
}

/** Copies a history. @param isLost Says of an answer whether it gets lost, by its place among all. */
async function copied(isLost: (at: number) => boolean): Promise<Copied> {
  const exports = new HistoryExports(new CoarseClock(0), () => RECORDS.values());
  const asked: Want[] = [];
  let [ways, wants, answers] = [0, 0, 0];
  const runtime = { nextTurn: (run: () => void) => void setTimeout(run, 0) };
  const fetch = new HistoryFetch(runtime, "0123456789abcdef", (want) => {
    wants++;
    asked.push(want);
  });
  const way = setInterval(() => {
    const parts = asked.splice(0).flatMap((want): HistoryPart[] => {
      const part = exports.give(want);
      return part === undefined ? [] : [part];
    });
    if (parts.length > 0) ways++;
    for (const part of parts) if (!isLost(answers++)) fetch.take(part);
  }, 5);
  try {
    return { records: await fetch.records(), ways, wants };
  } finally {
    clearInterval(way);
  }
}

describe("a copied history", () => {
  it("comes in pieces of which several are on their way at a time", async () => {
    const { records, ways, wants } = await copied(() => false);
    assertEquals(records.length, RECORDS.length);
    assertEquals(records.every((record, at) => record.every((byte) => byte === at)), true);
    assertLessOrEqual(ways, 10);
    // A busy machine may ask for some again.
    assertLessOrEqual(wants, 60);
  });

  it("is whole though pieces get lost, of whatever place", async () => {
    const { records } = await copied((at) => at === 0 || at === 6 || at === 21);
    assertEquals(records.map((record) => record[0]), RECORDS.map((_, at) => at));
  });
});
