/**
 * What the contract says of `close`, `destroy` and `onClose`.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertLessOrEqual } from "@std/assert";
import type { Address } from "../../runtime/types.ts";
import { assertBytes, pattern } from "../support/bytes.ts";
import type { Side } from "../support/side.ts";
import { quiet, until } from "../support/until.ts";
import type { Cases } from "./bed.ts";
import { stall } from "./writing_cases.ts";

function closed(...sides: Side[]): Promise<void> {
  return until("the connection is closed", () => sides.every((side) => side.why !== null));
}

export function endingCases(cases: Cases, transport: Address["transport"]): void {
  cases.that("close() is seen as an end, and finishes when the peer ends too", async (bed) => {
    const { near, far } = await bed.pair(transport);
    near.close();
    near.close();
    await until("the end is seen", () => far.ended);
    await quiet();
    assertEquals([near.why, far.why], [null, null]);
    far.close();
    await closed(near, far);
    assertEquals([near.why, far.why, near.ended], ["finished", "finished", false]);
    assertEquals([near.cause, far.cause], [undefined, undefined]);
  });

  cases.that("both sides may close at the same time", async (bed) => {
    const { near, far } = await bed.pair(transport);
    near.close();
    far.close();
    await closed(near, far);
    assertEquals([near.why, far.why], ["finished", "finished"]);
  });

  cases.that("close() sends the chunk in flight to its last byte, then the end", async (bed) => {
    const { near, far } = await bed.pair(transport);
    const chunk = await stall(near, far);
    near.close();
    await quiet();
    far.resumeReading();
    await until("the end is seen", () => far.ended);
    assertBytes(far.received, chunk);
    far.close();
    await closed(near, far);
    assertEquals([near.why, far.why, near.drains], ["finished", "finished", 1]);
  });

  cases.that("close() with a chunk in flight outlives the peer's end", async (bed) => {
    const { near, raw } = await bed.rawPair(transport);
    const chunk = await stall(near, { pauseReading: () => raw.stall() });
    near.close();
    raw.end();
    await quiet();
    raw.flow();
    await until("all has arrived", () => raw.received.length === chunk.length && raw.ended);
    assertBytes(raw.received, chunk);
    assertEquals(raw.failed, false);
    await closed(near);
    assertEquals([near.why, near.drains, near.ended], ["finished", 1, false]);
  });

  cases.that("close() reads and discards, so that our last words aren't lost", async (bed) => {
    const { near, raw } = await bed.rawPair(transport, (side) => side.pauseReading());
    raw.send(pattern(40, 200_000));
    await quiet();
    const words = pattern(41, 1000);
    near.write(words);
    near.close();
    raw.send(pattern(42, 3_000_000));
    await until("our end is seen", () => raw.ended || raw.failed);
    await quiet();
    assertEquals(raw.failed, false);
    assertBytes(raw.received, words);
    raw.end();
    await closed(near);
    assertEquals([near.why, near.byteCount, near.ended], ["finished", 0, false]);
  });

  cases.that("close() from inside onData discards the rest", async (bed) => {
    const { near, raw } = await bed.rawPair(transport);
    let counted = 0;
    near.reactions.data = () => {
      counted = near.byteCount;
      near.write(pattern(43, 10));
      near.close();
    };
    raw.send(pattern(44, 2_000_000));
    await until("our end is seen", () => raw.ended || raw.failed);
    raw.end();
    await closed(near);
    assertEquals([near.why, raw.failed, near.byteCount], ["finished", false, counted]);
    assertBytes(raw.received, pattern(43, 10));
  });

  cases.that("close() after the peer's end frees the connection at once", async (bed) => {
    const { near, far } = await bed.pair(transport);
    far.close();
    await until("the end is seen", () => near.ended);
    await quiet();
    assertEquals([near.why, far.why], [null, null]);
    near.write(pattern(45, 10));
    near.close();
    await closed(near, far);
    assertEquals([near.why, far.why], ["finished", "finished"]);
  });

  cases.that("close() on a paused connection whose peer has ended finishes", async (bed) => {
    const { near, far } = await bed.pair(transport);
    near.pauseReading();
    far.write(pattern(46, 100));
    far.close();
    await quiet();
    near.close();
    await closed(near, far);
    assertEquals([near.why, far.why], ["finished", "finished"]);
    assertEquals([near.byteCount, near.ended], [0, false]);
  });

  cases.that("destroy() closes once, whatever else is called", async (bed) => {
    const { near, far } = await bed.pair(transport);
    near.destroy();
    near.destroy();
    near.close();
    near.pauseReading();
    near.resumeReading();
    assertEquals(near.why, null);
    await closed(near);
    assertEquals(near.why, "destroyed");
    near.destroy();
    await until("the peer sees it", () => far.ended || far.why !== null);
  });

  cases.that("destroy() gives up on a close that the peer doesn't answer", async (bed) => {
    const { near, far } = await bed.pair(transport);
    near.close();
    await until("the end is seen", () => far.ended);
    near.destroy();
    await closed(near);
    assertEquals(near.why, "destroyed");
  });

  cases.that("destroy() drops a blocked write and a pending read", async (bed) => {
    const { near, far } = await bed.pair(transport);
    const chunk = await stall(near, far);
    near.destroy();
    assertEquals(near.unsentBytes, 0);
    await closed(near);
    far.resumeReading();
    await until("the peer sees it", () => far.ended || far.why !== null);
    assertEquals([near.why, near.drains], ["destroyed", 0]);
    assertLessOrEqual(far.byteCount, chunk.length - 1);
    assertBytes(far.received, chunk.subarray(0, far.byteCount));
  });

  cases.that("destroy() drops a blocked write after close()", async (bed) => {
    const { near, far } = await bed.pair(transport);
    await stall(near, far);
    near.close();
    await quiet();
    near.destroy();
    await closed(near);
    assertEquals([near.why, near.drains], ["destroyed", 0]);
  });

  cases.that("destroy() may be called from any callback", async (bed) => {
    const fromData = await bed.pair(transport);
    fromData.near.reactions.data = () => fromData.near.destroy();
    fromData.far.write(pattern(47, 100_000));
    await closed(fromData.near);

    const fromDrain = await bed.pair(transport);
    fromDrain.near.reactions.drain = () => fromDrain.near.destroy();
    fromDrain.near.write(pattern(48, 16 * 1024 * 1024));
    await closed(fromDrain.near);

    const fromEnd = await bed.pair(transport);
    fromEnd.near.reactions.end = () => fromEnd.near.destroy();
    fromEnd.far.close();
    await closed(fromEnd.near);

    const fromClose = await bed.pair(transport);
    fromClose.near.reactions.close = () => fromClose.near.destroy();
    fromClose.near.destroy();
    await closed(fromClose.near);

    await quiet();
    const sides = [fromData.near, fromDrain.near, fromEnd.near, fromClose.near];
    assertEquals(sides.map((side) => side.why), Array(4).fill("destroyed"));
  });

  cases.that("a connection may be closed or destroyed before its handler is known", async (bed) => {
    const closing = await bed.pair(transport, (side) => {
      side.write(pattern(49, 100));
      side.close();
    });
    await until("the end is seen", () => closing.far.ended);
    assertBytes(closing.far.received, pattern(49, 100));
    closing.far.close();
    await closed(closing.near);
    assertEquals(closing.near.why, "finished");

    const destroying = await bed.pair(transport, (side) => side.destroy());
    await closed(destroying.near);
    assertEquals(destroying.near.why, "destroyed");
  });

  cases.that("a connection may write, end and close from inside its callbacks", async (bed) => {
    const { near, far } = await bed.pair(transport);
    near.reactions.data = (chunk) => near.write(chunk.slice());
    near.reactions.end = () => near.close();
    const bytes = pattern(50, 200);
    far.write(bytes);
    await until("the echo has arrived", () => far.byteCount === bytes.length);
    far.close();
    await closed(near, far);
    assertBytes(far.received, bytes);
    assertEquals([near.why, far.why], ["finished", "finished"]);
  });
}

/** What only TCP has: an RST. */
export function resetCases(cases: Cases): void {
  cases.that("a reset closes with its cause, and is no end", async (bed) => {
    const { near, raw } = await bed.rawPair("tcp");
    raw.reset();
    await closed(near);
    assertEquals([near.why, near.ended], ["reset", false]);
    assertInstanceOf(near.cause, Error);
  });

  cases.that("an end is no reset", async (bed) => {
    const { near, raw } = await bed.rawPair("tcp");
    raw.end();
    await until("the end is seen", () => near.ended);
    await quiet();
    assertEquals(near.why, null);
  });

  cases.that("data that came before a reset is delivered", async (bed) => {
    for (let i = 0; i < 20; i++) {
      const bytes = pattern(60 + i, 5000);
      const { near, raw } = await bed.rawPair("tcp");
      raw.send(bytes);
      await quiet(1);
      raw.reset();
      await closed(near);
      assertEquals(near.why, "reset");
      assertBytes(near.received, bytes);
    }
  });

  cases.that("a peer that sends and leaves without reading is heard to the end", async (bed) => {
    for (let i = 0; i < 20; i++) {
      const bytes = pattern(80 + i, 3000);
      const { near, raw } = await bed.rawPair("tcp");
      raw.stall();
      near.write(pattern(1, 100));
      await until("it is sent", () => near.unsentBytes === 0);
      raw.send(bytes);
      await quiet(1);
      raw.reset();
      // Writing meets the reset before reading does.
      for (let turn = 0; turn < 5 && near.why === null; turn++) {
        if (near.unsentBytes === 0) near.write(pattern(2, 100));
        await quiet(1);
      }
      await closed(near);
      assertBytes(near.received, bytes);
      assertEquals(near.why, "reset");
    }
  });

  cases.that("a write that meets a reset gets no drain, and the reset no end", async (bed) => {
    const { near, raw } = await bed.rawPair("tcp");
    raw.reset();
    // Without a turn of the loop, so that the write is the first to hear of it.
    const until = performance.now() + 20;
    while (performance.now() < until);
    near.write(pattern(3, 100));
    await closed(near);
    assertEquals([near.why, near.ended, near.drains], ["reset", false, 0]);
    assertEquals(near.write(pattern(3, 100)), false);
  });

  cases.that("a reset ends a write that waits, without a drain", async (bed) => {
    const { near, raw } = await bed.rawPair("tcp");
    await stall(near, { pauseReading: () => raw.stall() });
    raw.reset();
    await closed(near);
    assertEquals([near.why, near.ended, near.drains, near.unsentBytes], ["reset", false, 0, 0]);
  });

  cases.that("a reset after the peer's end is found out by writing", async (bed) => {
    const { near, raw } = await bed.rawPair("tcp");
    raw.end();
    await until("the end is seen", () => near.ended);
    raw.reset();
    await until("a write finds it out", () => {
      if (near.why === null && near.unsentBytes === 0) near.write(pattern(4, 1000));
      return near.why !== null;
    });
    assertEquals(near.why, "reset");
  });

  cases.that("a reset during close() is not taken for its course", async (bed) => {
    const { near, raw } = await bed.rawPair("tcp");
    near.close();
    await until("our end is seen", () => raw.ended);
    raw.reset();
    await closed(near);
    assertEquals([near.why, near.ended], ["reset", false]);
  });

  cases.that("a reset during a pause comes at once, or after what came before it", async (bed) => {
    const idle = await bed.rawPair("tcp", (side) => side.pauseReading());
    idle.raw.reset();
    await quiet();
    idle.near.resumeReading();
    await closed(idle.near);

    const bytes = pattern(5, 5000);
    const { near, raw } = await bed.rawPair("tcp", (side) => side.pauseReading());
    raw.send(bytes);
    await quiet();
    raw.reset();
    await quiet();
    assertEquals(near.byteCount, 0);
    near.resumeReading();
    await closed(near);
    assertBytes(near.received, bytes);
    assertEquals([idle.near.why, near.why], ["reset", "reset"]);
    assertEquals([idle.near.ended, near.ended], [false, false]);
  });

  cases.that("a connection reset while paused can be destroyed or closed instead", async (bed) => {
    const pairs = [await bed.rawPair("tcp"), await bed.rawPair("tcp")] as const;
    for (const { near, raw } of pairs) {
      near.pauseReading();
      raw.send(pattern(6, 5000));
      await quiet();
      raw.reset();
    }
    await quiet();
    pairs[0].near.destroy();
    pairs[1].near.close();
    await closed(pairs[0].near, pairs[1].near);
    assertEquals(pairs.map(({ near }) => near.why), ["destroyed", "reset"]);
    assert(pairs.every(({ near }) => near.byteCount === 0));
  });
}
