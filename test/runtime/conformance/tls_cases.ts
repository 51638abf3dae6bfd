/**
 * What the contract says of TLS alone.
 *
 * @module
 */

import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { connect, type Socket } from "node:net";
import process from "node:process";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { type Address, type ConnectOptions, TransportError } from "../../../runtime/types.ts";
import { assertBytes, pattern } from "../../support/bytes.ts";
import { FIRST, SECOND, trustIn } from "../../support/identities.ts";
import type { Side } from "../../support/side.ts";
import {
  ALERT,
  APPLICATION_DATA,
  HANDSHAKE,
  hugeHello,
  recordTypesOf,
  tlsRecord,
  TlsTap,
} from "../../support/network/tls_tap.ts";
import { quiet, until } from "../../support/until.ts";
import type { Bed, Cases } from "./bed.ts";
import { closed } from "./ending_cases.ts";
import { stall } from "./writing_cases.ts";

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

/** A client of the platform's own, whose wire is seen. Its alerts are too, with TLS 1.2. */
async function withTap(
  bed: Bed,
  accepted: (side: Side) => void,
  act: (tap: TlsTap, client: TLSSocket) => Promise<void>,
): Promise<void> {
  const listener = await bed.listen(accepted, bed.anywhere("tls"));
  const tap = await TlsTap.before(listener.address);
  const client = connectTls({
    host: "127.0.0.1",
    port: tap.port,
    servername: "localhost",
    ca: FIRST.cert,
    maxVersion: "TLSv1.2",
  } as ConnectionOptions);
  client.on("error", () => {});
  try {
    let isSecure = false;
    client.on("secureConnect", () => isSecure = true);
    await until("the client is connected", () => isSecure);
    await act(tap, client);
  } finally {
    client.destroy();
    tap.close();
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

  cases.that("a peer whose handshake is larger than any is ended early", async (bed) => {
    const near: Side[] = [];
    const listener = await bed.listen((side) => near.push(side), bed.anywhere("tls"));
    await withPlainPeer(listener.address, async (peer) => {
      peer.resume();
      peer.write(tlsRecord(HANDSHAKE, hugeHello(8 * 1024)));
      for (let i = 0; i < 2; i++) peer.write(tlsRecord(HANDSHAKE, new Uint8Array(8 * 1024)));
      await until("it is accepted", () => near.length === 1);
      await closed(...near);
      assertEquals((near[0]!.cause as TransportError).code, "handshake_failed");
    });
  });

  cases.that("a peer is told that its handshake has failed", async (bed) => {
    const near: Side[] = [];
    const listener = await bed.listen((side) => near.push(side), bed.anywhere("tls"));
    await withPlainPeer(listener.address, async (peer) => {
      const answer: number[] = [];
      peer.on("data", (chunk: Uint8Array) => answer.push(...chunk));
      peer.write(tlsRecord(HANDSHAKE, Uint8Array.of(1, 0, 0, 2, 3, 3)));
      await until("it is told", () => answer.length >= 7);
      assertEquals(recordTypesOf(Uint8Array.from(answer)), [ALERT]);
      await closed(...near);
      assertEquals((near[0]!.cause as TransportError).code, "handshake_failed");
    });
  });

  cases.that("a peer that ends first is told that we end too", async (bed) => {
    await withTap(bed, (side) => side.reactions.end = () => side.close(), async (tap, client) => {
      client.end();
      await until("the last record is an alert", () => tap.recordTypes.at(-1) === ALERT);
    });
  });

  cases.that("what a peer sends behind its end isn't kept", async (bed) => {
    let near: Side | undefined;
    await withTap(bed, (side) => near = side, async (tap, client) => {
      tap.passesEnd = false;
      client.end();
      await until("its end is seen", () => near?.ended ?? false);
      const before = process.memoryUsage().rss;
      const record = tlsRecord(APPLICATION_DATA, new Uint8Array(16 * 1024));
      for (let i = 0; i < 8 * 1024; i++) await tap.inject(record);
      assertLess((process.memoryUsage().rss - before) / 1024 ** 2, 64);
      // We may still write.
      near!.write(pattern(1, 100));
      await quiet();
      assertEquals(near!.why, null);
    });
  });

  cases.that("what is sent to a stalled peer is copied in part, and that is told", async (bed) => {
    const { near, far } = await bed.pair("tls");
    await stall(bed, near, far);
    const { copiedBytes = 0 } = near.connection;
    assert(copiedBytes > 0 && copiedBytes <= 16 * 1024, `${copiedBytes}`);
    assertEquals((await bed.pair("tcp")).near.connection.copiedBytes ?? 0, 0);
  });

  cases.where("held records", "what is held of a record is told", async (bed) => {
    let near: Side | undefined;
    await withTap(bed, (side) => near = side, async (tap) => {
      await until("it is accepted", () => near !== undefined);
      const { connection } = near!;
      assertEquals(connection.heldBytes, 0);
      await tap.inject(tlsRecord(APPLICATION_DATA, new Uint8Array(10_000), 16_000));
      await until("it is held", () => connection.heldBytes! >= 10_000);
      // Not as much as the record will have, though it said so.
      assertEquals([connection.heldBytes! <= 16_005, near!.helds > 0], [true, true]);
      near!.destroy();
      assertEquals(connection.heldBytes, 0);
    });
  });

  cases.where("held records", "a handshake that hangs is held, and that is told", async (bed) => {
    const near: Side[] = [];
    const listener = await bed.listen((side) => near.push(side), bed.anywhere("tls"));
    await withPlainPeer(listener.address, async (peer) => {
      peer.write(tlsRecord(HANDSHAKE, hugeHello(100), 200));
      await until("it is held", () => near.length === 1 && near[0]!.helds > 0);
      const { heldBytes } = near[0]!.connection;
      // There is no engine yet.
      assert(heldBytes! >= 105 && heldBytes! < 1024, `${heldBytes}`);
      peer.write(new Uint8Array(100));
      await until("the engine is there", () => near[0]!.connection.heldBytes! > 10_000);
    });
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
      const third = await assertRejects(() => bed.runtime.tryIdentity(tls, "it"), TransportError);
      assertEquals([third.code, third.message.slice(0, 4)], ["certificate_unusable", "it: "]);
    }
    await bed.runtime.tryIdentity(SECOND, "it");
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
