import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { ReceiptCheck } from "../../../../tools/soak/checks/receipt_check.ts";

function receipt(micro: number, counts: readonly number[]): string {
  const [matched, written, queued, evicted] = counts;
  return `{"timestamp":[1,2,${micro}],"receipt":${
    JSON.stringify({ matched, written, queued, evicted })
  }}`;
}

describe("the check of receipts", () => {
  it("is content with those that were asked for and add up", () => {
    const check = new ReceiptCheck();
    check.ask();
    check.ask();
    assertEquals(check.take(receipt(1, [6, 3, 2, 1])), "fine");
    assertEquals(check.owed, 1);
    assertEquals(check.take(receipt(2, [0, 0, 0, 0])), "fine");
    assertEquals(check.owed, 0);
    // A member of a cluster says how many others have counted, too.
    check.ask();
    const peers = receipt(3, [1, 1, 0, 0]).replace(/\}\}$/, ',"peers":{"asked":2,"answered":1}}}');
    assertEquals(check.take(peers), "fine");
  });

  for (
    const [what, frame] of [
      ["that doesn't add up", receipt(7, [6, 3, 2, 2])],
      ["of the message before", receipt(5, [1, 1, 0, 0])],
    ] as const
  ) {
    it(`finds one ${what}`, () => {
      const check = new ReceiptCheck();
      check.ask();
      check.ask();
      assertEquals(check.take(receipt(5, [1, 1, 0, 0])), "fine");
      assertEquals(check.take(frame), "wrong");
    });
  }

  it("finds one that wasn't asked for", () => {
    assertEquals(new ReceiptCheck().take(receipt(1, [0, 0, 0, 0])), "wrong");
  });

  it("leaves other frames alone", () => {
    const check = new ReceiptCheck();
    check.ask();
    assertEquals(check.take('{"timestamp":[1,2,3],"topic":"t"}'), "none");
    assertEquals(check.owed, 1);
  });
});
