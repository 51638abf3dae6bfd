import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import * as fc from "fast-check";
import { describe, it } from "node:test";
import { STALL_MS } from "../../../server/limits/clients.ts";
import { MAX_COLLECTED_BYTES } from "../../../server/limits/messages.ts";
import { maxOwedFor } from "../../../server/limits/processes.ts";
import { AnswerDecoder, AnswerEncoder } from "../../../server/cluster/link_answers.ts";
import { completeLimits } from "../../../server/serve.ts";
import { publish } from "../../support/clients/janus_client.ts";
import { dataOf, MemoryBed } from "../../support/memory/memory_bed.ts";
import type { MemoryPeer } from "../../support/memory/memory_peer.ts";

const KIB = 1024;
const MIB = KIB * KIB;

type Answer =
  | readonly ["pulse"]
  | readonly ["receipt", number]
  | readonly [
    "hold" | "let go",
    string,
  ];

const answer: fc.Arbitrary<Answer> = fc.oneof(
  fc.constant(["pulse"] as const),
  fc.tuple(fc.constant("receipt" as const), fc.nat()),
  fc.tuple(
    fc.constantFrom("hold", "let go" as const),
    fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 20 }),
      fc.constantFrom("", "\ufeffnews", "x".repeat(256)),
    ),
  ),
);

function encoded(answers: readonly Answer[]): Uint8Array {
  const encoder = new AnswerEncoder();
  for (const [kind, value] of answers) {
    if (kind === "pulse") encoder.appendPulse();
    else if (kind === "hold") encoder.appendHold(value);
    else if (kind === "let go") encoder.appendLetGo(value);
    else {encoder.appendReceipt(Number(value), {
        matched: Number(value),
        written: 1,
        queued: 2,
        evicted: 3,
      });}
  }
  return encoder.take();
}

function decoded(bytes: Uint8Array, pieceBytes: number): Answer[] {
  const answers: Answer[] = [];
  const decoder = new AnswerDecoder();
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    const piece = bytes.slice(start, start + pieceBytes);
    decoder.push(piece, {
      onReceipt: (micros, receipt) => {
        assertEquals(receipt, { matched: micros, written: 1, queued: 2, evicted: 3 });
        answers.push(["receipt", micros]);
      },
      onHold: (topic) => answers.push(["hold", topic]),
      onLetGo: (topic) => answers.push(["let go", topic]),
    });
    piece.fill(0xff);
  }
  return answers;
}

