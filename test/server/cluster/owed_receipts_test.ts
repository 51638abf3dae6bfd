import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { describe, it } from "node:test";
import { RECEIPT_OVERHEAD_BYTES } from "../../../server/limits/costs.ts";
import {
  MAX_OWED_RECEIPTS,
  MAX_OWED_RECEIPTS_IN_NEED,
  OWED_RECEIPTS_SHARE,
} from "../../../server/limits/messages.ts";
import type { OwedReceipt } from "../../../server/cluster/owed_receipts.ts";
import { ReceiptBed, written } from "../../support/memory/receipts_in_memory.ts";

describe("the receipts that a publisher is owed", () => {
  it("go out in the order of its messages, each with all of its parts", () => {
    const given: unknown[] = [];
    const queue = new ReceiptBed().queue(given);
    const first = queue.owe(1);
    first.awaitOneMore();
    const second = queue.owe(2);
    second.take(written(5));
    first.take(written(1));
    assertEquals(given, []);
    first.take(written(2));
    assertEquals(given, [[1, 3], [2, 5]]);
  });

  it("leave out what isn't told", () => {
    const given: unknown[] = [];
    const owed = new ReceiptBed().queue(given).owe(1);
    owed.awaitOneMore();
    owed.take(written(1));
    owed.leaveOut();
    assertEquals(given, [[1, 1]]);
  });

  it("are memory until then", () => {
    const bed = new ReceiptBed();
    const queue = bed.queue();
    const owed = Array.from({ length: 100 }, (_, i) => queue.owe(i));
    const bytes = 100 * RECEIPT_OVERHEAD_BYTES;
    assertEquals([queue.heldBytes, bed.budget.heldBytes], [bytes, bytes]);
    for (const receipt of owed) receipt.take(written(0));
    assertEquals([queue.heldBytes, bed.budget.heldBytes], [0, 0]);
  });

  it("make it wait when they are too many, until half of them are given", () => {
    const bed = new ReceiptBed();
    const queue = bed.queue();
    const owed: OwedReceipt[] = [];
    for (let i = 0; i < MAX_OWED_RECEIPTS; i++) {
      assertEquals([queue.isFull, queue.gate], [false, undefined]);
      owed.push(queue.owe(i));
    }
    let resumed = 0;
    assertNotEquals(queue.gate, undefined);
    queue.gate?.wait({ resume: () => resumed++ });
    const half = MAX_OWED_RECEIPTS / 2;
    for (const receipt of owed.slice(0, half - 1)) receipt.take(written(0));
    bed.runtime.settle();
    assertEquals(resumed, 0);
    owed[half - 1]?.take(written(0));
    bed.runtime.settle();
    assertEquals(resumed, 1);
  });

  it("are few for each where those of all take much memory", () => {
    const bed = new ReceiptBed(
      MAX_OWED_RECEIPTS * RECEIPT_OVERHEAD_BYTES * 10 / OWED_RECEIPTS_SHARE,
    );
    const innocent = bed.queue();
    const few = Array.from({ length: MAX_OWED_RECEIPTS_IN_NEED - 1 }, (_, i) => innocent.owe(i));
    const flooders = Array.from({ length: 1_000 }, () => bed.queue());
    const owed: OwedReceipt[] = [];
    for (let sent = true; sent;) {
      sent = false;
      for (const queue of flooders) {
        if (queue.isFull) continue;
        owed.push(queue.owe(owed.length));
        sent = true;
      }
    }
    assert(owed.length < 1_000 * (MAX_OWED_RECEIPTS_IN_NEED + 1), String(owed.length));
    assertEquals([few.length > 0, innocent.isFull], [true, false]);
    for (const receipt of [...owed, ...few]) receipt.take(written(0));
    assertEquals(flooders.filter((queue) => queue.isFull), []);
    assertEquals(bed.budget.heldBytes, 0);
  });

  it("don't wait behind all who are owed many", () => {
    const bed = new ReceiptBed();
    const given: string[] = [];
    for (let i = 0; i < 100; i++) {
      bed.desk.schedule({ isOwedFew: false, giveReceipts: () => given.push("many") });
    }
    bed.desk.schedule({ isOwedFew: true, giveReceipts: () => given.push("few") });
    bed.runtime.turn();
    assertEquals(given.includes("few"), true);
    bed.runtime.settle();
    assertEquals(given.length, 101);
  });

  it("are given to no more publishers in a turn than the loop bears", () => {
    const bed = new ReceiptBed();
    let given = 0;
    for (let i = 0; i < 10; i++) {
      bed.desk.schedule({ isOwedFew: i % 2 === 0, giveReceipts: () => given++ });
    }
    const counts: number[] = [];
    while (given < 10) {
      bed.runtime.turn();
      counts.push(given);
    }
    assertEquals(counts, [4, 8, 10]);
  });
});
