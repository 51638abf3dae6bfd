import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { message, publish, publishForReceipt } from "../../support/clients/janus_client.ts";
import { type Applicant, ReadAdmission } from "../../../server/flow/read_admission.ts";
import { dataOf, MemoryBed } from "../../support/memory/memory_bed.ts";

const KIB = 1_024;

/** The most bytes that a runtime reads from a connection at once. */
const READ_BYTES = 32 * KIB;

/** Clients that send without a pause, so many that what is read ahead of each is more than may wait in all. */
const CROWD = 1_000;

/** Turns in which what so many bring at once is read, in small messages of 32 bytes or more. */
const MAX_TURNS_OF_CROWD = 300;

const FLOODERS = 300;
const TURNS_PER_MESSAGE = 20;

/** The most small messages that a turn reads. */
const TURN = 1_024;

describe("a client that says little", () => {
  for (
    const [what, frame] of [
      ["messages", publish(message("nobody"))],
      ["messages for receipts", publishForReceipt(message("nobody"))],
    ] as const
  ) {
    it(`waits for no backlog of others at its address, of ${what}`, async () => {
      // What a runtime reads of each at once.
      const bed = await MemoryBed.start({}, { bufferBytes: 4_096 });
      const reader = bed.subscribed(["calm"]);
      const publisher = bed.dial();
      publisher.send(publish(message("calm", -1)));
      const flooders = Array.from({ length: FLOODERS }, () => bed.dial());
      for (const flooder of flooders) flooder.send(frame.repeat(1_500));
      const { counters } = bed.server;
      for (let turn = 0; turn < 50; turn++) bed.net.turn();
      let worst = 0;
      for (let n = 0; n < 6; n++) {
        const before = counters.messagesIn;
        const arrived = dataOf(reader).length;
        publisher.send(publish(message("calm", n)));
        for (let turn = 0; turn < TURNS_PER_MESSAGE || dataOf(reader).length === arrived; turn++) {
          bed.net.turn();
          if (dataOf(reader).length > arrived) continue;
          worst = Math.max(worst, counters.messagesIn - before);
        }
      }
      assertGreater(flooders.filter(({ unreadBytes }) => unreadBytes > 0).length, FLOODERS / 2);
      assertLess(worst, 3 * TURN);
      assertEquals(bed.ended, []);
      for (const flooder of flooders) flooder.reset();
      bed.net.settle();
      assertEquals(dataOf(reader), Array.from({ length: 7 }, (_, i) => i - 1));
    });
  }
});

describe("a client of large messages", () => {
  for (
    const [where, from] of [["at another address", "10.0.0.2"], [
      "at the same",
      "10.0.0.1",
    ]] as const
  ) {
    it(`waits for no backlog of those that fill what is read at once, ${where}`, async () => {
      const bed = await MemoryBed.start({}, { bufferBytes: 256 * KIB });
      const reader = bed.subscribed(["calm"], { from });
      const publisher = bed.dial({ from });
      const flooders = Array.from({ length: 100 }, () => bed.dial({ from: "10.0.0.1" }));
      const flood = publish(message("nobody", "x".repeat(30 * KIB))).repeat(40);
      for (const flooder of flooders) flooder.send(flood);
      const { counters } = bed.server;
      // Until what arrived at first is read, and they wait for their admission.
      while (counters.bytesIn < 100 * 256 * KIB) bed.net.turn();
      let worst = 0;
      for (let n = 0; n < 5; n++) {
        const before = counters.bytesIn;
        publisher.send(publish(message("calm", n + "y".repeat(50 * KIB))));
        while (dataOf(reader).length === n) bed.net.turn();
        worst = Math.max(worst, counters.bytesIn - before);
      }
      assertGreater(flooders.filter(({ unreadBytes }) => unreadBytes > 0).length, 50);
      assertLess(worst / KIB, 16 * 1_024);
      assertEquals(bed.ended, []);
    });
  }
});

