import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { ReplayThrottle } from "../../../server/access/replay_throttle.ts";
import { REPLAY_BURST_BYTES, REPLAY_BYTES_PER_SECOND } from "../../../server/limits/clients.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";
import { CoarseClock } from "../../../server/timing/coarse_clock.ts";

const MIB = 1024 * 1024;

/** The number of replays of a MiB that an address gets until it has to wait. */
function takeAll(throttle: ReplayThrottle, address: string): number {
  let count = 0;
  for (; throttle.placeOf(address) === undefined; count++) throttle.take(address, MIB);
  return count;
}

describe("the throttle of what is replayed", () => {
  for (const processes of [1, 2]) {
    it(`gives an address its burst, and then its rate, shared by ${processes} process(es)`, () => {
      const clock = new CoarseClock(0);
      const throttle = new ReplayThrottle(new MemoryRuntime(), clock, processes);
      const atOnce = REPLAY_BURST_BYTES / MIB / processes;
      const first = takeAll(throttle, "192.0.2.1");
      // Each counts as a bit more than what it replays.
      assertEquals(first <= atOnce && first > atOnce * 0.99, true, `${first}`);
      // All of a subnet are one address; others are not.
      assertEquals(throttle.placeOf("192.0.2.2"), undefined);
      assertEquals(takeAll(throttle, "2001:db8::1"), first);
      assertEquals(takeAll(throttle, "2001:db8::2"), 0);

      clock.nowMs += 1_000;
      throttle.sweep();
      const more = takeAll(throttle, "192.0.2.1");
      const perSecond = REPLAY_BYTES_PER_SECOND / MIB / processes;
      assertEquals(more <= perSecond + 1 && more >= perSecond - 1, true, `${more}`);

      assertEquals(throttle.size, 2);
      clock.nowMs += 20_000;
      throttle.sweep();
      assertEquals(throttle.size, 0);
    });
  }
});
