import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { RECEIPT_DEADLINE_MS } from "../../../server/limits/processes.ts";
import { ReceiptExchange } from "../../../server/machines/receipt_exchange.ts";
import type { RemoteReceipt } from "../../../server/machines/wire/frames.ts";
import { ReceiptBed, written } from "../../support/memory/receipts_in_memory.ts";

/** What a process of a machine exchanges with the machines a and b, and with its siblings 1 and 2. */
function exchangeOf({ collects = true } = {}) {
  const bed = new ReceiptBed();
  const sent: [machine: string | undefined, receipts: readonly RemoteReceipt[]][] = [];
  const exchange = new ReceiptExchange({
    runtime: bed.runtime,
    clock: bed.clock,
    collects: () => collects,
    siblings: () => ["1", "2"],
    machineOf: (origin) => origin.split("-")[0],
    send: (receipts, machine) => sent.push([machine, receipts]),
  });
  const given: unknown[] = [];
  const queue = bed.queue(given);
  /** A receipt that waits for these machines, and of which this process has counted one subscriber. */
  const owe = (micros: number, ...machines: string[]) => {
    const owed = queue.owe(micros);
    exchange.await(owed, new Set(machines));
    owed.take(written(1));
    return owed;
  };
  return { bed, exchange, sent, given, owe };
}

function receiptOf(micros: number, count: number, origin = "own"): RemoteReceipt {
  return { origin, micros, ...written(count) };
}

describe("the receipt for a message that goes to other machines", () => {
  it("waits for what each has counted, once", () => {
    const { exchange, given, owe } = exchangeOf();
    const owed = owe(7, "a", "b");
    exchange.take("a", receiptOf(7, 20));
    for (const machine of ["a", "stranger"]) exchange.take(machine, receiptOf(7, 500));
    exchange.take("b", receiptOf(8, 500));
    assertEquals([given, exchange.awaitsSome], [[], true]);
    exchange.take("b", receiptOf(7, 300));
    assertEquals([given, exchange.awaitsSome], [[[7, 321]], false]);
    assertEquals(owed.peers, { asked: 2, answered: 2 });
  });

  it("waits for none where there is none", () => {
    const { exchange, given, owe } = exchangeOf();
    assertEquals(owe(7).peers, { asked: 0, answered: 0 });
    assertEquals([given, exchange.awaitsSome], [[[7, 1]], false]);
  });

  it("leaves out those that are gone, and says so", () => {
    const { exchange, given, owe } = exchangeOf();
    const owed = [owe(7, "a", "b"), owe(8, "b"), owe(9, "a")];
    exchange.removeMachine("b");
    assertEquals(given, []);
    exchange.take("a", receiptOf(7, 20));
    exchange.take("b", receiptOf(8, 500));
    assertEquals([given, exchange.awaitsSome], [[[7, 21], [8, 1]], true]);
    assertEquals(owed.map(({ peers }) => peers!.answered), [1, 0, 0]);
  });

  it("leaves out those that haven't answered within ten seconds", () => {
    const { bed, exchange, given, owe } = exchangeOf();
    const owed = owe(7, "a", "b");
    exchange.take("a", receiptOf(7, 20));
    bed.clock.nowMs = RECEIPT_DEADLINE_MS - 1;
    owe(8, "a", "b");
    exchange.sweep();
    assertEquals(given, []);
    bed.clock.nowMs++;
    exchange.sweep();
    exchange.take("b", receiptOf(7, 500));
    assertEquals([given, exchange.awaitsSome], [[[7, 21]], true]);
    assertEquals(owed.peers, { asked: 2, answered: 1 });
    bed.clock.nowMs += RECEIPT_DEADLINE_MS;
    exchange.sweep();
    assertEquals([given, exchange.awaitsSome], [[[7, 21], [8, 1]], false]);
  });
});

describe("what a machine tells another of that one's message", () => {
  it("is the sum of what its processes have counted, each once", () => {
    const { bed, exchange, sent } = exchangeOf();
    exchange.takerFor("a-1", 7).take({ matched: 10, written: 5, queued: 3, evicted: 2 });
    for (const count of [20, 500]) exchange.takeFromSibling("1", receiptOf(7, count, "a-1"));
    for (const origin of ["a-2", "b-1"]) exchange.takeFromSibling("2", receiptOf(7, 500, origin));
    bed.runtime.settle();
    assertEquals(sent, []);
    exchange.takeFromSibling("2", receiptOf(7, 300, "a-1"));
    bed.runtime.settle();
    const sum = { matched: 330, written: 325, queued: 3, evicted: 2 };
    assertEquals(sent, [["a", [{ origin: "a-1", micros: 7, ...sum }]]]);
  });

  it("leaves out a process that has ended", () => {
    const { bed, exchange, sent } = exchangeOf();
    const taker = exchange.takerFor("a-1", 7);
    exchange.removeSibling("1");
    exchange.takeFromSibling("2", receiptOf(7, 20, "a-1"));
    taker.take(written(1));
    exchange.takerFor("a-1", 8).take(written(1));
    exchange.takeFromSibling("1", receiptOf(8, 20, "a-1"));
    exchange.removeSibling("2");
    bed.runtime.settle();
    assertEquals(sent, [["a", [receiptOf(7, 21, "a-1"), receiptOf(8, 21, "a-1")]]]);
  });

  it("is nothing once nobody waits for it any more", () => {
    const { bed, exchange, sent } = exchangeOf();
    const late = exchange.takerFor("a-1", 7);
    bed.clock.nowMs = RECEIPT_DEADLINE_MS - 1;
    const intime = exchange.takerFor("a-1", 8);
    bed.clock.nowMs++;
    exchange.sweep();
    for (const taker of [late, intime]) taker.take(written(1));
    for (const sibling of ["1", "2"]) {
      for (const micros of [7, 8]) exchange.takeFromSibling(sibling, receiptOf(micros, 10, "a-1"));
    }
    bed.runtime.settle();
    assertEquals(sent, [["a", [receiptOf(8, 21, "a-1")]]]);
  });

  it("goes to each machine in frames that NATS takes", () => {
    const { bed, exchange, sent } = exchangeOf({ collects: false });
    for (let micros = 0; micros < 2_001; micros++) {
      for (const origin of ["a-1", "b-1"]) exchange.takerFor(origin, micros).take(written(1));
    }
    bed.runtime.settle();
    assertEquals(sent.map(([machine, { length }]) => [machine, length]), [
      ["a", 2_000],
      ["a", 1],
      ["b", 2_000],
      ["b", 1],
    ]);
  });
});
