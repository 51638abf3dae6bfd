import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { randomBytes } from "node:crypto";
import process from "node:process";
import { describe, it } from "node:test";
import { detectRuntime } from "../../../runtime/detect.ts";
import {
  type Accept,
  type Connection,
  type ConnectionHandler,
  type TransportEnd,
  TransportError,
} from "../../../runtime/types.ts";
import { ProvenSockets } from "../../../server/workers/proven_sockets.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";
import { quiet, until } from "../../support/until.ts";

const skip = process.platform === "linux" ? false : "such names are Linux's";

const timeout = 30_000;

/** Keeps all that comes. */
class Peer implements ConnectionHandler {
  readonly connection: Connection;
  received = new Uint8Array(0);
  end: TransportEnd | undefined;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  onData(chunk: Uint8Array): void {
    const bytes = new Uint8Array(this.received.length + chunk.length);
    bytes.set(this.received);
    bytes.set(chunk, this.received.length);
    this.received = bytes;
  }

  onDrain(): void {}

  onEnd(): void {
    this.connection.close();
  }

  onClose(why: TransportEnd): void {
    this.end = why;
  }
}

/** Accepts every connection. */
function collect(): { readonly peers: Peer[]; readonly accept: Accept } {
  const peers: Peer[] = [];
  return {
    peers,
    accept: (connection) => {
      const peer = new Peer(connection);
      peers.push(peer);
      return peer;
    },
  };
}

/** A name that is no file. */
function someName(): string {
  return `\0hotwheels-test-${randomBytes(8).toString("hex")}`;
}

describe("sockets between those who know a secret", { skip }, () => {
  it("carry what either side sends, from the first byte on", { timeout }, async () => {
    const runtime = await detectRuntime();
    const [first, second] = [new ProvenSockets(runtime, "s"), new ProvenSockets(runtime, "s")];
    const address = { transport: "unix", path: someName() } as const;
    const [near, far] = [collect(), collect()];
    const listener = await first.listen(address, (connection) => {
      connection.write(new Uint8Array([1, 2, 3]));
      return near.accept(connection);
    });
    const large = randomBytes(100_000);
    for (let i = 0; i < 5; i++) {
      await second.connect(address, (connection) => {
        connection.write(large);
        return far.accept(connection);
      });
    }
    await until("all has come", () => {
      return near.peers.length === 5 && near.peers.every(({ received }) =>
        received.length >= 1e5
      ) &&
        far.peers.every(({ received }) => received.length === 3);
    });
    for (const { received } of near.peers) assertEquals(received, new Uint8Array(large));
    for (const { connection } of far.peers) connection.close();
    await until("they are closed", () => near.peers.every(({ end }) => end === "finished"));
    await listener.close();
  });

  it("admit no process that doesn't know the secret, or doesn't say it", { timeout }, async () => {
    const runtime = await detectRuntime();
    const address = { transport: "unix", path: someName() } as const;
    const near = collect();
    const listener = await new ProvenSockets(runtime, "right").listen(address, near.accept);
    const wrong = new ProvenSockets(runtime, "wrong");
    const error = await assertRejects(
      () => wrong.connect(address, collect().accept),
      TransportError,
    );
    assertEquals(error.code, "handshake_failed");
    const strangers = collect();
    for (let i = 0; i < 200; i++) await runtime.connect(address, strangers.accept);
    strangers.peers[199]!.connection.write(randomBytes(64));
    await until("it's ended", () => strangers.peers[199]!.end !== undefined);
    // Others come, though these stay.
    const far = collect();
    await new ProvenSockets(runtime, "right").connect(address, far.accept);
    await until("it's let in", () => near.peers.length > 0);
    assertEquals([near.peers.length, far.peers.length], [1, 1]);
    const gone = () => strangers.peers.filter(({ end }) => end !== undefined).length;
    // A look each turn: what is too many goes at once, and the others a while later.
    while (gone() < 200 - 128) await new Promise<void>((resolve) => runtime.nextTurn(resolve));
    assertLess(gone(), 200);
    await until("all are", () => strangers.peers.every(({ end }) => end !== undefined));
    assertEquals(near.peers[0]!.end, undefined);
    for (const { connection } of far.peers) connection.destroy();
    await listener.close();
  });

  it("tell nothing to who listens without knowing it, passing on what others say neither", {
    timeout,
  }, async () => {
    const runtime = await detectRuntime();
    const sockets = new ProvenSockets(runtime, "s");
    const [real, taken] = [someName(), someName()];
    const near = collect();
    const listener = await sockets.listen({ transport: "unix", path: real }, near.accept);
    // It took a name, and passes all bytes on to a process that knows the secret, and back.
    const relay = await runtime.listen({ transport: "unix", path: taken }, (outer) => {
      let inner: Connection | undefined;
      const early: Uint8Array[] = [];
      void runtime.connect({ transport: "unix", path: real }, (connection) => {
        inner = connection;
        for (const bytes of early) connection.write(bytes);
        return {
          onData: (chunk) => void outer.write(chunk.slice()),
          onDrain() {},
          onEnd: () => connection.close(),
          onClose() {},
        };
      });
      return {
        onData: (chunk) => {
          if (inner === undefined) early.push(chunk.slice());
          else inner.write(chunk.slice());
        },
        onDrain() {},
        onEnd: () => outer.close(),
        onClose: () => inner?.destroy(),
      };
    });
    const far = collect();
    const address = { transport: "unix", path: taken } as const;
    await assertRejects(() => sockets.connect(address, far.accept), TransportError);
    assertEquals([near.peers.length, far.peers.length], [0, 0]);
    await relay.close();
    await listener.close();
  });

  it("wait for what is on its way before their owners come", async () => {
    // There each write is on its way until the next turn.
    const net = new MemoryRuntime({ turns: "manual", answers: "late" });
    const sockets = new ProvenSockets(net, "s");
    const [near, far] = [collect(), collect()];
    await sockets.listen({ transport: "unix", path: "/a" }, near.accept);
    const connected = sockets.connect({ transport: "unix", path: "/a" }, (connection) => {
      connection.write(new Uint8Array([7]));
      return far.accept(connection);
    });
    net.settle();
    await connected;
    net.settle();
    assertEquals(near.peers[0]?.received, new Uint8Array([7]));
    await quiet(0);
  });
});