/** Publishes so many messages to a topic, numbered, each of so many bytes. */
function publishMany(peer: MemoryPeer, topic: string, count: number, bytes: number): void {
  for (let i = 0; i < count; i++) {
    peer.send(publish(`{"topic":"${topic}","data":${i},"x":"${"x".repeat(bytes)}"}`));
  }
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

describe("what a process says of another's messages", () => {
  it("arrives however it's split", () => {
    fc.assert(fc.property(fc.array(answer), fc.integer({ min: 1, max: 300 }), (answers, size) => {
      const expected = answers.filter(([kind]) => kind !== "pulse");
      assertEquals(decoded(encoded(answers), size), expected);
    }));
  });
});

describe("a link between two processes", () => {
  it("isn't held up by a slow reader of one topic, whose publishers wait", async () => {
    for (const answers of ["at once", "late"] as const) {
      const [first, second] = await MemoryBed.linked(2, {}, { answers });
      const slow = second.subscribed(["x"]);
      slow.stall();
      const reader = second.subscribed(["y"]);
      const flood = first.dial();
      publishMany(flood, "x", 600, 20_000);
      const step = () => void slow.take(64 * KIB);
      first.pass(1_000, step);
      second.pass(1_000, step);
      // The publisher waits, and what was under way waits where the reader is, in one copy.
      assertGreater(flood.unreadBytes, 4 * MIB);
      assertGreater(second.server.heldBytes, MIB / 2);
      assertLess(second.server.heldBytes, 5 * MAX_COLLECTED_BYTES);
      const publisher = first.dial();
      publishMany(publisher, "y", 20, 20_000);
      first.net.settle();
      assertEquals(dataOf(reader), numbers(20));
      assertEquals(publisher.unreadBytes, 0);
      // Nothing is lost of what waited.
      slow.flow();
      first.net.settle();
      assertEquals(flood.unreadBytes, 0);
      assertEquals(dataOf(slow), numbers(600));
    }
  });

  it("lets a topic go on whose slow reader has gone", async () => {
    const [first, second] = await MemoryBed.linked(2);
    const slow = second.subscribed(["x"]);
    const reader = second.subscribed(["x"]);
    slow.stall();
    const publisher = first.dial();
    publishMany(publisher, "x", 300, 20_000);
    second.pass(250, () => void slow.take(64 * KIB));
    assertGreater(publisher.unreadBytes, 0);
    slow.reset();
    second.pass(1_000);
    assertEquals(publisher.unreadBytes, 0);
    assertEquals(dataOf(reader), numbers(300));
  });

  it("makes publishers wait on, beyond a second, for a process that says it's alive", async () => {
    const [first, second] = await MemoryBed.linked(2);
    const slow = second.subscribed(["x"]);
    slow.stall();
    const publisher = first.dial();
    publishMany(publisher, "x", 600, 20_000);
    for (let passed = 0; passed < 3_000; passed += 250) {
      for (const bed of [first, second]) bed.pass(250, () => void slow.take(16 * KIB));
    }
    assertGreater(publisher.unreadBytes, 4 * MIB);
    assertEquals(first.server.counters.linkStalls, 0);
    for (const peer of [slow, publisher]) peer.reset();
    first.net.settle();
  });
});

describe("a process that hangs", () => {
  const limits = { maxTotalPendingBytes: 64 * MIB };
  const mostOwed = maxOwedFor(completeLimits(limits));

  /** A publisher that waits, since the second process holds its topic for a slow reader. */
  const held = async () => {
    const [first, second] = await MemoryBed.linked(2, limits);
    const slow = second.subscribed(["x"]);
    slow.stall();
    const publisher = first.dial();
    publishMany(publisher, "x", 600, 20_000);
    for (const bed of [first, second]) bed.pass(250, () => void slow.take(64 * KIB));
    assertGreater(publisher.unreadBytes, 4 * MIB);
    return { first, second, slow, publisher };
  };

  it("holds publishers of the others up for a second, and gets all when it goes on", async () => {
    const [first, second, third] = await MemoryBed.linked(3, limits);
    const readers = [first, second, third].map((bed) => bed.subscribed(["t"]));
    third.hangs = true;
    const publisher = first.dial();
    publishMany(publisher, "t", 400, 20_000);
    first.net.settle();
    assertGreater(publisher.unreadBytes, 4 * MIB);
    for (let passed = 0; passed < STALL_MS + 500; passed += 250) {
      for (const bed of [first, second]) bed.pass(250);
    }
    assertEquals(publisher.unreadBytes, 0);
    assertEquals(first.server.counters.linkStalls, 1);
    assertEquals(first.overdue, []);
    for (const reader of readers.slice(0, 2)) assertEquals(dataOf(reader), numbers(400));
    third.hangs = false;
    third.pass(500);
    first.pass(500);
    for (const reader of readers) assertEquals(dataOf(reader), numbers(400));
  });

  it("is said to be overdue, again and again, when more waits for it than may", async () => {
    const [first, second] = await MemoryBed.linked(2, limits);
    const reader = first.subscribed(["t"]);
    second.hangs = true;
    const publisher = first.dial();
    publishMany(publisher, "t", 1_200, 20_000);
    first.pass(STALL_MS + 3_000);
    assertGreater(publisher.unreadBytes, 0);
    const [overdue] = first.overdue;
    assert(overdue !== undefined);
    assertEquals(overdue.path, "/1");
    assertGreater(overdue.owedBytes, mostOwed);
    assertLess(overdue.owedBytes, mostOwed + MIB);
    assertEquals(first.overdue.length, 3);
    // It isn't alone with its trouble: the reader has all that was read.
    second.hangs = false;
    first.net.settle();
    first.pass(500);
    assertEquals(publisher.unreadBytes, 0);
    assertEquals(dataOf(reader), numbers(1_200));
    assertEquals(first.overdue.length, 3);
  });

  it("holds no topic up any more that it had held", async () => {
    const { first, second, slow, publisher } = await held();
    second.hangs = true;
    first.pass(STALL_MS + 500);
    assertEquals(publisher.unreadBytes, 0);
    // What it held counts again from its next sign of life on.
    second.hangs = false;
    slow.flow();
    for (const bed of [first, second]) bed.pass(500);
    assertEquals(dataOf(slow), numbers(600));
  });

  it("lets those go on who waited for it when its process has ended", async () => {
    const { first, second, publisher } = await held();
    second.kill();
    first.server.mesh!.unlink("/1");
    first.net.settle();
    first.pass(250);
    assertEquals(publisher.unreadBytes, 0);
    publishMany(publisher, "x", 600, 20_000);
    first.net.settle();
    assertEquals(publisher.unreadBytes, 0);
  });
});
