import { assert, assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { type Machine, Street } from "./street.ts";

/** The timestamps of one machine's messages that another one was given. */
function gotOf(reader: Machine, writer: Machine): number[] {
  return reader.delivered.filter(({ origin }) => origin === writer.origin)
    .map(({ micros }) => micros);
}

/** Checks that a machine has each message of another, once and in order, or was told that it is lost. */
function assertNothingSilent(reader: Machine, writer: Machine): void {
  const got = gotOf(reader, writer);
  for (let i = 1; i < got.length; i++) assertGreater(got[i]!, got[i - 1]!, "order, and each once");
  const has = new Set(got);
  const holes = reader.holes.filter(({ origin }) => origin === writer.origin);
  for (const micros of writer.published) {
    const isLost = holes.some(({ after, to }) => after < micros && micros <= to);
    assert(has.has(micros) || isLost, `${micros} is missing, and not declared to be lost`);
  }
}

describe("a cluster in memory", () => {
  it("brings each message to each other machine once, with its timestamp", () => {
    const street = new Street();
    const [a, b, c] = [street.add("a"), street.add("b"), street.add("c")];
    street.pass(100);
    for (let i = 0; i < 100; i++) a.publish(i);
    b.publish("from b");
    street.pass(100);
    assertEquals(gotOf(b, a), a.published);
    assertEquals(gotOf(c, a), a.published);
    assertEquals(gotOf(a, b), b.published);
    assertEquals(a.delivered.at(-1)?.message, '{"topic":"t","data":"from b"}');
    assertEquals(a.delivered.length, 1);
  });

  it("gets again what was lost on the way, in order, and within moments", () => {
    const street = new Street();
    const [a, b] = [street.add("a"), street.add("b")];
    street.pass(100);
    a.publish(1);
    street.pass(100);
    street.fate = () => [];
    a.publish(2);
    street.pass(50);
    street.fate = () => [0];
    a.publish(3);
    street.pass(100);
    assertEquals(gotOf(b, a), a.published);
    assertEquals(b.cluster.report().counts.gaps, 1);
    assertEquals(b.holes, []);
  });

  it("gets the last message again that was lost, which no other one shows", () => {
    const street = new Street();
    const [a, b] = [street.add("a"), street.add("b")];
    street.pass(100);
    street.fate = () => [];
    a.publish(1);
    street.pass(50);
    street.fate = () => [0];
    street.pass(1_500);
    assertEquals(gotOf(b, a), a.published);
  });

  it("says which messages can't be had any more, and goes on behind them", () => {
    const street = new Street();
    const [a, b] = [street.add("a", { logBytes: 1 }), street.add("b")];
    street.pass(100);
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
    const street = new Street();
    const [a, b] = [street.add("a"), street.add("b")];
    street.pass(100);
    street.fate = () => [];
    a.publish(1);
    street.pass(50);
    // What is asked for is never heard.
    street.fate = (from) => from === b.name ? [] : [0];
    a.publish(2);
    street.pass(4_500);
    assertEquals(gotOf(b, a), []);
    street.pass(1_500);
    assertEquals(gotOf(b, a), [a.published[1]]);
    assertEquals(b.holes.length, 1);
  });

  it("waits no longer where there are several gaps", () => {
    const street = new Street();
    const [a, b] = [street.add("a"), street.add("b")];
    street.pass(100);
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
    const street = new Street();
    const [a, b] = [street.add("a"), street.add("b")];
    street.pass(100);
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

  it("says when a machine is silent, is heard again, or is dead", () => {
    const street = new Street();
    const [a, b] = [street.add("a"), street.add("b")];
    street.pass(100);
    b.setConnected(false);
    street.pass(6_000);
    b.setConnected(true);
    street.pass(2_000);
    street.kill(b);
    street.pass(40_000);
    const at = b.name;
    assertEquals(a.log, [
      `joined ${at}`,
      `silent ${at}`,
      `back ${at}`,
      `silent ${at}`,
      `dead ${at}`,
    ]);
    assertEquals(a.origins.find(b.origin)?.end, "crashed");
    assertEquals([...a.cluster.report().members], []);
  });

  it("goes on where a machine comes back that was held for dead", () => {
    const street = new Street();
    const [a, b] = [street.add("a"), street.add("b")];
    street.pass(100);
    a.publish(1);
    street.pass(100);
    b.setConnected(false);
    street.pass(40_000);
    a.publish(2);
    street.pass(100);
    b.setConnected(true);
    street.pass(2_000);
    a.publish(3);
    street.pass(100);
    assertEquals(gotOf(b, a), a.published);
    assertNothingSilent(b, a);
  });

  it("lets a machine that stops say goodbye, so that it counts as ended", async () => {
    const street = new Street();
    const [a, b] = [street.add("a"), street.add("b")];
    street.pass(100);
    a.publish(1);
    await a.cluster.leave();
    street.pass(100);
    street.kill(a);
    assertEquals(gotOf(b, a), a.published);
    assertEquals(b.origins.find(a.origin)?.end, "ended");
    assertEquals(b.log, [`joined ${a.name}`, `left ${a.name}`]);
  });

  it("holds messages while memory is short, within a bound, and gets the others later", () => {
    const street = new Street();
    const [a, b] = [street.add("a", { logBytes: 64 * 1024 * 1024 }), street.add("b")];
    street.pass(100);
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

  it("says that limits and clocks disagree", () => {
    const street = new Street();
    const [a] = [street.add("a"), street.add("b", { limits: { maxFrameBytes: 1_000 } })];
    street.pass(3_000);
    assertEquals(a.log.filter((line) => line.startsWith("disagrees")), [
      "disagrees: its maxFrameBytes is 1000, here it is 65536",
    ]);
  });

  it("keeps each machine's order, whatever is lost, late, twice, cut off or killed", () => {
    const seed = Date.now() % 2 ** 31;
    console.log(`cluster_test: seed ${seed}`);
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat(999)), (chances) => {
        const next = (below: number) => (chances.next().value as number) % below;
        const street = new Street();
        const logBytes = next(3) === 0 ? 3_000 : 1024 * 1024;
        const machines = ["a", "b", "c"].map((name) => street.add(name, { logBytes }));
        const dead: Machine[] = [];
        street.pass(200);
        const wild = () => {
          const chance = next(20);
          if (chance < 3) return [];
          if (chance < 5) return [next(10) * 30, next(10) * 30];
          return [chance < 10 ? next(20) * 20 : 0];
        };
        street.fate = wild;
        for (let step = 0; step < 120; step++) {
          const machine = machines[next(machines.length)]!;
          const what = next(30);
          if (what === 0) machine.setConnected(!machine.isConnected);
          else if (what === 1) machine.mayDeliver = !machine.mayDeliver;
          else if (what === 2 && dead.length === 0 && machines.length > 2) {
            machines.splice(machines.indexOf(machine), 1);
            dead.push(machine);
            street.kill(machine);
          } else for (let i = next(4); i > 0; i--) machine.publish(step);
          street.pass(next(10) * 20, 20);
        }
        street.fate = () => [0];
        for (const machine of machines) {
          machine.setConnected(true);
          machine.mayDeliver = true;
        }
        street.pass(20_000, 250);
        for (const reader of machines) {
          for (const writer of machines) if (writer !== reader) assertNothingSilent(reader, writer);
          // What a machine had sent last before it died may be lost; the rest is in order.
          for (const writer of dead) {
            const got = gotOf(reader, writer);
            assertEquals(got, [...new Set(got)].sort((x, y) => x - y));
          }
          assertEquals(reader.cluster.report().heldBytes, 0);
        }
      }),
      { seed, numRuns: 20 },
    );
  });
});
