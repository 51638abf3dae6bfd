import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { STALL_MS, SWEEP_INTERVAL_MS } from "../../../server/limits/clients.ts";
import { MAX_OWED_RECEIPTS } from "../../../server/limits/messages.ts";
import { RECEIPT_DEADLINE_MS } from "../../../server/limits/processes.ts";
import { HELLO, LinkEncoder } from "../../../server/cluster/link_frames.ts";
import { dataSegment, greeting, SegmentDecoder } from "../../../server/cluster/link_segments.ts";
import { join } from "../../support/bytes.ts";
import {
  bytesOf,
  message,
  publishForReceipt,
  receiptOf,
} from "../../support/clients/janus_client.ts";
import { dataOf, framesOf, MemoryBed } from "../../support/memory/memory_bed.ts";
import { FakeWorker } from "./fake_worker.ts";

describe("a receipt that waits for other processes", () => {
  it("leaves out a process that dies before it has told", async () => {
    const [first] = await MemoryBed.linked(2);
    const worker = await FakeWorker.linkedWith(first);
    first.subscribed(["t"]);
    const publisher = first.dial();
    publisher.send(publishForReceipt(message("t")).repeat(2));
    first.net.settle();
    worker.answer(first.net, worker.asked[0]!, 5);
    assertEquals(framesOf(publisher).map((frame) => receiptOf(frame).matched), [6]);
    worker.die();
    first.net.settle();
    assertEquals(framesOf(publisher).map((frame) => receiptOf(frame).matched), [6, 1]);
  });

  it("leaves out a process that is alive and doesn't tell, and hears nothing of it later", async () => {
    const [bed] = await MemoryBed.linked(1);
    const worker = await FakeWorker.linkedWith(bed);
    bed.subscribed(["t"]);
    const publisher = bed.dial();
    publisher.send(publishForReceipt(message("t")));
    bed.pass(RECEIPT_DEADLINE_MS - SWEEP_INTERVAL_MS, () => worker.pulse());
    assertEquals(framesOf(publisher), []);
    bed.pass(SWEEP_INTERVAL_MS);
    const counts = { matched: 1, written: 1, queued: 0, evicted: 0 };
    assertEquals(framesOf(publisher).map(receiptOf), [counts]);
    worker.answer(bed.net, worker.asked[0]!, 9);
    publisher.send(publishForReceipt(message("t")));
    bed.net.settle();
    worker.answer(bed.net, worker.asked[1]!, 3);
    assertEquals(framesOf(publisher).map((frame) => receiptOf(frame).matched), [1, 4]);
  });

  it("waits a second for a process that hangs, and for none of the next ones", async () => {
    const beds = await MemoryBed.linked(3);
    const [first, second, third] = beds;
    const readers = beds.map((bed) => bed.subscribed(["t"]));
    const publisher = first.dial();
    const matched = () => framesOf(publisher).map((frame) => receiptOf(frame).matched);
    const pass = (ms: number) => {
      for (let passed = 0; passed < ms; passed += SWEEP_INTERVAL_MS) {
        for (const bed of beds) bed.pass(SWEEP_INTERVAL_MS);
      }
    };
    third.hangs = true;
    const count = 3 * MAX_OWED_RECEIPTS;
    for (let i = 0; i < count; i++) publisher.send(publishForReceipt(message("t", i)));
    pass(STALL_MS - SWEEP_INTERVAL_MS);
    assertEquals(matched(), []);
    pass(3 * SWEEP_INTERVAL_MS);
    assertEquals(matched(), Array(count).fill(2));
    publisher.send(publishForReceipt(message("t", count)));
    first.net.settle();
    assertEquals(matched().length, count + 1);
    assertEquals(first.server.counters.linkStalls, 1);
    // It tells now what nobody waits for any more.
    third.hangs = false;
    pass(STALL_MS);
    assertEquals(matched().length, count + 1);
    publisher.send(publishForReceipt(message("t", count + 1)));
    first.net.settle();
    assertEquals(matched().slice(count), [2, 3]);
    const all = Array.from({ length: count + 2 }, (_, i) => i);
    for (const reader of readers) assertEquals(dataOf(reader), all);
    for (const peer of [publisher, ...readers]) peer.reset();
    first.net.settle();
    pass(STALL_MS);
    assertEquals([first.ended, second.ended].map((ended) => ended.length), [2, 1]);
    assertEquals(beds.map(({ server }) => server.heldBytes), [0, 0, 0]);
  });

  it("doesn't wait for readers of another process that are slow", async () => {
    const limits = { maxPendingBytes: 200_000, softPendingBytes: 100_000 };
    const beds = await MemoryBed.linked(2, limits);
    const [first, second] = beds;
    const slow = second.subscribed(["t"], { bufferBytes: 1_000 });
    slow.stall();
    const publisher = first.dial();
    const count = 15;
    for (let i = 0; i < count; i++) {
      publisher.send(publishForReceipt(message("t", "x".repeat(5_000))));
    }
    for (const bed of beds) bed.pass(SWEEP_INTERVAL_MS, () => void slow.take(1_000));
    const queued = { matched: 1, written: 0, queued: 1, evicted: 0 };
    assertEquals(framesOf(publisher).map(receiptOf), Array(count).fill(queued));
    assertEquals(first.server.counters.linkStalls, 0);
    for (const peer of [publisher, slow]) peer.reset();
    first.net.settle();
    for (const bed of beds) bed.pass(SWEEP_INTERVAL_MS);
    assertEquals(beds.map(({ server }) => server.heldBytes), [0, 0]);
  });

  it("is waited for while the process that owes an answer says that it's alive", async () => {
    const [bed] = await MemoryBed.linked(1, {}, { writesPerTurn: 1 });
    for (let i = 0; i < 50; i++) bed.subscribed(["t"]);
    const asker = bed.net.dial({ transport: "unix", path: "/0" });
    const frames = new LinkEncoder();
    frames.appendControl(HELLO, 0, bytesOf("0123456789abcdef"));
    frames.append("t", 1, bytesOf(message("t")), true);
    asker.send(join([greeting(0, "/asker"), dataSegment(frames.take())]));
    const said = () => {
      let bytes = 0;
      const sink = { onGreeting() {}, onAcknowledged() {} };
      new SegmentDecoder().push(asker.received, {
        ...sink,
        onBytes: (part) => bytes += part.length,
      });
      return bytes;
    };
    for (let turn = 0; turn < 10; turn++) bed.net.turn();
    assertEquals(said(), 0);
    bed.beginSweep();
    for (let turn = 0; turn < 10; turn++) bed.net.turn();
    assertEquals(said(), 1);
    bed.net.settle();
    const answered = said();
    assert(answered > 1);
    bed.pass(4 * SWEEP_INTERVAL_MS);
    assertEquals(said(), answered);
  });

  it("waits for the others where its own process has stood still", async () => {
    const beds = await MemoryBed.linked(2);
    const [first, second] = beds;
    const slow = second.subscribed(["t"]);
    const publisher = first.dial();
    publisher.send(publishForReceipt(message("t")));
    second.hangs = true;
    first.pass(3 * SWEEP_INTERVAL_MS);
    assertEquals(framesOf(publisher), []);
    second.hangs = false;
    // What the other one has said by then is read behind the sweep.
    first.stall(10_000);
    assertEquals(framesOf(publisher).map((frame) => receiptOf(frame).matched), [1]);
    assertEquals(first.server.counters.linkStalls, 0);
    for (const peer of [publisher, slow]) peer.reset();
    first.net.settle();
  });
});