/** Has a crowd send a frame again and again; what it returns is a turn of the loop meanwhile. */
function crowdOf(bed: MemoryBed, frame: string): () => void {
  const flood = frame.repeat(Math.ceil(READ_BYTES / frame.length));
  const crowd = Array.from({ length: CROWD }, () => bed.dial());
  for (const peer of crowd) peer.send(flood);
  let turns = 0;
  return () => {
    bed.net.turn();
    // On a slow machine, so that what waits does so for long.
    if (++turns % 10 === 0) bed.beginSweep();
    for (const peer of crowd) if (peer.unreadBytes < READ_BYTES) peer.send(flood);
  };
}

describe("a crowd that sends without a pause", () => {
  it("is read on only as what it has sent is read, however long that waits", async () => {
    const bed = await MemoryBed.start({}, { bufferBytes: READ_BYTES });
    const turn = crowdOf(bed, publish(message("nobody")));
    for (let turns = 0; turns < MAX_TURNS_OF_CROWD; turns++) turn();
    assertLess(bed.server.heldBytes / KIB, 12 * KIB);
    assertEquals(bed.ended, []);
  });
});

describe("a client in the middle of a large message", () => {
  for (
    const [what, frame] of [
      ["small messages", publish(message("nobody"))],
      ["small messages for receipts", publishForReceipt(message("nobody"))],
      ["large messages", publish(message("nobody", "x".repeat(30 * KIB)))],
    ] as const
  ) {
    it(`isn't kept waiting by a thousand at its address that send without a pause, ${what}`, async () => {
      const bed = await MemoryBed.start({}, { bufferBytes: READ_BYTES });
      const reader = bed.subscribed(["calm"]);
      const publisher = bed.dial();
      const large = publish(message("calm", "y".repeat(60 * KIB)));
      const turn = crowdOf(bed, frame);
      const { counters } = bed.server;
      publisher.send(large.slice(0, -10));
      for (let turns = 0; turns < 100; turns++) turn();
      publisher.send(large.slice(-10));
      const before = counters.bytesIn;
      let turns = 0;
      while (dataOf(reader).length === 0 && turns++ < MAX_TURNS_OF_CROWD) turn();
      assertEquals(dataOf(reader).length, 1);
      assertLess(counters.bytesIn - before, CROWD * READ_BYTES);
      assertEquals(bed.ended, []);
    });
  }
});

describe("the admission of those that send much", () => {
  function applicant(site: string, broughtBytes: number): Applicant {
    return { site, broughtBytes, resume() {} };
  }

  function takeAll(admission: ReadAdmission): Applicant[] {
    const taken: Applicant[] = [];
    while (!admission.isEmpty) taken.push(admission.take()!);
    return taken;
  }

  it("takes addresses in turns", () => {
    const admission = new ReadAdmission();
    for (let i = 0; i < 100; i++) admission.wait(applicant("crowd", 1));
    admission.wait(applicant("one", 1));
    admission.wait(applicant("two", 1));
    const sites = takeAll(admission).map(({ site }) => site);
    assertEquals(sites.slice(0, 4), ["crowd", "one", "two", "crowd"]);
    assertEquals(sites.length, 102);
  });

  it("takes those that brought little first, and more often than others", () => {
    const admission = new ReadAdmission();
    const [heavy, light] = [applicant("site", 44 * KIB), applicant("site", 10 * KIB)];
    admission.wait(heavy);
    admission.wait(light);
    let order = "";
    while (order.length < 15) {
      const taken = admission.take()!;
      order += taken === light ? "l" : "H";
      admission.wait(taken);
    }
    assertEquals(order, "llllHllllHlllll");
  });

  it("forgets one that leaves", () => {
    const admission = new ReadAdmission();
    const [gone, other] = [applicant("a", 1), applicant("b", 2)];
    admission.wait(gone);
    admission.wait(other);
    admission.leave(gone);
    admission.leave(gone);
    assertEquals([admission.take() === other, admission.isEmpty], [true, true]);
    assertEquals(admission.take(), undefined);
  });
});
