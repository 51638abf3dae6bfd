/**
 * What the contract says of `onData`, `onEnd`, `pauseReading` and `resumeReading`.
 *
 * @module
 */

import { assert, assertEquals, assertLess } from "@std/assert";
import { assertBytes, join, pattern } from "../../support/bytes.ts";
import { until } from "../../support/until.ts";
import type { Cases, Pair, Wire } from "./bed.ts";
import { pump } from "./writing_cases.ts";

export function readingCases(cases: Cases, wire: Wire): void {
  cases.that("what has arrived can be taken at once, where it can be told", async (bed) => {
    const { near, far } = await bed.pair(wire, (side) => side.pauseReading());
    const into = new Uint8Array(60);
    assertEquals(near.connection.takeArrived(into), 0);
    const sent = pattern(60, 100);
    far.write(sent);
    await bed.quiet();
    // What TLS has deciphered isn't in the kernel any more.
    const taken = bed.has("arrived bytes") && wire !== "tls" ? 60 : 0;
    assertEquals(near.connection.takeArrived(into), taken);
    assertBytes(into.subarray(0, taken), sent.subarray(0, taken));
    near.resumeReading();
    await until("the rest is delivered", () => near.byteCount === sent.length - taken);
    assertBytes(near.received, sent.subarray(taken));
    assertEquals(near.connection.takeArrived(into), 0);
    near.destroy();
    assertEquals(near.connection.takeArrived(into), 0);
  });

  cases.that("a paused connection delivers nothing until it is resumed", async (bed) => {
    const { near, far } = await bed.pair(wire);
    near.pauseReading();
    near.pauseReading();
    const bytes = pattern(20, 100_000);
    pump(far, bytes);
    await bed.quiet();
    assertEquals(near.byteCount, 0);
    near.resumeReading();
    near.resumeReading();
    await until("all has arrived", () => near.byteCount === bytes.length);
    assertBytes(near.received, bytes);
  });

  cases.that("a paused connection holds the peer's end back, behind its data", async (bed) => {
    const { near, far } = await bed.pair(wire);
    near.pauseReading();
    const bytes = pattern(21, 300);
    far.write(bytes);
    await until("it is sent", () => far.unsentBytes === 0);
    far.close();
    await bed.quiet();
    assertEquals([near.byteCount, near.ended], [0, false]);
    near.resumeReading();
    await until("the end is seen", () => near.ended);
    assertBytes(near.received, bytes);
  });

  cases.that("an idle connection that is paused holds the peer's end back", async (bed) => {
    const { near, far } = await bed.pair(wire);
    near.pauseReading();
    far.close();
    await bed.quiet();
    assertEquals(near.ended, false);
    near.resumeReading();
    near.pauseReading();
    await bed.quiet();
    assertEquals(near.ended, false);
    near.resumeReading();
    await until("the end is seen", () => near.ended);
  });

  cases.that("a pause from inside onData holds at that chunk", async (bed) => {
    const { near, far } = await bed.pair(wire);
    const bytes = pattern(22, 2_000_000);
    let chunks = 0;
    near.reactions.data = () => {
      chunks++;
      near.pauseReading();
    };
    pump(far, bytes);
    for (let expected = 1; near.byteCount < bytes.length; expected++) {
      await until("the next chunk has arrived", () => chunks === expected);
      if (expected < 4) await bed.quiet(10);
      assertEquals(chunks, expected);
      near.resumeReading();
    }
    assertBytes(near.received, bytes);
    // It's a stream, though it stops and goes.
    assertLess(chunks, 1_000);
  });

  cases.that("pause and resume from inside onData change nothing", async (bed) => {
    const { near, far } = await bed.pair(wire);
    near.reactions.data = () => {
      near.pauseReading();
      near.resumeReading();
    };
    const bytes = pattern(23, 1_000_000);
    pump(far, bytes);
    await until("all has arrived", () => near.byteCount === bytes.length);
    assertBytes(near.received, bytes);
  });

  cases.that("the last word counts where pause and resume follow each other", async (bed) => {
    const { near, far } = await bed.pair(wire);
    near.pauseReading();
    const bytes = pattern(24, 1000);
    far.write(bytes);
    await bed.quiet();
    near.resumeReading();
    near.pauseReading();
    await bed.quiet();
    assertEquals(near.byteCount, 0);
    near.resumeReading();
    near.pauseReading();
    near.resumeReading();
    await until("all has arrived", () => near.byteCount === bytes.length);
    assertBytes(near.received, bytes);
  });

  cases.that("a paused connection still writes", async (bed) => {
    const { near, far } = await bed.pair(wire);
    near.pauseReading();
    const bytes = pattern(25, 3_000_000);
    pump(near, bytes);
    await until("all has arrived", () => far.byteCount === bytes.length);
    assertBytes(far.received, bytes);
  });

  cases.that("after the peer's end the other direction still flows", async (bed) => {
    const { near, raw } = await bed.rawPair(wire);
    raw.send(pattern(26, 10));
    raw.end();
    await until("the end is seen", () => near.ended);
    const bytes = pattern(27, 5_000_000);
    pump(near, bytes);
    await until("all has arrived", () => raw.received.length === bytes.length);
    assertBytes(raw.received, bytes);
    assertEquals(near.why, null);
    near.close();
    await until("our end is seen", () => raw.ended);
    assertEquals(raw.failed, false);
    await until("it is closed", () => near.why !== null);
    assertEquals(near.why, "finished");
  });

  cases.that("chunks handed to one connection stay its own while others read", async (bed) => {
    const pairs: Pair[] = [];
    for (let i = 0; i < 32; i++) pairs.push(await bed.pair(wire));
    const kept: [Uint8Array, Uint8Array][] = [];
    for (const [i, { near, far }] of pairs.entries()) {
      near.reactions.data = (chunk) => {
        // During the call the chunk is ours, whatever is done to connections meanwhile.
        const before = chunk.slice();
        if (near.byteCount > 200_000 && near.why === null && i % 8 === 0) {
          pairs[(i + 1) % 32]!.near.pauseReading();
          pairs[(i + 1) % 32]!.near.resumeReading();
        }
        kept.push([before, chunk.slice()]);
      };
      pump(far, pattern(100 + i, 300_000 + i));
    }
    await until(
      "all has arrived",
      () => pairs.every(({ near }, i) => near.byteCount === 300_000 + i),
    );
    for (const [i, { near }] of pairs.entries()) {
      assertBytes(near.received, pattern(100 + i, 300_000 + i));
    }
    for (const [before, after] of kept) assertBytes(after, before);
  });

  cases.that(
    "a chunk stays readable when its connection is destroyed during the call",
    async (bed) => {
      const { near, far } = await bed.pair(wire);
      const { near: other, far: otherFar } = await bed.pair(wire);
      const bytes = pattern(28, 100);
      let seen: Uint8Array | undefined;
      near.reactions.data = (chunk) => {
        near.destroy();
        other.pauseReading();
        other.resumeReading();
        seen = chunk.slice();
      };
      otherFar.write(pattern(29, 100));
      far.write(bytes);
      await until("it has arrived", () => seen !== undefined);
      assertBytes(seen!, bytes.subarray(0, seen!.length));
      await until("the other's has arrived", () => other.byteCount === 100);
      assertBytes(other.received, pattern(29, 100));
    },
  );

  cases.that("bursts and trickles arrive alike", async (bed) => {
    const { near, far } = await bed.pair(wire);
    const sent: Uint8Array[] = [];
    for (const [i, size] of [1, 255, 256, 257, 1, 65_536, 3, 200_000, 256, 65_535, 1].entries()) {
      const bytes = pattern(200 + i, size);
      sent.push(bytes);
      far.write(bytes);
      const total = sent.reduce((sum, chunk) => sum + chunk.length, 0);
      await until("the burst has arrived", () => near.byteCount === total);
      await until("it is drained", () => far.unsentBytes === 0);
    }
    assertBytes(near.received, join(sent));
    assert(!near.ended);
  });

  // A hundred handshakes would take seconds.
  if (wire === "tls") return;

  cases.where(
    "reads in turns",
    "one of whom little is expected isn't read on behind a crowd",
    async (bed) => {
      const crowd: Pair[] = [];
      for (let i = 0; i < 100; i++) crowd.push(await bed.pair(wire, (side) => side.pauseReading()));
      const { near, far } = await bed.pair(wire, (side) => side.pauseReading());
      near.expectsLittle = true;
      for (const pair of crowd) pair.far.write(pattern(30, 20_000));
      far.write(pattern(31, 1_000));
      await until("all is sent", () => [...crowd.map(({ far }) => far), far].every(isIdle));
      await bed.quiet();
      let finished = 0;
      let ahead = 0;
      for (const pair of crowd) {
        pair.near.reactions.data = () => finished += pair.near.byteCount === 20_000 ? 1 : 0;
        pair.near.resumeReading();
      }
      near.reactions.data = () => ahead = finished;
      near.resumeReading();
      const arrived = () => crowd.every(({ near }) => near.byteCount === 20_000);
      await until("all has arrived", () => arrived() && near.byteCount === 1_000);
      assertLess(ahead, 75);
    },
  );
}

function isIdle({ unsentBytes }: { readonly unsentBytes: number }): boolean {
  return unsentBytes === 0;
}
