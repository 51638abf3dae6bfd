import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { STALL_MS } from "../../../server/limits/clients.ts";
import { Bench } from "./outbox_bench.ts";

describe("an outbox's health", () => {
  it("is fine while nothing waits, however long", async () => {
    const bench = await Bench.open(1_000);
    bench.send(10);
    assertEquals(bench.health(1e9), "fine");
  });

  it("is past the write deadline when the peer took no byte for so long", async () => {
    const bench = await Bench.open(10, "at once", { writeDeadlineMs: 4_000 });
    bench.send(100);
    assertEquals(bench.health(), "fine");
    assertEquals(bench.health(STALL_MS - 1), "fine");
    assertEquals(bench.health(1), "stalled");
    assertEquals(bench.health(2_999), "stalled");
    assertEquals(bench.health(1), "past_write_deadline");
  });

  for (const answers of ["at once", "late"] as const) {
    it(`counts a single byte as progress, also within a chunk (writes end ${answers})`, async () => {
      const bench = await Bench.open(10, answers, { writeDeadlineMs: 4_000 });
      bench.send(100);
      bench.net.settle();
      assertEquals(bench.health(), "fine");
      for (let i = 0; i < 20; i++) {
        assertEquals(bench.health(3_999), "stalled");
        bench.take(1);
        assertEquals(bench.health(), "fine");
      }
    });
  }

  it("counts the time from when something waited, not from the connection's beginning", async () => {
    const bench = await Bench.open(10, "at once", { writeDeadlineMs: 4_000 });
    assertEquals(bench.health(60_000), "fine");
    bench.send(100);
    assertEquals(bench.health(), "fine");
  });

  it("doesn't take what the server drops for what the peer takes", async () => {
    const bench = await Bench.open(10, "at once", { writeDeadlineMs: 4_000 });
    for (let i = 0; i < 10; i++) bench.send(100);
    assertEquals(bench.health(), "fine");
    assertEquals(bench.health(3_000), "stalled");
    bench.outbox.dropQueue();
    assertEquals(bench.health(1_000), "past_write_deadline");
  });

  it("is past the soft limit when more than that waits for too long, though it moves", async () => {
    const limits = { softPendingBytes: 500, softPendingMs: 3_000, writeDeadlineMs: 60_000 };
    const bench = await Bench.open(10, "at once", limits);
    for (let i = 0; i < 10; i++) bench.send(100);
    assertEquals(bench.health(), "fine");
    bench.take(10);
    assertEquals(bench.health(2_999), "fine");
    bench.take(10);
    assertEquals(bench.health(1), "past_soft_limit");
  });

  it("lets more than the soft limit wait for as long as the peer takes so much in time", async () => {
    const limits = { softPendingBytes: 500, softPendingMs: 3_000, writeDeadlineMs: 60_000 };
    const bench = await Bench.open(10, "at once", limits);
    for (let i = 0; i < 40; i++) bench.send(100);
    assertEquals(bench.health(), "fine");
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 51; i++) bench.take(10);
      assertEquals(bench.health(2_999), "fine");
    }
    for (let i = 0; i < 40; i++) bench.take(10);
    assertEquals(bench.health(3_000), "past_soft_limit");
  });

  it("holds nothing against a peer that has had all in between", async () => {
    const limits = { softPendingBytes: 500, softPendingMs: 3_000, writeDeadlineMs: 60_000 };
    const bench = await Bench.open(10, "at once", limits);
    for (let i = 0; i < 6; i++) bench.send(100);
    assertEquals(bench.health(), "fine");
    for (let i = 0; i < 60; i++) bench.take(10);
    assertEquals(bench.health(60_000), "fine");
    for (let i = 0; i < 6; i++) bench.send(100);
    assertEquals(bench.health(60_000), "fine");
    assertEquals(bench.outbox.isTooSlow, false);
  });

  it("is stalled when the peer takes too little of less than the soft limit", async () => {
    const limits = { softPendingBytes: 500, softPendingMs: 3_000, writeDeadlineMs: 60_000 };
    const bench = await Bench.open(10, "at once", limits);
    for (let i = 0; i < 7; i++) bench.send(100);
    assertEquals(bench.health(), "fine");
    for (let i = 0; i < 25; i++) bench.take(10);
    assertEquals(bench.health(2_999), "fine");
    bench.take(10);
    assertEquals(bench.health(1), "stalled");
    assertEquals(bench.outbox.isTooSlow, true);
  });

  it("forgets a queue over the soft limit that was nearly taken in between", async () => {
    const limits = { softPendingBytes: 500, softPendingMs: 3_000, writeDeadlineMs: 60_000 };
    const bench = await Bench.open(10, "at once", limits);
    for (let i = 0; i < 10; i++) bench.send(100);
    assertEquals(bench.health(), "fine");
    for (let i = 0; i < 95; i++) bench.take(10);
    assertEquals(bench.health(), "fine");
    for (let i = 0; i < 10; i++) bench.send(100);
    assertEquals(bench.health(2_000), "stalled");
    bench.take(10);
    assertEquals(bench.health(2_999), "fine");
    bench.take(10);
    assertEquals(bench.health(1), "past_soft_limit");
  });
});
