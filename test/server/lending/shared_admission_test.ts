import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import type { Attempt, Refusal } from "../../../server/access/admission.ts";
import { type RoomMaker, SharedAdmission } from "../../../server/lending/shared_admission.ts";
import { termsOf } from "../../../server/lending/terms.ts";
import type { Limits } from "../../../server/limits.ts";
import { completeLimits } from "../../../server/serve.ts";
import { type Clerk, diceOf, eachSeed, Office } from "./office.ts";

/** Lets nobody give way. */
const NO_ROOM: RoomMaker = {
  yieldingCount: 0,
  mayMakeRoom: () => "none",
  makeRoom: () => "none",
};

/** A door of the server: one of its processes, which admits connections. */
class Door {
  readonly admission: SharedAdmission;
  readonly admitted: string[] = [];
  readonly refusals: Refusal[] = [];
  held = 0;
  readonly #clerk: Clerk;

  constructor(limits: Limits, clerk: Clerk, maxOwn = Infinity) {
    this.#clerk = clerk;
    const countOwn = () => this.admitted.length + this.held;
    this.admission = new SharedAdmission(
      limits,
      maxOwn,
      clerk.borrower,
      countOwn,
      () => this.held,
      NO_ROOM,
    );
  }

  connect(address: string): void {
    const answer = this.admission.admit(address);
    if (answer === undefined || !("retry" in answer)) return this.#settle(address, answer);
    this.held++;
    this.#hold(address, answer);
  }

  leave(): void {
    const address = this.admitted.shift();
    if (address !== undefined) this.admission.leave(address);
  }

  #hold(address: string, attempt: Attempt): void {
    this.#clerk.borrower.wait({
      resume: () => {
        const outcome = attempt.retry();
        if (outcome === "unsettled") return this.#hold(address, attempt);
        this.held--;
        this.#settle(address, outcome);
      },
    });
  }

  #settle(address: string, refusal: Refusal | undefined): void {
    if (refusal === undefined) this.admitted.push(address);
    else this.refusals.push(refusal);
  }
}

describe("the admission that workers share", () => {
  it("lets in all that their address and the server have room for", () => {
    eachSeed(20, (seed) => {
      const dice = diceOf(seed);
      const workers = 2 + dice(3);
      const limits = completeLimits({
        maxConnections: 1 + dice(300),
        maxConnectionsPerIp: 1 + dice(150),
        acceptRate: 100_000,
      });
      const office = new Office(termsOf(limits), workers, dice, 1 + dice(20));
      const doors = office.clerks.map((clerk) => new Door(limits, clerk));
      const burst = 1 + dice(100);
      for (let round = 0; round < 3; round++) {
        const came = new Map<string, number>();
        const addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].slice(dice(3));
        for (let i = 0; i < 500; i++) {
          if (dice(burst) === 0) office.pass(1 + dice(20));
          const address = addresses[dice(addresses.length)]!;
          came.set(address, (came.get(address) ?? 0) + 1);
          doors[dice(workers)]!.connect(address);
        }
        office.pass(1_000);
        let most = 0;
        for (const count of came.values()) most += Math.min(count, limits.maxConnectionsPerIp);
        const admitted = doors.reduce((sum, door) => sum + door.admitted.length, 0);
        assertEquals(admitted, Math.min(most, limits.maxConnections), `round ${round}`);
        assertEquals(doors.reduce((sum, { held }) => sum + held, 0), 0);
        for (const door of doors) while (door.admitted.length > 0) door.leave();
        office.pass(2_000);
        for (const { admission } of doors) assertEquals(admission.addressCount, 0);
      }
    });
  });

  it("refuses what a worker has no descriptor for, and says so", () => {
    const limits = completeLimits({ maxConnections: 100 });
    const office = new Office(termsOf(limits), 2, diceOf(1));
    const door = new Door(limits, office.clerks[0]!, 60);
    for (let i = 0; i < 70; i++) door.connect("192.0.2.1");
    office.pass(100);
    assertEquals(door.admitted.length, 60);
    assertEquals(
      new Set(door.refusals.map(({ detail }) => detail)),
      new Set([
        "All 60 connections of one of the server's processes are taken",
      ]),
    );
  });

  it("holds nothing against peers on the machine's own sockets but the maximum", () => {
    const limits = completeLimits({ maxConnections: 100, maxConnectionsPerIp: 1, acceptRate: 1 });
    const office = new Office(termsOf(limits), 2, diceOf(1));
    const door = new Door(limits, office.clerks[0]!);
    for (let i = 0; i < 120; i++) door.connect("");
    office.pass(100);
    assertEquals(door.admitted.length, 100);
    assertEquals(door.admission.roomForKey(""), "free");
  });

  it("reports one refusal of an address a second", () => {
    const limits = completeLimits({ maxConnections: 100, maxConnectionsPerIp: 4 });
    const office = new Office(termsOf(limits), 2, diceOf(1));
    const door = new Door(limits, office.clerks[0]!);
    for (let i = 0; i < 3_000; i++) {
      door.connect("192.0.2.1");
      office.tick();
      if (i % 250 === 0) door.admission.sweep();
    }
    const news = door.refusals.filter(({ isNews }) => isNews);
    assertEquals(news.length, 3);
    assertEquals(door.refusals.every(({ isOfAddress }) => isOfAddress), true);
  });
});
