import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { describe, it } from "node:test";
import { decodeFrame, encodeFrame } from "../../../../server/machines/wire/frame_codec.ts";
import { BATCH, REFILL, type Wanted } from "../../../../server/machines/wire/frames.ts";
import { gotOf, pair } from "../pair.ts";
import { type Machine, siblingsWith, Street } from "../street.ts";

const KIB = "x".repeat(1024);

/** Publishes so many KiB, of which another machine gets nothing. */
function missKib(street: Street, a: Machine, kib: number): void {
  street.lose(() => {
    for (let i = 0; i < kib; i++) {
      a.publish(KIB);
      street.settle();
    }
  });
}

const isWaiting = ({ cluster }: Machine) => cluster.gate !== undefined;

describe("publishers", () => {
  it("wait for a machine that asks for what the log is about to lose, until it has that", () => {
    const { street, a, b } = pair({ logBytes: 1024 * 1024 });
    missKib(street, a, 400);
    assertEquals(isWaiting(a), false);
    street.fate = (from) => [from === a.name ? 300 : 0];
    let resumed = 0;
    const waiter = { resume: () => void resumed++ };
    // The state of a second tells of the loss.
    for (let ms = 0; ms < 2_000 && !isWaiting(a); ms += 50) street.pass(50);
    assertEquals(isWaiting(a), true);
    a.cluster.gate!.wait(waiter);
    street.pass(1_200);
    assertEquals([isWaiting(a), resumed], [false, 1]);
    assertEquals([gotOf(b, a), b.holes], [a.published, []]);
  });

  it("don't wait for a machine that lacks only what the log keeps for long", () => {
    const { street, a, b } = pair({ logBytes: 1024 * 1024 });
    missKib(street, a, 200);
    for (let ms = 0; ms < 2_000; ms += 50) {
      street.pass(50);
      assertEquals(isWaiting(a), false);
    }
    assertEquals(gotOf(b, a), a.published);
  });

  it("don't wait for a machine that asks no more, or gets on no more", () => {
    const { street, a, b } = pair({ logBytes: 1024 * 1024 });
    missKib(street, a, 400);
    // It asks again and again, and gets nothing but states.
    const send = a.send.bind(a);
    a.send = (frame, machine) => decodeFrame(frame).kind === BATCH || send(frame, machine);
    for (let ms = 0; ms < 2_000 && !isWaiting(a); ms += 50) street.pass(50);
    assertEquals(isWaiting(a), true);
    street.pass(6_000);
    for (let ms = 0; ms < 4_000; ms += 50) {
      assertEquals(isWaiting(a), false);
      street.pass(50);
    }
    const other = pair({ logBytes: 1024 * 1024 });
    missKib(other.street, other.a, 400);
    other.street.fate = (from) => from === other.a.name ? [500] : [0];
    for (let ms = 0; ms < 2_000 && !isWaiting(other.a); ms += 50) other.street.pass(50);
    assertEquals(isWaiting(other.a), true);
    other.street.kill(other.b);
    other.street.pass(1_200);
    assertEquals([isWaiting(other.a), b.holes], [false, []]);
  });

  for (const kib of [1, 50]) {
    it(`don't wait for long for a machine that gets on too slowly, nor again: ${kib} KiB a turn`, () => {
      const { street, a, b } = pair({ logBytes: 1024 * 1024 });
      missKib(street, a, 700);
      // It gets one message in two seconds.
      const send = a.send.bind(a);
      let sentMs = -Infinity;
      a.send = (frame, machine) => {
        if (decodeFrame(frame).kind === BATCH) {
          if (machine === undefined || street.clock.nowMs - sentMs < 2_000) return;
          sentMs = street.clock.nowMs;
        }
        send(frame, machine);
      };
      let waitedMs = 0;
      for (let ms = 0; ms < 40_000; ms += 50) {
        street.pass(50);
        if (isWaiting(a)) waitedMs += 50;
        // Publishers that go on push what it lacks out of the log.
        else if (ms > 2_000) { for (let i = 0; i < kib; i++) a.publish(KIB); }
      }
      assertGreater(gotOf(b, a).length, 10);
      assertGreater(b.holes.length, 0);
      assertGreater(waitedMs, 0);
      assertLess(waitedMs, 6_000);
    });
  }

  it("don't wait while other machines can't be reached", () => {
    const { street, a } = pair({ logBytes: 1024 * 1024 });
    missKib(street, a, 400);
    street.fate = (from) => [from === a.name ? 300 : 0];
    for (let ms = 0; ms < 2_000 && !isWaiting(a); ms += 50) street.pass(50);
    assertEquals(isWaiting(a), true);
    a.setConnected(false);
    assertEquals(isWaiting(a), false);
  });

  it("wait also for a process that has no room for an answer", () => {
    const street = new Street();
    const siblings = siblingsWith({ hasRoomFor: () => false });
    const a = street.add("a", { logBytes: 1024 * 1024 });
    const b = street.add("b", { siblings });
    street.pass(1_500);
    const base = a.published.at(-1) ?? a.origins.own.micros;
    for (let i = 0; i < 400; i++) {
      a.publish(KIB);
      street.settle();
    }
    const gaps = [{ after: base, to: Infinity }];
    const wanted: Wanted = { origin: a.origin, gaps, maxBytes: 1_000_000 };
    const asked: Wanted[] = [];
    const send = b.send.bind(b);
    b.send = (frame, machine) => {
      const content = decodeFrame(frame);
      if (content.kind === REFILL) asked.push(content.wanted);
      send(frame, machine);
    };
    b.cluster.receiver.onHandedUp(
      encodeFrame({ machine: b.name, kind: REFILL, wanted }),
      "sibling",
    );
    street.settle();
    assertEquals(asked.map(({ gaps, maxBytes }) => [gaps, maxBytes]), [[gaps, 1]]);
    assertEquals(isWaiting(a), true);
  });
});
