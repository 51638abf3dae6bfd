import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { Faults } from "../../../../tools/soak/checks/faults.ts";
import {
  type Journeys,
  type Lane,
  Ledger,
  messageTail,
  parseDelivery,
} from "../../../../tools/soak/checks/ledger.ts";
import { SubscriptionCheck } from "../../../../tools/soak/checks/subscription_check.ts";

/** A topic, one lane of it, and a subscription that was acknowledged when ten had been sent. */
function scene(journeys: Journeys | null = null) {
  const ledger = new Ledger();
  const faults = new Faults();
  const lane = ledger.open("topic", 100, journeys);
  lane.sent = 10;
  const check = new SubscriptionCheck("topic", "somebody", ledger, faults);
  let micros = 1_795_000_000_000_000;
  const receive = (number: number, of: Lane = lane, text = messageTail(of, number)) => {
    micros++;
    const frame = frameOf(micros, text);
    check.receive(parseDelivery(frame)!);
  };
  return { ledger, faults, lane, check, receive };
}

function frameOf(micros: number, tail: string): string {
  const stamp = [Math.floor(micros / 1e12), Math.floor(micros / 1e6) % 1e6, micros % 1e6];
  return `{"timestamp":[${stamp.join(",")}],${tail}`;
}

describe("a healthy subscription's check", () => {
  it("is content with everything from the ACK on, in order, and with some from before it", () => {
    const { faults, lane, check, receive } = scene();
    lane.sent = 14;
    for (const number of [8, 9, 10, 11, 12]) receive(number);
    assertEquals(check.isComplete, false);
    receive(13);
    assertEquals(check.isComplete, true);
    check.settle();
    assertEquals(faults.counts, {});
  });

  it("misses what was sent after the ACK and didn't come first", () => {
    const { faults, lane, receive } = scene();
    lane.sent = 14;
    receive(12);
    assertEquals(faults.counts, { missing: 2 });
  });

  it("tells a gap, a late message and a repeated one apart", () => {
    const { faults, lane, receive } = scene();
    lane.sent = 14;
    for (const number of [10, 12, 11, 12]) receive(number);
    assertEquals(faults.counts, { missing: 1, reordered: 1, duplicate: 1 });
  });

  it("misses the last ones too, but not those of a publisher that went with its worker", () => {
    const { faults, lane, check, receive } = scene();
    lane.sent = 14;
    receive(10);
    check.settle();
    assertEquals(faults.counts, { missing: 3 });
    lane.isLost = true;
    check.settle();
    assertEquals(faults.counts, { missing: 3 });
    // What did come of it must be whole all the same.
    receive(12);
    assertEquals(faults.counts, { missing: 4 });
  });

  it("goes on after a break without a gap, and without what it had", () => {
    const { faults, lane, check, receive } = scene();
    lane.sent = 14;
    receive(10);
    check.goOn([]);
    for (const number of [11, 11, 13]) receive(number);
    assertEquals(faults.counts, { duplicate: 1, missing: 1 });
  });

  it("lets what a process had accepted be lost only where the server says that it crashed", () => {
    for (const crashed of [[], ["aa"], ["bb"]]) {
      const { ledger, faults, lane, check, receive } = scene();
      const other = new SubscriptionCheck("topic", "another", ledger, faults);
      lane.sent = 14;
      receive(10);
      for (const number of [10, 11, 12]) {
        other.receive(parseDelivery(frameOf(5e12 + number, messageTail(lane, number)))!, "aa");
      }
      lane.isLost = true;
      lane.lostMs = performance.now() - 20_000;
      check.goOn(crashed);
      // It is named once.
      check.goOn([]);
      check.settle();
      assertEquals(faults.counts, crashed[0] === "aa" ? {} : { missing: 2 });
      assertEquals(ledger.wronglyCrashed, []);
    }
  });

  it("notices that the messages of one connection are said to be of two processes", () => {
    const { ledger, faults, lane, check } = scene();
    lane.sent = 13;
    for (const [number, origin] of [[10, "aa"], [11, "aa"], [12, "bb"]] as const) {
      check.receive(parseDelivery(frameOf(5e12 + number, messageTail(lane, number)))!, origin);
    }
    assertEquals(faults.counts, { resume: 1 });
    ledger.crashed.add("aa");
    assertEquals(ledger.wronglyCrashed, [lane]);
  });

  it("is owed everything by a publisher that comes after the ACK", () => {
    const { ledger, faults, check, receive } = scene();
    const late = ledger.open("topic", 100);
    late.sent = 3;
    assertEquals(check.isComplete, false);
    receive(1, late);
    assertEquals(faults.counts, { missing: 1 });
  });

  it("knows messages that no client sent, or not so", () => {
    const { ledger, faults, lane, receive } = scene();
    receive(10);
    receive(0, { ...ledger.open("topic", 100), id: 7 });
    assertEquals(faults.counts, { foreign: 2 });
    lane.sent = 11;
    receive(10, lane, messageTail(lane, 10).replace(/.."}$/, '."}'));
    assertEquals(faults.counts, { foreign: 2, damaged: 1 });
  });

  it("wants nothing after an unsubscribe that the server has read, but takes what is late", () => {
    const { faults, lane, check, receive } = scene();
    lane.sent = 12;
    receive(10);
    check.close();
    lane.sent = 14;
    receive(11);
    assertEquals(faults.counts, {});
    receive(12);
    assertEquals(faults.counts, { after_unsubscribe: 1 });
  });

  it("wants no order of those who come with one message each, but each once", () => {
    const journeys = { isExcused: (number: number) => number === 12, beganMs: () => 0 };
    const { faults, lane, check, receive } = scene(journeys);
    lane.sent = 14;
    for (const number of [13, 10, 9, 13]) receive(number);
    assertEquals(faults.counts, { duplicate: 1 });
    check.settle();
    assertEquals(faults.counts, { duplicate: 1, missing: 1 });
  });

  it("wants a publisher's timestamps to grow", () => {
    const { ledger, faults, lane, check } = scene();
    lane.sent = 13;
    for (const [number, micros] of [[10, 5e12], [11, 5e12 + 1], [12, 5e12 + 1]] as const) {
      check.receive(parseDelivery(frameOf(micros, messageTail(lane, number)))!);
    }
    assertEquals([ledger.published, faults.counts], [13, { timestamp: 1 }]);
  });
});

describe("a soak's messages", () => {
  it("are valid JSON of any size up to the lane's", () => {
    const ledger = new Ledger();
    for (const maxBytes of [0, 1, 7, 200, 32 * 1024]) {
      const lane = ledger.open("topic", maxBytes);
      for (let number = 0; number < 500; number++) {
        const { data, message_id } = JSON.parse(`{${messageTail(lane, number)}`);
        assertEquals(message_id, `${lane.id}.${number}`);
        const bytes = new TextEncoder().encode(data);
        assertEquals(new TextDecoder("utf-8", { fatal: true }).decode(bytes), data);
        assertEquals(bytes.length <= maxBytes, true, `${bytes.length} of ${maxBytes}`);
      }
    }
  });
});
