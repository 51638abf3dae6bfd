import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { CoarseClock } from "../../../server/timing/coarse_clock.ts";
import type { Session } from "../../../server/session/session.ts";
import type { Census } from "../../../server/shares/census.ts";
import { censusOf } from "../../../server/shares/census.ts";
import { Holders } from "../../../server/shares/holders.ts";
import { OtherProcesses } from "../../../server/shares/other_processes.ts";
import { RANKED_HOLDERS } from "../../../server/shares/ranking.ts";

/** A process whose addresses hold as many connections as a test says. */
class Process {
  readonly holders = new Holders();
  readonly clock = new CoarseClock(1_000);
  readonly sent: { readonly census: Census; readonly asks: boolean }[] = [];
  news = 0;
  readonly others = new OtherProcesses({
    holders: this.holders,
    clock: this.clock,
    send: (census, asks) => this.sent.push({ census, asks }),
    onNews: () => this.news++,
  });
  readonly #sessions = new Map<string, Session[]>();

  /** Has an address hold so many connections. */
  set(address: string, count: number): void {
    const sessions = this.#sessions.get(address) ?? [];
    this.#sessions.set(address, sessions);
    while (sessions.length < count) {
      const session = { remoteAddress: address, holderSlot: -1, holder: undefined };
      sessions.push(session as unknown as Session);
      this.holders.add(sessions.at(-1) as Session);
    }
    while (sessions.length > count) this.holders.remove(sessions.pop() as Session);
  }

  /** Asks, and hears what another one says. */
  hear(...others: Process[]): void {
    assertEquals(this.others.ask(), "unsettled");
    this.others.hear(others.map(({ holders }) => censusOf(holders)));
  }

  least(address: string): number {
    const holder = this.holders.find(address);
    assert(holder !== undefined);
    return this.others.leastHeld(holder, "connections");
  }

  most(address: string): number {
    const own = this.holders.find(address)?.held("connections") ?? 0;
    return this.others.mostHeld(address, own, "connections");
  }
}

describe("what is known of other processes", () => {
  it("is asked for once, counts for a second, and is none where no answer comes", () => {
    const process = new Process();
    assertEquals([process.others.ask(), process.others.ask()], ["unsettled", "unsettled"]);
    assertEquals(process.sent.map(({ asks }) => asks), [true]);
    process.others.hear([]);
    assertEquals([process.others.ask(), process.news], ["free", 1]);
    process.clock.nowMs += 999;
    assertEquals(process.others.ask(), "free");
    process.clock.nowMs += 1;
    assertEquals(process.others.ask(), "unsettled");
    process.others.sweep();
    assertEquals(process.news, 1);
    process.clock.nowMs += 1_000;
    process.others.sweep();
    assertEquals([process.others.ask(), process.news, process.sent.length], ["none", 2, 2]);
  });

  it("adds up to what an address holds on all", () => {
    const [here, there] = [new Process(), new Process()];
    here.set("192.0.2.1", 5);
    there.set("192.0.2.1", 7);
    there.set("192.0.2.2", 3);
    here.hear(there);
    assertEquals([here.least("192.0.2.1"), here.most("192.0.2.1")], [12, 12]);
    assertEquals([here.most("192.0.2.2"), here.most("192.0.2.3")], [3, 0]);
    assertEquals(here.others.total("connections"), 10);
    assertEquals(here.others.countHolders(1, "connections"), { least: 2, most: 2 });
  });

  it("takes what has changed here to have changed elsewhere too", () => {
    const [here, there] = [new Process(), new Process()];
    here.set("192.0.2.1", 10);
    there.set("192.0.2.1", 10);
    here.hear(there);
    here.set("192.0.2.1", 4);
    assertEquals(here.least("192.0.2.1"), 8);
    here.set("192.0.2.9", 3);
    assertEquals(here.most("192.0.2.9"), 6);
  });

  it("takes an address that isn't told of to hold as much as it may", () => {
    const [here, there] = [new Process(), new Process()];
    for (let i = 0; i < 2 * RANKED_HOLDERS; i++) there.set(`10.0.0.${i}`, i < 100 ? 4 : 2);
    here.hear(there);
    assertEquals(here.most("192.0.2.1"), 4);
    assertEquals(here.others.countHolders(0, "connections").most, 2 * RANKED_HOLDERS);
  });
});
