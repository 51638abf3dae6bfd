/**
 * What the contract says of `write`, `onDrain` and `unsentBytes`.
 *
 * @module
 */

import { assert, assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { assertBytes, pattern } from "../../support/bytes.ts";
import type { Side } from "../../support/side.ts";
import { until } from "../../support/until.ts";
import type { Bed, Cases, Pair, Wire } from "./bed.ts";

const MiB = 1024 * 1024;

/** Sizes of the chunks that a long stream is cut into: tiny, odd, and larger than any buffer. */
const sizes = [1, 100, 65_536, 7, 1_000_003, 4096, 3_333_333, 513];

/** Writes all of `bytes` as fast as `side` takes them. */
export function pump(side: Side, bytes: Uint8Array): void {
  let at = 0;
  let turn = 0;
  side.reactions.drain = () => {
    while (at < bytes.length) {
      const chunk = bytes.subarray(at, at + sizes[turn++ % sizes.length]!);
      at += chunk.length;
      if (!side.write(chunk)) return;
    }
  };
  side.reactions.drain();
}

/** Fills everything between the two sides, so that a chunk of `near`'s is in flight and stays. */
export async function stall(
  bed: Bed,
  near: Side,
  far: { pauseReading(): void },
): Promise<Uint8Array> {
  far.pauseReading();
  const chunk = pattern(99, 16 * MiB);
  assertEquals(near.write(chunk), false);
  // On a busy machine it takes a while until the kernel takes no more.
  for (let before = Infinity, still = 0; still < 3; await bed.quiet(75)) {
    still = near.unsentBytes < before ? 0 : still + 1;
    before = near.unsentBytes;
  }
  assertGreater(near.unsentBytes, 0, "16 MiB fitted between two sockets");
  return chunk;
}

export function writingCases(cases: Cases, wire: Wire): void {
  cases.that("bytes arrive in order at a peer that stalls, then reads", async (bed) => {
    const { near, far } = await bed.pair(wire);
    far.pauseReading();
    const bytes = pattern(1, 16 * MiB);
    pump(near, bytes);
    await until("the writer has to wait", () => near.unsentBytes > 0);
    await bed.quiet();
    assertEquals(far.byteCount, 0);
    far.resumeReading();
    await until("all has arrived", () => far.byteCount === bytes.length);
    assertBytes(far.received, bytes);
    await until("all is drained", () => near.drains === near.refusals);
    await bed.quiet();
    assertEquals(near.drains, near.refusals);
  });

  cases.that("one chunk larger than any buffer arrives whole", async (bed) => {
    const { near, far } = await bed.pair(wire);
    const bytes = pattern(2, 16 * MiB);
    assertEquals(near.write(bytes), false);
    await until("all has arrived", () => far.byteCount === bytes.length);
    assertBytes(far.received, bytes);
    await until("the chunk is drained", () => near.drains === 1);
    assertEquals(near.unsentBytes, 0);
  });

  cases.that("both directions flow at once", async (bed) => {
    const { near, far } = await bed.pair(wire);
    const there = pattern(3, 6 * MiB);
    const back = pattern(4, 6 * MiB);
    pump(near, there);
    pump(far, back);
    await until("all has arrived", () => far.byteCount + near.byteCount === 12 * MiB);
    assertBytes(far.received, there);
    assertBytes(near.received, back);
  });

  cases.that("a stalled write gets no drain, and shrinks as its peer reads", async (bed) => {
    const { near, far } = await bed.pair(wire);
    const chunk = await stall(bed, near, far);
    const stuck = near.unsentBytes;
    // So little that the rest finds no room between two sockets, however far the kernel widens it.
    const enough = chunk.length / 8;
    await bed.quiet();
    assertEquals([near.drains, near.unsentBytes], [0, stuck]);
    far.reactions.data = () => {
      if (far.byteCount > enough) far.pauseReading();
    };
    far.resumeReading();
    await until("some is read", () => far.byteCount > enough);
    await until("the rest shrinks", () => near.unsentBytes < stuck);
    await bed.quiet();
    assertEquals(near.drains, 0);
    assertGreater(near.unsentBytes, 0);
    assertLess(near.unsentBytes, stuck);
  });

  cases.that("nothing but a write that waited is answered with a drain", async (bed) => {
    const { near, far } = await bed.pair(wire);
    near.pauseReading();
    await bed.quiet();
    near.resumeReading();
    if (near.write(pattern(5, 100))) assertEquals(near.refusals, 0);
    far.close();
    await until("the peer's end is seen", () => near.ended);
    await bed.quiet();
    assertEquals(near.drains, near.refusals);
  });

  cases.that("an empty chunk is taken, and sends nothing", async (bed) => {
    const { near, far } = await bed.pair(wire);
    assertEquals(near.write(new Uint8Array(0)), true);
    assertEquals(near.unsentBytes, 0);
    await bed.quiet();
    assertEquals([near.drains, far.byteCount], [0, 0]);
  });

  cases.that("a chunk shared by many connections reaches each, and is not changed", async (bed) => {
    const shared = pattern(6, 400_000);
    const pairs: Pair[] = [];
    for (let i = 0; i < 40; i++) pairs.push(await bed.pair(wire));
    for (const [i, { near, far }] of pairs.entries()) {
      if (i % 4 === 0) far.pauseReading();
      near.write(shared);
    }
    await bed.quiet();
    for (const { far } of pairs) far.resumeReading();
    await until(
      "all have it",
      () => pairs.every(({ far }) => far.byteCount === shared.length),
    );
    for (const { far } of pairs) assertBytes(far.received, shared);
    assertBytes(shared, pattern(6, 400_000));
  });

  cases.that("a chunk that is a part of a larger buffer is sent, and no more", async (bed) => {
    const { near, far } = await bed.pair(wire);
    const whole = pattern(7, 1000);
    near.write(whole.subarray(300, 700));
    await until("it has arrived", () => far.byteCount >= 400);
    await bed.quiet();
    assertBytes(far.received, whole.subarray(300, 700));
  });

  cases.that("a write while a chunk is in flight throws", async (bed) => {
    const { near, far } = await bed.pair(wire);
    const chunk = await stall(bed, near, far);
    assertThrows(() => near.connection.write(pattern(8, 10)), Error, "in flight");
    assertThrows(() => near.connection.write(new Uint8Array(0)), Error, "in flight");
    far.resumeReading();
    await until("the first chunk has arrived", () => far.byteCount === chunk.length);
    assertBytes(far.received, chunk);
  });

  cases.that("a write after close, destroy or the end does nothing", async (bed) => {
    const closed = await bed.pair(wire);
    closed.near.close();
    assertEquals(closed.near.write(pattern(9, 10)), false);

    const destroyed = await bed.pair(wire);
    destroyed.near.destroy();
    assertEquals(destroyed.near.write(pattern(9, 10)), false);

    const ended = await bed.pair(wire);
    ended.far.close();
    await until("the peer's end is seen", () => ended.near.ended);
    ended.near.close();
    await until("it is closed", () => ended.near.why !== null);
    assertEquals(ended.near.write(pattern(9, 10)), false);

    await bed.quiet();
    for (const { near, far } of [closed, destroyed, ended]) {
      assertEquals([near.drains, near.unsentBytes, far.byteCount], [0, 0, 0]);
    }
  });

  cases.that(
    "a write that was waiting when close() came makes later ones do nothing",
    async (bed) => {
      const { near, far } = await bed.pair(wire);
      const chunk = await stall(bed, near, far);
      near.close();
      assertEquals(near.write(pattern(10, 10)), false);
      far.resumeReading();
      await until("the peer has all", () => far.ended);
      assertBytes(far.received, chunk);
      assertEquals(near.drains, 1);
    },
  );

  cases.that("a small write doesn't wait until the peer acknowledges the last", async (bed) => {
    const subject = await bed.pair(wire);
    const clock = await bed.pair(wire);
    // Nagle's algorithm and a delayed acknowledgement make this 40 ms a round; a round trip that has
    // no second write to wait takes next to nothing, however slow the machine.
    const small = pattern(13, 1);
    let ticks = 0;
    clock.near.reactions.data = () => clock.near.write(small);
    clock.far.reactions.data = () => {
      ticks++;
      clock.far.write(small);
    };
    let rounds = 0;
    const [near, far] = [subject.near, subject.far];
    near.reactions.data = () => {
      if (near.write(small)) near.write(small);
      else near.reactions.drain = () => near.drains % 2 === 1 && near.write(small);
    };
    let ticksInAll = Infinity;
    far.reactions.data = () => {
      if (far.byteCount !== 2 * (rounds + 1)) return;
      if (++rounds < 30) far.write(small);
      else ticksInAll = ticks;
    };
    clock.far.write(small);
    far.write(small);
    await until("all rounds are done", () => rounds === 30);
    assertLess(ticksInAll, 60 * rounds);
  });

  cases.that("a connection can be written to before its handler is known", async (bed) => {
    const greeting = pattern(11, 100);
    const { near, far } = await bed.pair(wire, (side) => side.write(greeting));
    await until("the greeting has arrived", () => far.byteCount === greeting.length);
    assertBytes(far.received, greeting);
    await until("it is drained", () => near.drains === near.refusals);
    const reply = pattern(12, 50);
    const listener = await bed.listen();
    const eager = await bed.connect(listener.address, (side) => side.write(reply));
    assert(eager.why === null);
  });
}
