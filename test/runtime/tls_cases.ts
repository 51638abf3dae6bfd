/**
 * What the contract says of TLS alone.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect, type Socket } from "node:net";
import { type Address, type ConnectOptions, TransportError } from "../../runtime/types.ts";
import { assertBytes, pattern } from "../support/bytes.ts";
import { FIRST, SECOND, trustIn } from "../support/identities.ts";
import type { Side } from "../support/side.ts";
import { quiet, until } from "../support/until.ts";
import type { Bed, Cases } from "./bed.ts";
import { closed } from "./ending_cases.ts";

async function failure(bed: Bed, options: ConnectOptions): Promise<TransportError> {
  const error = await assertRejects(() => bed.connect(options), TransportError);
  assertEquals(error.message.includes("\n"), false);
  return error;
}

/** A peer that knows nothing of TLS. */
async function withPlainPeer(
  address: Address,
  act: (peer: Socket) => Promise<void>,
): Promise<void> {
  if (address.transport !== "tcp") throw new TypeError("no TCP listener");
  const peer = connect({ host: address.hostname, port: address.port });
  peer.on("error", () => {});
  try {
    await act(peer);
  } finally {
    peer.destroy();
  }
}

export function tlsCases(cases: Cases): void {
  cases.that("onSecure comes once to the accepted side, before any data", async (bed) => {
    const order: string[] = [];
    const { near, far } = await bed.pair("tls", (side) => {
      side.reactions.secure = () => order.push("secure");
      side.reactions.data = () => order.push("data");
    });
    far.reactions.secure = () => order.push("the other side");
    far.write(pattern(1, 100));
    await until("it has arrived", () => near.byteCount === 100);
    assertEquals(order, ["secure", "data"]);
    const plain = await bed.pair("tcp", (side) => {
      side.reactions.secure = () => order.push("over tcp");
    });
    plain.far.write(pattern(1, 100));
    await until("it has arrived", () => plain.near.byteCount === 100);
    assertEquals(order, ["secure", "data"]);
  });

  cases.that("a listener that isn't believed is left with handshake_failed", async (bed) => {
    const near: Side[] = [];
    const listener = await bed.listen((side) => near.push(side), bed.anywhere("tls"));
    for (
      const tls of [
        trustIn(SECOND),
        trustIn(FIRST, "elsewhere.example"),
        { serverName: "localhost" },
      ]
    ) {
      assertEquals((await failure(bed, { ...listener.address, tls })).code, "handshake_failed");
    }
    await closed(...near);
    assertEquals(near.length, 3);
    await bed.connect({ ...listener.address, tls: trustIn(FIRST) });
    await bed.connect({ ...listener.address, tls: trustIn(FIRST, "127.0.0.1") });
  });

  cases.that("a peer that doesn't speak TLS is a reset with handshake_failed", async (bed) => {
    const near: Side[] = [];
    const listener = await bed.listen((side) => {
      near.push(side);
      side.write(pattern(1, 100));
    }, bed.anywhere("tls"));
    await withPlainPeer(listener.address, async (peer) => {
      peer.write("<regular-socket/>\0");
      await until("it is accepted", () => near.length === 1);
      await closed(...near);
    });
    await withPlainPeer(listener.address, async (peer) => {
      peer.end();
      await until("it is accepted", () => near.length === 2);
      await closed(...near);
    });
    for (const side of near) {
      assertEquals([side.why, side.drains, side.ended], ["reset", 0, false]);
      assertEquals((side.cause as TransportError).code, "handshake_failed");
    }
  });

  cases.that("connecting by TLS to who doesn't speak it fails", async (bed) => {
    const listener = await bed.listen((side) => side.write(pattern(1, 100)));
    const { code } = await failure(bed, { ...listener.address, tls: trustIn(FIRST) });
    assertEquals(code, "handshake_failed");
  });

  cases.that("a handshake that the listener leaves hanging is timed_out", async (bed) => {
    const near: Side[] = [];
    const listener = await bed.listen((side) => near.push(side));
    const { code } = await failure(bed, {
      ...listener.address,
      tls: trustIn(FIRST),
      timeoutMs: 200,
    });
    assertEquals(code, "timed_out");
    await until("its descriptor is free", () => near[0]!.ended || near[0]!.why !== null);
  });

  cases.that("a handshake that the peer leaves hanging is ended by destroy()", async (bed) => {
    const near: Side[] = [];
    const listener = await bed.listen((side) => near.push(side), bed.anywhere("tls"));
    await withPlainPeer(listener.address, async (peer) => {
      let isOver = false;
      peer.on("close", () => isOver = true);
      peer.resume();
      await until("it is accepted", () => near.length === 1);
      await quiet();
      assertEquals(near[0]!.why, null);
      near[0]!.destroy();
      await closed(near[0]!);
      assertEquals(near[0]!.why, "destroyed");
      await until("the peer sees that its descriptor is free", () => isOver);
    });
  });

  cases.that("renew() is for the next handshakes, and live connections stay", async (bed) => {
    const near: Side[] = [];
    const listener = await bed.listen((side) => near.push(side), bed.anywhere("tls"));
    const early = await bed.connect({ ...listener.address, tls: trustIn(FIRST) });
    await listener.renew(SECOND);
    assertEquals(
      (await failure(bed, { ...listener.address, tls: trustIn(FIRST) })).code,
      "handshake_failed",
    );
    const late = await bed.connect({ ...listener.address, tls: trustIn(SECOND) });
    const bytes = pattern(1, 1000);
    for (const side of near) if (side.why === null) side.write(bytes);
    await until("both hear", () => early.byteCount + late.byteCount === 2000);
    assertBytes(early.received, bytes);
    assertBytes(late.received, bytes);
    await listener.close();
    await assertRejects(() => bed.connect({ ...listener.address, tls: trustIn(SECOND) }));
  });

  cases.that("an identity that can't be used is refused, and the old one stays", async (bed) => {
    const mismatch = { cert: FIRST.cert, key: SECOND.key };
    const nonsense = { cert: "nonsense", key: FIRST.key };
    const garbled = { cert: FIRST.cert, key: FIRST.key.replaceAll(/[a-z]/g, "!") };
    const listener = await bed.listen(() => {}, bed.anywhere("tls"));
    for (const tls of [mismatch, nonsense, garbled, { cert: "", key: "" }]) {
      const error = await assertRejects(() => listener.renew(tls), TransportError);
      assertEquals(error.code, "certificate_unusable");
      const other = await assertRejects(
        () => bed.listen(() => {}, { transport: "tcp", hostname: "127.0.0.1", port: 0, tls }),
        TransportError,
      );
      assertEquals(other.code, "certificate_unusable");
    }
    const side = await bed.connect({ ...listener.address, tls: trustIn(FIRST) });
    assert(side.why === null);
  });

  cases.that("without TLS there is nothing to renew", async (bed) => {
    for (const wire of ["tcp", "unix"] as const) {
      const listener = await bed.listen(() => {}, bed.anywhere(wire));
      await assertRejects(() => listener.renew(FIRST), TypeError);
    }
  });
}
