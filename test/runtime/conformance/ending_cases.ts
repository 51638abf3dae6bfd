/**
 * What the contract says of `close`, `destroy` and `onClose`.
 *
 * @module
 */

import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { TransportError } from "../../../runtime/types.ts";
import { assertBytes, pattern } from "../../support/bytes.ts";
import type { Side } from "../../support/side.ts";
import { until } from "../../support/until.ts";
import { type Cases, trustFor, type Wire } from "./bed.ts";
import { stall } from "./writing_cases.ts";

/** Waits until each of `sides` has been told of its end. */
export function closed(...sides: Side[]): Promise<void> {
  return until("the connection is closed", () => sides.every((side) => side.why !== null));
}

export function endingCases(cases: Cases, wire: Wire): void {
  cases.that("leave the peer's port known, which there is but on Unix sockets", async (bed) => {
    const near: Side[] = [];
    const far: Side[] = [];
    const { address } = await bed.listen((side) => near.push(side), bed.anywhere(wire));
    for (let i = 0; i < 3; i++) far.push(await bed.connect({ ...address, ...trustFor(wire) }));
    await until("they are accepted", () => near.length === 3);
    const portsOf = (sides: Side[]) => sides.map(({ connection }) => connection.remotePort);
    const [nearPorts, farPorts] = [portsOf(near), portsOf(far)];
    const port = address.transport === "tcp" ? address.port : 0;
    assertEquals(farPorts, [port, port, port]);
    if (wire === "unix") assertEquals(nearPorts, [0, 0, 0]);
    else {
      assertEquals(new Set(nearPorts).size, 3);
      for (const port of nearPorts) assert(port > 0 && port < 65_536, `port ${port}`);
    }
    near[0]!.close();
    far[0]!.close();
    near[1]!.destroy();
    far[2]!.destroy();
    await until("they see the end", () => far[1]!.ended || far[1]!.why !== null);
    await until("they see the end", () => near[2]!.ended || near[2]!.why !== null);
    far[1]!.destroy();
    near[2]!.destroy();
    await closed(...near, ...far);
    assertEquals([portsOf(near), portsOf(far)], [nearPorts, farPorts]);
  });

  cases.that("close() is seen as an end, and finishes when the peer ends too", async (bed) => {
    const { near, far } = await bed.pair(wire);
    near.close();
    near.close();
    await until("the end is seen", () => far.ended);
    await bed.quiet();
    assertEquals([near.why, far.why], [null, null]);
    far.close();
    await closed(near, far);
    assertEquals([near.why, far.why, near.ended], ["finished", "finished", false]);
    assertEquals([near.cause, far.cause], [undefined, undefined]);
  });

  cases.that("both sides may close at the same time", async (bed) => {
    const { near, far } = await bed.pair(wire);
    near.close();
    far.close();
    await closed(near, far);
    assertEquals([near.why, far.why], ["finished", "finished"]);
  });

  cases.that("close() sends the chunk in flight to its last byte, then the end", async (bed) => {
    const { near, far } = await bed.pair(wire);
    const chunk = await stall(bed, near, far);
    near.close();
    await bed.quiet();
    far.resumeReading();
    await until("the end is seen", () => far.ended);
    assertBytes(far.received, chunk);
    far.close();
    await closed(near, far);
    assertEquals([near.why, far.why, near.drains], ["finished", "finished", 1]);
  });

  cases.that("close() with a chunk in flight outlives the peer's end", async (bed) => {
    const { near, raw } = await bed.rawPair(wire);
    const chunk = await stall(bed, near, { pauseReading: () => raw.stall() });
    near.close();
    raw.end();
    await bed.quiet();
    raw.flow();
    await until("all has arrived", () => raw.received.length === chunk.length && raw.ended);
    assertBytes(raw.received, chunk);
    assertEquals(raw.failed, false);
    await closed(near);
    assertEquals([near.why, near.drains, near.ended], ["finished", 1, false]);
  });

  cases.that("close() reads and discards, so that our last words aren't lost", async (bed) => {
    const { near, raw } = await bed.rawPair(wire, (side) => side.pauseReading());
    raw.send(pattern(40, 200_000));
    await bed.quiet();
    const words = pattern(41, 1000);
    near.write(words);
    near.close();
    raw.send(pattern(42, 3_000_000));
    await until("our end is seen", () => raw.ended || raw.failed);
    await bed.quiet();
    assertEquals(raw.failed, false);
    assertBytes(raw.received, words);
    raw.end();
    await closed(near);
    assertEquals([near.why, near.byteCount, near.ended], ["finished", 0, false]);
  });

  cases.that("close() from inside onData discards the rest", async (bed) => {
    const { near, raw } = await bed.rawPair(wire);
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
    const { near, far } = await bed.pair(wire);
    far.close();
    await until("the end is seen", () => near.ended);
    await bed.quiet();
    assertEquals([near.why, far.why], [null, null]);
    near.write(pattern(45, 10));
    near.close();
    await closed(near, far);
    assertEquals([near.why, far.why], ["finished", "finished"]);
  });

  cases.that("close() on a paused connection whose peer has ended finishes", async (bed) => {
    const { near, far } = await bed.pair(wire);
    near.pauseReading();
    far.write(pattern(46, 100));
    far.close();
    await bed.quiet();
    near.close();
    await closed(near, far);
    assertEquals([near.why, far.why], ["finished", "finished"]);
    assertEquals([near.byteCount, near.ended], [0, false]);
  });

  cases.that("destroy() closes once, whatever else is called", async (bed) => {
    const { near, far } = await bed.pair(wire);
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

  cases.that("release() sends what was sent, then the end, and waits for nobody", async (bed) => {
    const { near, far } = await bed.pair(wire);
    const words = pattern(47, 1000);
    if (!near.write(words)) await until("it is sent", () => near.drains === 1);
    near.release();
    near.release();
    near.destroy();
    assertEquals(near.why, null);
    await closed(near);
    assertEquals(near.why, "destroyed");
    await until("the end is seen", () => far.ended || far.why !== null);
    assertBytes(far.received, words);
    if (wire === "tcp") assertEquals([far.ended, far.why], [true, null]);
  });

  cases.that("release() gives up on a close that the peer doesn't answer", async (bed) => {
    const { near, far } = await bed.pair(wire);
    near.write(pattern(48, 100));
    near.close();
    await until("the end is seen", () => far.ended);
    near.release();
    await closed(near);
    assertEquals(near.why, "destroyed");
    assertBytes(far.received, pattern(48, 100));
  });

  if (wire !== "tls") {
    cases.where("arrived bytes", "release() spares the peer an RST for them", async (bed) => {
      const { near, raw } = await bed.rawPair(wire, (side) => side.pauseReading());
      raw.send(pattern(49, 10_000));
      await bed.quiet();
      near.write(pattern(50, 100));
      near.release();
      await closed(near);
      await until("the end is seen", () => raw.ended || raw.failed);
      assertEquals(raw.failed, false);
      assertBytes(raw.received, pattern(50, 100));
    });
  }

  cases.that("destroy() gives up on a close that the peer doesn't answer", async (bed) => {
    const { near, far } = await bed.pair(wire);
    near.close();
    await until("the end is seen", () => far.ended);
    near.destroy();
    await closed(near);
    assertEquals(near.why, "destroyed");
  });

  cases.that("destroy() drops a blocked write and a pending read", async (bed) => {
    const { near, far } = await bed.pair(wire);
    const chunk = await stall(bed, near, far);
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
    const { near, far } = await bed.pair(wire);
    await stall(bed, near, far);
    near.close();
    await bed.quiet();
    near.destroy();
    await closed(near);
    assertEquals([near.why, near.drains], ["destroyed", 0]);
  });

  cases.that("destroy() may be called from any callback", async (bed) => {
    const fromData = await bed.pair(wire);
    fromData.near.reactions.data = () => fromData.near.destroy();
    fromData.far.write(pattern(47, 100_000));
    await closed(fromData.near);

    const fromDrain = await bed.pair(wire);
    fromDrain.near.reactions.drain = () => fromDrain.near.destroy();
    fromDrain.near.write(pattern(48, 16 * 1024 * 1024));
    await closed(fromDrain.near);

    const fromEnd = await bed.pair(wire);
    fromEnd.near.reactions.end = () => fromEnd.near.destroy();
    fromEnd.far.close();
    await closed(fromEnd.near);

    const fromClose = await bed.pair(wire);
    fromClose.near.reactions.close = () => fromClose.near.destroy();
    fromClose.near.destroy();
    await closed(fromClose.near);

    await bed.quiet();
    const sides = [fromData.near, fromDrain.near, fromEnd.near, fromClose.near];
    assertEquals(sides.map((side) => side.why), Array(4).fill("destroyed"));
  });

  cases.that("a connection may be closed or destroyed before its handler is known", async (bed) => {
    const closing = await bed.pair(wire, (side) => {
      side.write(pattern(49, 100));
      side.close();
    });
    await until("the end is seen", () => closing.far.ended);
    assertBytes(closing.far.received, pattern(49, 100));
    closing.far.close();
    await closed(closing.near);
    assertEquals(closing.near.why, "finished");

    let destroyed: Side | undefined;
    const listener = await bed.listen((side) => {
      destroyed = side;
      side.destroy();
    }, bed.anywhere(wire));
    // There is no handshake with one that is gone.
    await bed.connect({ ...listener.address, ...trustFor(wire) }).catch((error) => {
      if (!(error instanceof TransportError) || error.code !== "handshake_failed") throw error;
    });
    await until("it is accepted", () => destroyed !== undefined);
    await closed(destroyed!);
    assertEquals(destroyed!.why, "destroyed");
  });

  cases.that("a connection may write, end and close from inside its callbacks", async (bed) => {
    const { near, far } = await bed.pair(wire);
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
