import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import type { PermitKey } from "../../../server/lending/terms.ts";
import { diceOf, eachSeed, Office, sameTerms } from "./office.ts";

const RUNS = 30;

/** A recall, its answer and the news of it, with some to spare. */
const ROUND_TRIPS_MS = 60;

describe("the ledger of places", () => {
  it("gives out every place, wherever those come who want one, and not one more", () => {
    eachSeed(RUNS, (seed) => {
      const dice = diceOf(seed);
      const workers = 1 + dice(6);
      const most = 1 + dice(400);
      const office = new Office(sameTerms({ most, perSecond: 0 }), workers, dice, 1 + dice(20));
      const skew = 1 + dice(workers);
      const burst = 1 + dice(100);
      const applicants = Array.from({ length: most + 50 }, () => {
        if (dice(burst) === 0) office.pass(1 + dice(20));
        return office.clerks[dice(skew)]!.apply("connections");
      });
      office.pass(1_000);
      assertEquals(applicants.filter(({ outcome }) => outcome === "admitted").length, most);
      assertEquals(applicants.filter(({ outcome }) => outcome === "refused").length, 50);
    });
  });

  it("is never passed, and refuses nothing while there is room, whatever happens", () => {
    eachSeed(RUNS, (seed) => {
      const dice = diceOf(seed);
      const workers = 2 + dice(4);
      const most = 1 + dice(40);
      const keys: PermitKey[] = ["connections", "address a", "address b"];
      const office = new Office(sameTerms({ most, perSecond: 0 }), workers, dice);
      office.onUse = (key) => {
        const used = office.used.get(key)!;
        assert(used <= most, `${used} of ${most} at ${key}, ${office.nowMs} ms`);
      };
      office.onRefusal = ({ key, askedMs }) => {
        // The last place may be promised to one that is still to hear of it.
        office.afterwards(20, () => {
          const hasLeft = office.lastGoneMs(key) >= askedMs - ROUND_TRIPS_MS;
          const used = office.used.get(key) ?? 0;
          assert(hasLeft || used === most, `refused with ${used} of ${most} at ${key}`);
        });
      };
      let eagerness = 5;
      for (let step = 0; step < 3_000; step++) {
        if (step % 200 === 0) eagerness = 1 + dice(9);
        const clerk = office.alive[dice(office.alive.length)]!;
        if (dice(10) < eagerness) clerk.apply(keys[dice(keys.length)]!);
        else clerk.release(dice(clerk.admitted.length));
        const isOneMore = office.alive.length > workers;
        if (dice(isOneMore ? 100 : 400) === 0) {
          clerk.die();
          // It is missed before another comes.
          office.pass(10 + dice(50));
          if (!isOneMore) office.hire();
        } else if (!isOneMore && dice(400) === 0) {
          // In a rolling upgrade the other comes first.
          office.hire();
        }
        if (dice(2) === 0) office.tick();
      }
      office.pass(100);
      for (const clerk of office.alive) while (clerk.admitted.length > 0) clerk.release(0);
      office.pass(1_500);
      assertEquals(office.ledger.size, 0);
      for (const clerk of office.alive) assertEquals(clerk.borrower.size, 0);
    });
  });

  it("says within two seconds that there is room, or not, though one stands still", () => {
    eachSeed(RUNS, (seed) => {
      const dice = diceOf(seed);
      const most = 40;
      const office = new Office(sameTerms({ most, perSecond: 0 }), 2, dice);
      const [first, second] = office.clerks as [typeof office.clerks[0], typeof office.clerks[0]];
      for (let i = 0; i < 5; i++) second!.apply("connections");
      second!.isHanging = true;
      const applicants = Array.from({ length: 60 }, () => first!.apply("connections"));
      office.pass(2_000);
      const admitted = applicants.filter(({ outcome }) => outcome === "admitted").length;
      // No worker can take what the other has of its own.
      assertEquals(admitted, most - 10);
      assertEquals(office.refused.length, 30);
      second!.isHanging = false;
      office.pass(300);
      assertEquals(first!.apply("connections").outcome, "waits");
      office.pass(100);
      assertEquals(office.used.get("connections"), most - 10 + 5 + 1);
    });
  });

  it("leaves a worker what it has where the supervisor says nothing", () => {
    const office = new Office(sameTerms({ most: 40, perSecond: 0 }), 2, diceOf(1));
    const [clerk] = office.clerks;
    office.take = () => {};
    const applicants = Array.from({ length: 20 }, () => clerk!.apply("connections"));
    assertEquals(applicants.filter(({ outcome }) => outcome === "admitted").length, 10);
    office.pass(1_500);
    assertEquals(office.refused.length, 10);
    assertEquals(clerk!.apply("connections").outcome, "refused");
    clerk!.release(0);
    assertEquals(clerk!.apply("connections").outcome, "admitted");
  });

  it("costs no message for what a worker has of its own", () => {
    const office = new Office(sameTerms({ most: 40, perSecond: 0 }), 2, diceOf(1));
    for (let i = 0; i < 1_000; i++) {
      for (const clerk of office.clerks) {
        assertEquals(clerk.apply(`address ${i}`).outcome, "admitted");
      }
    }
    assertEquals(office.ledger.size, 0);
    office.pass(10);
    assertEquals(office.ledger.size, 0);
  });
});

describe("the ledger of rates", () => {
  it("lets as much happen as if there were one bucket, on whatever worker", () => {
    eachSeed(RUNS, (seed) => {
      const dice = diceOf(seed);
      const workers = 2 + dice(4);
      const perSecond = 1 + dice(40);
      const most = 1 + dice(80);
      const office = new Office(sameTerms({ most, perSecond }), workers, dice);
      const key = "accepts a";
      // One bucket, by the book; what was spent isn't there.
      let tokens = most;
      let filledMs = 0;
      let total = 0;
      const fill = () => {
        tokens = Math.min(most, tokens + (office.nowMs - filledMs) / 1000 * perSecond);
        filledMs = office.nowMs;
      };
      office.onUse = () => {
        fill();
        tokens--;
        total++;
        // A part of a token for each worker is what rounding may bring.
        assert(tokens > -2, `${tokens} tokens after ${total} at ${office.nowMs} ms`);
      };
      office.onRefusal = ({ askedMs, settledMs }) => {
        fill();
        // What came within the last second may not be known.
        const slack = 2 + workers + perSecond * (settledMs - askedMs + 750) / 1000;
        assert(tokens <= slack, `refused with ${tokens} tokens of ${most}, ${perSecond}/s`);
      };
      for (let step = 0; step < 2_000; step++) {
        const busy = step % 400 < 250;
        if (busy && dice(3) > 0) office.alive[dice(office.alive.length)]!.apply(key);
        office.pass(1 + (busy ? 0 : dice(8)));
      }
      office.pass(1_000 + most / perSecond * 1_000 * 2);
      assertEquals(office.ledger.size, 0);
      for (const clerk of office.alive) assertEquals(clerk.borrower.size, 0);
    });
  });

  it("lets the burst through and no more, all at once and on one worker or all", () => {
    for (const workers of [1, 2, 3, 8]) {
      for (const reached of [1, workers]) {
        const office = new Office(sameTerms({ most: 10, perSecond: 0.01 }), workers, diceOf(7));
        const applicants = Array.from(
          { length: 60 },
          (_, i) => office.clerks[i % reached]!.apply("wrongKeys a"),
        );
        office.pass(300);
        const admitted = applicants.filter(({ outcome }) => outcome === "admitted").length;
        assertEquals(admitted, 10, `${workers} workers, ${reached} reached`);
      }
    }
  });
});
