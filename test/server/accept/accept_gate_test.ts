import { assert, assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { TimestampIssuer } from "../../../protocol/timestamp.ts";
import type { Address } from "../../../runtime/types.ts";
import { AcceptGate } from "../../../server/accept/accept_gate.ts";
import { CoarseClock } from "../../../server/timing/coarse_clock.ts";
import { newCounters } from "../../../server/counters.ts";
import { Rejections } from "../../../server/accept/rejections.ts";
import type { MemoryPeer } from "../../support/memory/memory_peer.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";
import { quiet, until } from "../../support/until.ts";

const MARKER = "<regular-socket/>\0";
const TOLD = /^\{"timestamp":\[\d+,\d+,\d+\],"error":\{"code":"too_many_connections",.*\}\}.$/s;

/** A gate that keeps 32 descriptors for refusals, in a process that has so many more. */
async function gateOf(places: number) {
  const net = new MemoryRuntime({ turns: "manual", answers: "late" });
  const clock = new CoarseClock(1_000);
  const sessions = { size: 0 };
  const free = { count: 0 };
  const rejections = new Rejections({
    clock,
    timestamps: new TimestampIssuer(),
    counters: newCounters(),
    events: { onSessionEnd() {} },
  });
  const gate = new AcceptGate({
    sessions,
    held: undefined,
    rejections,
    displacement: { yieldingCount: 0 },
    processes: 1,
    maxConnections: places,
    descriptorLimit: undefined,
    seesDescriptors: (count) => Promise.resolve(count <= free.count),
  });
  const refusal = { detail: "no room", isNews: false, isOfAddress: false };
  const { address } = await net.listen(
    net.anywhere,
    (connection) => rejections.reject(connection, refusal, false),
  );
  return { net, free, sessions, rejections, gate, refuse: refuserAt(net, address) };
}

/** Connects as many peers that are refused. */
function refuserAt(net: MemoryRuntime, address: Address) {
  return (count: number): MemoryPeer[] => Array.from({ length: count }, () => net.dial(address));
}

describe("the gate for accepts", () => {
  it("is open while there are descriptors for another", async () => {
    const { gate, sessions, refuse } = await gateOf(10);
    sessions.size = 10;
    refuse(31);
    assertEquals(gate.untilOpen(), undefined);
    refuse(1);
    assert(gate.untilOpen() !== undefined);
  });

  it("lets those go first who know, and hears the others out for a moment", async () => {
    const { gate, net, sessions, rejections, refuse } = await gateOf(10);
    sessions.size = 10;
    const [old, ...silent] = refuse(32);
    net.settle();
    let isOpen = false;
    gate.untilOpen()!.then(() => isOpen = true);
    old!.send(MARKER);
    net.settle();
    await until("it is open", () => {
      net.settle();
      return isOpen;
    });
    assertEquals(rejections.size, 31);
    assertEquals([old!.text, old!.ended], ["", true]);
    assertEquals(silent.filter(({ ended }) => ended).length, 0);
    // None says anything now.
    refuse(1);
    isOpen = false;
    gate.untilOpen()!.then(() => isOpen = true);
    await until("it is open", () => {
      net.settle();
      return isOpen;
    });
    for (const peer of silent) assert(TOLD.test(peer.text), peer.text);
  });

  it("lets all listeners go on that wait", async () => {
    const { gate, net, sessions, refuse } = await gateOf(10);
    sessions.size = 10;
    const peers = refuse(32);
    net.settle();
    let open = 0;
    for (let i = 0; i < 2; i++) gate.untilOpen()!.then(() => open++);
    peers[0]!.send(MARKER);
    await until("both go on", () => {
      net.settle();
      return open === 2;
    });
    assertEquals(gate.untilOpen(), undefined);
  });

  it("goes by how few descriptors there turned out to be, until enough are seen", async () => {
    const { gate, net, free, sessions, refuse } = await gateOf(100);
    sessions.size = 50;
    assertEquals(gate.refusal, undefined);
    gate.ranOut();
    assertEquals(gate.refusal?.detail, "All 18 connections are taken");
    assert(gate.untilOpen() !== undefined);
    // One leaves; the next one's descriptor is there to refuse it with.
    sessions.size = 49;
    assertEquals(gate.untilOpen(), undefined);
    assert(gate.refusal !== undefined);
    refuse(1);
    net.settle();
    assert(gate.untilOpen() !== undefined);
    // Those for refusals, and none for a connection.
    free.count = 32;
    gate.sweep();
    await quiet();
    assert(gate.refusal !== undefined);
    free.count = 33;
    gate.sweep();
    await quiet();
    assertEquals([gate.untilOpen(), gate.refusal], [undefined, undefined]);
  });

  it("lets only clients give way that do nothing, where it's short of what should be there", async () => {
    const { gate, sessions, free } = await gateOf(50);
    sessions.size = 50;
    assertEquals(gate.refusal?.sparesActive, false);
    gate.ranOut();
    assertEquals(gate.refusal?.sparesActive, true);
    free.count = 33;
    gate.sweep();
    await quiet();
    assertEquals(gate.refusal?.sparesActive, false);
  });

  it("where accepting can't wait, tells the oldest, unless it is seen to be of 2009", async () => {
    const { gate, net, sessions, rejections, refuse } = await gateOf(10);
    sessions.size = 10;
    const [first, second, third, ...others] = refuse(32);
    second!.send(MARKER);
    for (let i = 0; i < 3; i++) {
      refuse(1);
      gate.accepted();
    }
    net.settle();
    assertEquals(rejections.size, 32);
    assert(TOLD.test(first!.text), first!.text);
    assertEquals(second!.text, "");
    assert(TOLD.test(third!.text), third!.text);
    for (const peer of [first, second, third]) assertEquals(peer!.ended, true);
    for (const peer of others) assertEquals([peer.text, peer.ended], ["", false]);
  });
});
