import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { LibraryLedger } from "../../../../tools/soak/checks/library_ledger.ts";

function ledgerWith(accepted: number, lane = 1): { ledger: LibraryLedger; faults: string[] } {
  const faults: string[] = [];
  const ledger = new LibraryLedger((kind, detail, count) =>
    faults.push(`${count} ${kind} ${detail}`)
  );
  for (let i = 0; i < accepted; i++) ledger.settle(ledger.send(lane), "accepted");
  return { ledger, faults };
}

describe("the ledger of a program that uses the client library", () => {
  it("takes each message once, in its publisher's order", () => {
    const { ledger, faults } = ledgerWith(3);
    const other = ledger.send(2);
    // Two connections have no order between them.
    for (const number of [0, other, 1, 2]) ledger.receive(number);
    ledger.settle(other, "unknown");
    ledger.close();
    assertEquals(faults, []);
    assertEquals([ledger.accepted, ledger.unknown, ledger.delivered], [3, 1, 4]);
    for (const number of [1, other, 17]) ledger.receive(number);
    assertEquals(faults, [
      "1 duplicate message 1",
      "1 duplicate message 3",
      "1 foreign message 17",
    ]);
  });

  it("misses what was accepted, as soon as a later one comes, or at the end", () => {
    const { ledger, faults } = ledgerWith(5);
    const unknown = ledger.send(1);
    const late = ledger.send(1);
    for (const number of [0, 2, 4]) ledger.receive(number);
    assertEquals(faults, [
      "1 missing message 1, which was accepted, though later ones came",
      "1 missing message 3, which was accepted, though later ones came",
    ]);
    ledger.settle(unknown, "unknown");
    assertEquals([ledger.owed, ledger.isWaiting], [[], true]);
    ledger.settle(late, "accepted");
    assertEquals([ledger.owed, ledger.isWaiting], [[late], false]);
    ledger.close();
    assertEquals(faults.slice(2), [`1 missing 1 accepted messages: ${late}`]);
    ledger.receive(3);
    assertEquals(faults.slice(3), ["1 reordered message 3 behind 4"]);
  });

  it("takes a receipt that comes behind later messages", () => {
    const { ledger, faults } = ledgerWith(0);
    const numbers = [1, 2, 3].map(() => ledger.send(1));
    for (const number of numbers.slice(1)) ledger.receive(number);
    assertEquals(faults, []);
    ledger.settle(0, "accepted");
    assertEquals(faults, ["1 missing message 0, which was accepted, though later ones came"]);
    const refused = ledger.send(1);
    ledger.receive(refused);
    ledger.settle(refused, "refused");
    assertEquals(faults.length, 2);
  });

  it("excuses at a gap what hasn't come by then, and nothing else", () => {
    const { ledger, faults } = ledgerWith(4);
    ledger.receive(0);
    ledger.excuse();
    const after = ledger.send(1);
    ledger.settle(after, "accepted");
    ledger.receive(2);
    assertEquals(ledger.owed, [after]);
    ledger.close();
    assertEquals(faults, [`1 missing 1 accepted messages: ${after}`]);
  });

  it("forgets what is done with, and knows it all the same when it comes twice", () => {
    const { ledger, faults } = ledgerWith(15_000);
    for (let number = 0; number < 15_000; number++) ledger.receive(number);
    ledger.receive(3);
    ledger.receive(14_999);
    assertEquals(faults, ["1 duplicate message 3", "1 duplicate message 14999"]);
  });
});
