import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import type { Census } from "../../../server/shares/census.ts";
import { CensusTaker, type Respondent } from "../../../server/shares/census_taker.ts";
import { until } from "../../support/until.ts";

function censusOf(held: number): Census {
  const connections = { total: held, holders: 1, top: [["192.0.2.1", held] as const] };
  return { connections, topics: { total: 0, holders: 0, top: [] } };
}

class FakeWorker implements Respondent {
  asked = 0;
  /** The censuses of the others that it got, each time. */
  readonly told: number[][] = [];

  askCensus(): void {
    this.asked++;
  }

  tellCensuses(others: readonly Census[]): void {
    this.told.push(others.map(({ connections }) => connections.total));
  }
}

function takerOf(count: number) {
  const taker = new CensusTaker<FakeWorker>();
  const workers = Array.from({ length: count }, () => new FakeWorker());
  for (const worker of workers) taker.add(worker);
  return { taker, workers: workers as [FakeWorker, FakeWorker, FakeWorker] };
}

describe("the census of workers", () => {
  it("asks all others, and tells when all have answered", () => {
    const { taker, workers: [a, b, c] } = takerOf(3);
    taker.take(a, censusOf(1), true);
    assertEquals([a.asked, b.asked, c.asked], [0, 1, 1]);
    taker.take(b, censusOf(2), false);
    assertEquals(a.told, []);
    taker.take(c, censusOf(3), false);
    assertEquals([a.told, b.told, c.told], [[[2, 3]], [], []]);
  });

  it("answers all together that ask meanwhile", () => {
    const { taker, workers: [a, b, c] } = takerOf(3);
    taker.take(a, censusOf(1), true);
    taker.take(b, censusOf(2), true);
    taker.take(c, censusOf(3), false);
    assertEquals([a.told, b.told, c.told], [[[2, 3]], [[1, 3]], []]);
    assertEquals([b.asked, c.asked], [1, 1]);
    taker.take(b, censusOf(4), false);
    taker.take(b, censusOf(5), true);
    taker.take(a, censusOf(6), false);
    taker.take(c, censusOf(7), false);
    assertEquals(b.told, [[1, 3], [6, 7]]);
  });

  it("waits for none that is gone, and not for ever for one that stands still", async () => {
    const { taker, workers: [a, b, c] } = takerOf(3);
    taker.take(a, censusOf(1), true);
    taker.take(b, censusOf(2), false);
    taker.remove(c);
    assertEquals(a.told, [[2]]);
    taker.take(a, censusOf(1), true);
    await until("it's told what is known", () => a.told.length === 2);
    assertEquals(a.told[1], [2]);
    taker.take(c, censusOf(9), true);
    assertEquals(c.told, []);
  });

  it("tells one that is alone at once", () => {
    const { taker, workers: [a] } = takerOf(1);
    taker.take(a, censusOf(1), true);
    assertEquals(a.told, [[]]);
  });
});
