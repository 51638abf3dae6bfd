import { assertEquals, assertLessOrEqual } from "@std/assert";
import { describe, it } from "node:test";
import { assertNothingSilent, gotOf, pair, pairWithGap } from "./pair.ts";
import { Street } from "./street.ts";

describe("messages that are missing in a cluster", () => {
  it("gets again what was lost on the way, in order, and within moments", () => {
    const { street, a, b } = pair();
    a.publish(1);
    street.pass(100);
    street.lose(() => a.publish(2));
    a.publish(3);
    street.pass(100);
    assertEquals(gotOf(b, a), a.published);
    assertEquals(b.cluster.report().counts.gaps, 1);
    assertEquals(b.holes, []);
  });

  it("gets the last message again that was lost, which no other one shows", () => {
    const { street, a, b } = pair();
    street.lose(() => a.publish(1));
    street.pass(1_500);
    assertEquals(gotOf(b, a), a.published);
  });

  it("says which messages can't be had any more, and goes on behind them", () => {
    const { street, a, b } = pair({ logBytes: 1 });
    a.publish(1);
    street.pass(100);
    street.fate = () => [];
    const lost = [a.publish(2), a.publish(3)];
    street.pass(50);
    street.fate = () => [0];
    a.publish(4);
    street.pass(500);
    assertEquals(gotOf(b, a), [a.published[0], a.published[3]]);
    assertEquals(b.holes, [{ origin: a.origin, after: a.published[0]!, to: lost[1]! }]);
    // A position in front of the hole can't be gone on from.
    assertEquals(b.origins.find(a.origin)?.holeMicros, lost[1]);
  });

  it("waits for five seconds for what is missing, and no longer", () => {
    const { street, a, b } = pairWithGap();
    street.pass(4_500);
    assertEquals(gotOf(b, a), []);
    street.pass(1_500);
    assertEquals(gotOf(b, a), [a.published[1]]);
    assertEquals(b.holes.length, 1);
  });

  it("waits no longer where there are several gaps", () => {
    const { street, a, b } = pair();
    for (let i = 0; i < 8; i++) {
      // Each second message gets lost, and what is asked for is never heard.
      street.fate = (from) => from === b.name || i % 2 === 0 ? [] : [0];
      a.publish(i);
      street.pass(50);
    }
    street.fate = (from) => from === b.name ? [] : [0];
    street.pass(8_000);
    assertEquals(gotOf(b, a), a.published.filter((_, i) => i % 2 === 1));
    assertEquals(b.holes.length, 4);
  });

  it("declares nothing lost while the way is cut, however long that is", () => {
    const { street, a, b } = pair();
    b.setConnected(false);
    for (let i = 0; i < 200; i++) {
      a.publish(i);
      street.pass(100);
    }
    b.setConnected(true);
    street.pass(2_000);
    assertEquals(gotOf(b, a), a.published);
    assertEquals(b.holes, []);
  });

  it("holds messages while memory is short, within a bound, and gets the others later", () => {
    const { street, a, b } = pair({ logBytes: 64 * 1024 * 1024 });
    b.mayDeliver = false;
    const data = "x".repeat(60_000);
    for (let i = 0; i < 300; i++) {
      a.publish(data);
      street.pass(10, 10);
      assertLessOrEqual(b.cluster.report().heldBytes, 8 * 1024 * 1024);
    }
    assertEquals(gotOf(b, a), []);
    b.mayDeliver = true;
    street.pass(5_000);
    assertEquals(gotOf(b, a), a.published);
    assertEquals(b.holes, []);
  });

  it("lets what fills a gap get past what waits behind it, however much that is", () => {
    const { street, a, b } = pair({ logBytes: 64 * 1024 * 1024 });
    // What is asked for isn't heard for a while, so that more waits than there is room for.
    const data = "x".repeat(60_000);
    street.lose(() => a.publish(data));
    street.fate = (from) => from === b.name ? [] : [0];
    for (let i = 0; i < 200; i++) {
      a.publish(data);
      street.pass(10, 10);
    }
    street.fate = () => [0];
    street.pass(10_000);
    assertEquals(gotOf(b, a), a.published);
    assertEquals(b.holes, []);
    assertEquals(b.cluster.report().heldBytes, 0);
  });

  it("gives nothing up because memory was short while it was missing", () => {
    const { street, a, b } = pairWithGap();
    street.pass(1_000);
    // Now it could be had, but not delivered.
    street.fate = () => [0];
    b.mayDeliver = false;
    street.pass(20_000);
    b.mayDeliver = true;
    street.pass(2_000);
    assertEquals(gotOf(b, a), a.published);
    assertEquals(b.holes, []);
  });

  it("gives nothing up because its process stood still while it was missing", () => {
    const { street, a, b } = pair();
    street.lose(() => a.publish(1));
    street.fate = () => [100];
    a.publish(2);
    street.pass(150);
    // What fills the gap is under way. The process goes on before it reads what has come meanwhile.
    street.clock.nowMs += 9_000;
    b.cluster.sweep();
    street.pass(2_000);
    assertEquals(gotOf(b, a), a.published);
    assertEquals(b.holes, []);
  });

  it("gives nothing up because the machine that has it was cut off, where nothing waits behind it", () => {
    const { street, a, b } = pair();
    street.lose(() => a.publish(1));
    // A state says that it was sent, and what is asked for is never heard.
    street.fate = (from) => from === b.name ? [] : [0];
    street.pass(1_500);
    assertEquals(b.cluster.report().counts.gaps, 1);
    street.fate = () => [0];
    a.setConnected(false);
    street.pass(20_000);
    assertEquals(b.cluster.report().isConnected, true);
    a.setConnected(true);
    street.pass(2_000);
    assertEquals(gotOf(b, a), a.published);
    assertEquals(b.holes, []);
  });

  it("lets nothing wait for more than five seconds behind a gap because the machine is silent", () => {
    const { street, a, b } = pairWithGap();
    street.pass(1_000);
    street.kill(a);
    street.pass(3_000);
    assertEquals(gotOf(b, a), []);
    street.pass(2_000);
    assertEquals(gotOf(b, a), [a.published[1]]);
    assertEquals(b.holes.length, 1);
  });

  it("delivers nothing from behind a hole before clients are told of it", () => {
    const street = new Street();
    const [a, b] = [street.add("a"), street.add("b", { tellsSlowly: true })];
    street.pass(100);
    for (let i = 0; i < 6; i++) {
      // Each second message gets lost, and what is asked for is never heard.
      street.fate = (from) => from === b.name || i % 2 === 0 ? [] : [0];
      a.publish(i);
      street.pass(50);
    }
    street.fate = (from) => from === b.name ? [] : [0];
    street.pass(6_000);
    for (let holes = 1; holes <= 3; holes++) {
      assertEquals([b.holes.length, gotOf(b, a).length], [holes, holes - 1]);
      street.pass(1_000);
      assertEquals([b.holes.length, gotOf(b, a).length], [holes, holes - 1]);
      b.isTelling = false;
      // The gate lets it go on before it looks by itself.
      b.gate.open();
      street.settle();
      assertEquals(gotOf(b, a).length, holes);
      street.pass(300);
    }
    assertEquals(gotOf(b, a), a.published.filter((_, i) => i % 2 === 1));
  });

  it("delivers nothing of a dead machine from behind a hole before clients are told of it", () => {
    const street = new Street();
    const [a, b] = [street.add("a"), street.add("b", { tellsSlowly: true })];
    street.pass(100);
    street.lose(() => a.publish(1));
    b.mayDeliver = false;
    a.publish(2);
    street.pass(50);
    street.kill(a);
    street.pass(35_000);
    assertEquals([b.holes.length, gotOf(b, a)], [1, []]);
    b.mayDeliver = true;
    street.pass(1_000);
    assertEquals([b.holes.length, gotOf(b, a)], [1, []]);
    b.isTelling = false;
    street.pass(300);
    assertEquals(gotOf(b, a), [a.published[1]]);
    assertEquals(b.origins.find(a.origin)?.end, "crashed");
  });

  it("goes on with a machine that is heard again while what waits of it can't be delivered", () => {
    const { street, a, b } = pair();
    b.mayDeliver = false;
    a.publish(1);
    street.pass(50);
    a.setConnected(false);
    street.pass(35_000);
    assertEquals(b.origins.find(a.origin)?.end, undefined);
    a.setConnected(true);
    a.publish(2);
    street.pass(1_500);
    b.mayDeliver = true;
    street.pass(1_000);
    a.publish(3);
    street.pass(1_500);
    assertEquals(gotOf(b, a), a.published);
    assertEquals([b.holes, b.origins.find(a.origin)?.end], [[], undefined]);
  });

  it("delivers what waits of a machine that is dead, behind what it can't have any more", () => {
    const { street, a, b } = pair();
    street.lose(() => a.publish(1));
    b.mayDeliver = false;
    a.publish(2);
    street.pass(50);
    street.kill(a);
    street.pass(35_000);
    assertEquals(gotOf(b, a), []);
    b.mayDeliver = true;
    street.pass(300);
    assertEquals(gotOf(b, a), [a.published[1]]);
    assertEquals(b.holes.length, 1);
    assertEquals(b.origins.find(a.origin)?.end, "crashed");
    assertNothingSilent(b, a);
    assertEquals(b.cluster.report().heldBytes, 0);
  });
});
