import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Connection, TransportError } from "../../runtime/types.ts";
import { pattern } from "../support/bytes.ts";
import type { MemoryPeer } from "../support/memory/memory_peer.ts";
import { type MemoryOptions, MemoryRuntime } from "../support/memory/memory_runtime.ts";
import { Side } from "../support/side.ts";

interface Net {
  readonly net: MemoryRuntime;
  readonly sides: Side[];
  dial(bufferBytes?: number): MemoryPeer;
}

async function open(options: MemoryOptions = {}): Promise<Net> {
  const net = new MemoryRuntime({ turns: "manual", ...options });
  const sides: Side[] = [];
  const listener = await net.listen(net.anywhere, (connection: Connection) => {
    const side = new Side(connection);
    sides.push(side);
    return side;
  });
  const dial = (bufferBytes?: number) =>
    net.dial(listener.address, bufferBytes === undefined ? {} : { bufferBytes });
  return { net, sides, dial };
}

describe("the runtime in memory", () => {
  it("does nothing until it is turned", async () => {
    const { net, sides, dial } = await open();
    const peer = dial();
    peer.send("hello");
    const ran: string[] = [];
    net.nextTurn(() => ran.push("task"));
    await sleep(5);
    assertEquals([sides[0]!.byteCount, ran], [0, []]);
    net.turn();
    assertEquals([sides[0]!.byteCount, ran], [5, ["task"]]);
    sides[0]!.write(new TextEncoder().encode("hi"));
    assertEquals(peer.text, "");
    net.settle();
    assertEquals([peer.text, net.isSettled], ["hi", true]);
  });

  it("runs a task's tasks in the turn after", async () => {
    const { net } = await open();
    const ran: number[] = [];
    const again = () => {
      ran.push(net.turnCount);
      if (ran.length < 3) net.nextTurn(again);
    };
    net.nextTurn(again);
    assertEquals([net.settle(), ran], [3, [1, 2, 3]]);
  });

  it("takes of a write what a stalled peer has room for, then what it makes room for", async () => {
    const { net, sides, dial } = await open();
    const peer = dial(100);
    peer.stall();
    const [side] = sides as [Side];
    assertEquals(side.write(pattern(1, 250)), false);
    net.settle();
    assertEquals([side.unsentBytes, side.drains, peer.waitingBytes], [150, 0, 100]);
    assertEquals(peer.take(30), 30);
    assertEquals(side.unsentBytes, 150);
    net.settle();
    assertEquals([side.unsentBytes, side.drains, peer.byteCount], [120, 0, 30]);
    peer.bufferBytes = 150;
    net.settle();
    assertEquals([side.unsentBytes, side.drains], [70, 0]);
    peer.flow();
    net.settle();
    assertEquals([side.unsentBytes, side.drains, peer.byteCount], [0, 1, 250]);
    assertEquals(peer.received, pattern(1, 250));
  });

  it("answers late where it is told to", async () => {
    const { net, sides, dial } = await open({ answers: "late" });
    dial();
    const [side] = sides as [Side];
    assertEquals([side.write(pattern(1, 10)), side.unsentBytes], [false, 0]);
    assertThrows(() => side.connection.write(pattern(1, 10)), Error, "in flight");
    net.turn();
    assertEquals([side.drains, side.write(pattern(1, 10))], [1, false]);
  });

  it("logs writes in the order in which they were made", async () => {
    const { net, sides, dial } = await open();
    const peers = [dial(), dial(), dial()];
    sides[0]!.write(pattern(1, 10));
    const log = net.watchWrites();
    for (const i of [2, 0, 1, 2]) sides[i]!.write(pattern(1, 10 + i));
    net.turn();
    sides[1]!.write(pattern(1, 7));
    const numbers = peers.map((peer) => peer.number);
    assertEquals(log, [
      { to: numbers[2]!, bytes: 12, turn: 0 },
      { to: numbers[0]!, bytes: 10, turn: 0 },
      { to: numbers[1]!, bytes: 11, turn: 0 },
      { to: numbers[2]!, bytes: 12, turn: 0 },
      { to: numbers[1]!, bytes: 7, turn: 1 },
    ]);
    assertEquals(peers.map((peer) => peer.writeCount), [2, 2, 2]);
  });

  it("spoils a chunk that is kept after the call", async () => {
    const { net, sides, dial } = await open();
    const peer = dial();
    let kept: Uint8Array | undefined;
    sides[0]!.reactions.data = (chunk) => kept = chunk;
    peer.send("keep me");
    net.settle();
    assertEquals(kept, new Uint8Array(7).fill(0xee));
  });

  it("goes on after a handler has thrown", async () => {
    const { net, sides, dial } = await open();
    const peers = [dial(), dial()];
    sides[0]!.reactions.data = () => {
      throw new TypeError("a mistake");
    };
    for (const peer of peers) peer.send("hello");
    let ran = false;
    net.nextTurn(() => ran = true);
    assertThrows(() => net.turn(), TypeError, "a mistake");
    net.settle();
    assertEquals([sides[1]!.byteCount, ran], [5, true]);
  });

  it("refuses a peer at an address without a listener", () => {
    const net = new MemoryRuntime();
    assertThrows(
      () => net.dial({ transport: "tcp", hostname: "127.0.0.1", port: 1 }),
      TransportError,
      "cannot connect to 127.0.0.1:1",
    );
  });
});
