import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { Uplink } from "../../../server/machines/uplink.ts";
import { CoarseClock } from "../../../server/timing/coarse_clock.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";

describe("the connection of a process that doesn't hold the transport", () => {
  const clock = new CoarseClock(10_000);
  const siblings = {
    relay() {},
    handUp() {},
    tellUplink() {},
    isBehind: false as boolean,
    hasRoomFor: () => true,
    names: () => [],
  };
  const uplink = new Uplink("0123456789abcdef", {
    runtime: new MemoryRuntime({ turns: "manual" }),
    clock,
    siblings,
    takesFromSiblings: () => true,
    isWaitedFor: () => false,
    flush() {},
    state: () => {
      throw new Error("it has nothing to state");
    },
  });

  const fine = { isReachable: true, isPrompt: true, maxFrameBytes: 1_000 };

  it("is what the holder says, as long as that says something", () => {
    assertEquals(uplink.isReachable, false);
    uplink.onUplink(fine, 0);
    assertEquals([uplink.isReachable, uplink.isPrompt], [true, true]);
    clock.nowMs += 1_000;
    assertEquals(uplink.isReachable, true);
    // The holder stands still.
    clock.nowMs += 1_000;
    assertEquals([uplink.isReachable, uplink.isPrompt], [false, false]);
  });

  it("isn't prompt while what siblings say comes late, or they are behind", () => {
    uplink.onUplink(fine, 2_000);
    assertEquals(uplink.isPrompt, false);
    uplink.onUplink(fine, 20);
    assertEquals(uplink.isPrompt, true);
    uplink.onUplink({ ...fine, isPrompt: false }, 20);
    assertEquals([uplink.isReachable, uplink.isPrompt], [true, false]);
    uplink.onUplink(fine, 20);
    siblings.isBehind = true;
    assertEquals([uplink.isReachable, uplink.isPrompt], [true, false]);
  });
});
