/**
 * What the contract says of resets, which only TCP has.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { assertBytes, pattern } from "../../support/bytes.ts";
import type { Side } from "../../support/side.ts";
import { until } from "../../support/until.ts";
import type { Cases, Wire } from "./bed.ts";
import { closed } from "./ending_cases.ts";
import { stall } from "./writing_cases.ts";

export function resetCases(cases: Cases, wire: Wire): void {
  cases.that("a reset closes with its cause, and is no end", async (bed) => {
    const { near, raw } = await bed.rawPair(wire);
    raw.reset();
    await closed(near);
    assertEquals([near.why, near.ended], ["reset", false]);
    assertInstanceOf(near.cause, Error);
  });

  cases.that("an end is no reset", async (bed) => {
    const { near, raw } = await bed.rawPair(wire);
    raw.end();
    await until("the end is seen", () => near.ended);
    await bed.quiet();
    assertEquals(near.why, null);
  });

  cases.that("data that came before a reset is delivered", async (bed) => {
    for (let i = 0; i < 20; i++) {
      const bytes = pattern(60 + i, 5000);
      const { near, raw } = await bed.rawPair(wire);
      raw.send(bytes);
      await bed.quiet(1);
      raw.reset();
      await closed(near);
      assertEquals(near.why, "reset");
      assertBytes(near.received, bytes);
    }
  });

  cases.that("a peer that sends and leaves without reading is heard to the end", async (bed) => {
    for (let i = 0; i < 20; i++) {
      const bytes = pattern(80 + i, 3000);
      const { near, raw } = await bed.rawPair(wire);
      raw.stall();
      near.write(pattern(1, 100));
      await until("it is sent", () => near.unsentBytes === 0);
      raw.send(bytes);
      await bed.quiet(1);
      raw.reset();
      // Writing meets the reset before reading does.
      for (let turn = 0; turn < 5 && near.why === null; turn++) {
        if (near.unsentBytes === 0) near.write(pattern(2, 100));
        await bed.quiet(1);
      }
      await closed(near);
      assertBytes(near.received, bytes);
      assertEquals(near.why, "reset");
    }
  });

  cases.where(
    "processes",
    "a peer that left before it was accepted is heard, whatever writes to it meet",
    async (bed) => {
      const near: Side[] = [];
      const listener = await bed.listen((side) => {
        near.push(side);
        let writes = 0;
        const write = () => {
          while (++writes < 5 && side.write(pattern(1, 100)));
        };
        side.reactions.drain = write;
        side.reactions.end = () => side.close();
        write();
      });
      const { address } = listener;
      // Our loop stands still until they are all gone.
      if (address.transport === "tcp") {
        bed.run("leaving_peers.ts", [String(address.port), "100", "3000"]);
      }
      await until("all are accepted", () => near.length === 100);
      await closed(...near);
      for (const side of near) assertEquals(side.byteCount, 3000);
    },
  );

  cases.that("a write that meets a reset gets no drain, and the reset no end", async (bed) => {
    const { near, raw } = await bed.rawPair(wire);
    raw.reset();
    // Without a turn of the loop, so that the write is the first to hear of it.
    const until = performance.now() + 20;
    while (performance.now() < until);
    near.write(pattern(3, 100));
    await closed(near);
    assertEquals([near.why, near.ended, near.drains], ["reset", false, 0]);
    assertEquals(near.write(pattern(3, 100)), false);
  });

  cases.that("a reset that a write has met is still one when close() follows", async (bed) => {
    const { near, raw } = await bed.rawPair(wire);
    raw.reset();
    const until = performance.now() + 20;
    while (performance.now() < until);
    near.write(pattern(3, 100));
    near.close();
    await closed(near);
    assertEquals([near.why, near.ended, near.drains], ["reset", false, 0]);
  });

  cases.that("a reset ends a write that waits, without a drain", async (bed) => {
    const { near, raw } = await bed.rawPair(wire);
    await stall(bed, near, { pauseReading: () => raw.stall() });
    raw.reset();
    await closed(near);
    assertEquals([near.why, near.ended, near.drains, near.unsentBytes], ["reset", false, 0, 0]);
  });

  cases.that("a reset after the peer's end is found out by writing", async (bed) => {
    const { near, raw } = await bed.rawPair(wire);
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
    const { near, raw } = await bed.rawPair(wire);
    near.close();
    await until("our end is seen", () => raw.ended);
    raw.reset();
    await closed(near);
    assertEquals([near.why, near.ended], ["reset", false]);
  });

  cases.that("a reset during a pause comes at once, or after what came before it", async (bed) => {
    const idle = await bed.rawPair(wire, (side) => side.pauseReading());
    idle.raw.reset();
    await bed.quiet();
    idle.near.resumeReading();
    await closed(idle.near);

    const bytes = pattern(5, 5000);
    const { near, raw } = await bed.rawPair(wire, (side) => side.pauseReading());
    raw.send(bytes);
    await bed.quiet();
    raw.reset();
    await bed.quiet();
    assertEquals(near.byteCount, 0);
    near.resumeReading();
    await closed(near);
    assertBytes(near.received, bytes);
    assertEquals([idle.near.why, near.why], ["reset", "reset"]);
    assertEquals([idle.near.ended, near.ended], [false, false]);
  });

  cases.that("a connection reset while paused can be destroyed or closed instead", async (bed) => {
    const pairs = [await bed.rawPair(wire), await bed.rawPair(wire)] as const;
    for (const { near, raw } of pairs) {
      near.pauseReading();
      raw.send(pattern(6, 5000));
      await bed.quiet();
      raw.reset();
    }
    await bed.quiet();
    pairs[0].near.destroy();
    pairs[1].near.close();
    await closed(pairs[0].near, pairs[1].near);
    assertEquals(pairs.map(({ near }) => near.why), ["destroyed", "reset"]);
    assert(pairs.every(({ near }) => near.byteCount === 0));
  });
}
