import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { decodeFrame, encodeFrame } from "../../../server/machines/wire/frame_codec.ts";
import { type MachineState, REFILL, STATE } from "../../../server/machines/wire/frames.ts";
import { assertNothingSilent, gotOf, pair } from "./pair.ts";
import { type Machine, Street } from "./street.ts";

/** Two machines, of which `a` has two processes, and `b` knows both. */
function withSibling() {
  const street = new Street();
  const [a, b] = [street.add("a"), street.add("b")];
  const base = street.nowMicros;
  const sibling = a.origins.learn("5".repeat(16), base);
  a.cluster.addSibling(sibling, base);
  street.pass(1_500);
  return { street, a, b, base, sibling };
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

  it("says when a machine is silent, is heard again, or is dead", () => {
    const { street, a, b } = pair();
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
    const { street, a, b } = pair();
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

  for (const begins of ["alone", "with siblings alone"] as const) {
    it(`brings what was published since a machine began ${begins}, and nothing older`, () => {
      const street = new Street();
      const a = street.add("a", { logMs: 5_000 });
      a.publish("before");
      // Its log doesn't keep that any more.
      street.pass(6_000);
      a.publish("just before");
      street.pass(1);
      const b = street.add("b", { begins });
      street.pass(1);
      const since = [a.publish(1), a.publish(2)];
      street.pass(3_000);
      b.setConnected(true);
      street.pass(1_000);
      a.publish(3);
      street.pass(2_000);
      assertEquals(gotOf(b, a), [...since, a.published.at(-1)]);
      assertEquals(b.holes, []);
    });

    it(`says what is lost of that to a machine that began ${begins}`, () => {
      const street = new Street();
      const a = street.add("a", { logMs: 5_000 });
      a.publish("before");
      const b = street.add("b", { begins });
      const beganMicros = street.nowMicros;
      street.pass(1);
      const lost = a.publish(1);
      street.pass(6_000);
      a.publish(2);
      b.setConnected(true);
      street.pass(2_000);
      assertEquals(gotOf(b, a), a.published.slice(-1));
      assertEquals(b.holes, [{ origin: a.origin, after: beganMicros, to: lost }]);
    });
  }

  it("lets a machine that stops say goodbye, so that it counts as ended", async () => {
    const { street, a, b } = pair();
    a.publish(1);
    await a.cluster.leave();
    street.pass(100);
    street.kill(a);
    assertEquals(gotOf(b, a), a.published);
    assertEquals(b.origins.find(a.origin)?.end, "ended");
    assertEquals(b.log, [`joined ${a.name}`, `left ${a.name}`]);
  });

  it("takes no frame that comes behind a goodbye for a stranger's", async () => {
    const { street, a, b } = pair();
    await a.cluster.leave();
    street.pass(100);
    const wanted = { origin: b.origin, gaps: [{ after: 0, to: Infinity }], maxBytes: 1 };
    a.cluster.uplink.tell(b.name, { kind: REFILL, wanted });
    street.pass(100);
    assertEquals([b.cluster.report().counts.rejected, b.log.at(-1)], [0, `left ${a.name}`]);
  });

  it("brings what a process published that began and ended while its machine was cut off", () => {
    const { street, a, b } = pair();
    street.pass(2_000);
    b.setConnected(false);
    const base = street.nowMicros;
    const sibling = a.origins.learn("5".repeat(16), base);
    a.cluster.addSibling(sibling, base);
    const published = [1, 2, 3].map((n) => base + n);
    for (const micros of published) {
      sibling.micros = micros;
      const message = new TextEncoder().encode('{"topic":"t","data":0}');
      a.cluster.noteSibling(sibling, "t", micros, message, false);
    }
    street.pass(500);
    a.origins.close(sibling, "crashed", base + 700);
    a.cluster.removeSibling(sibling.name);
    street.pass(1_500);
    b.setConnected(true);
    street.pass(3_000);
    const got = b.delivered.filter(({ origin }) => origin === sibling.name);
    assertEquals(got.map(({ micros }) => micros), published);
    const { end, micros } = b.origins.find(sibling.name)!;
    assertEquals([end, micros, b.holes], ["crashed", base + 700, []]);
  });

  it("says of a process that crashed before, though only as it stops itself", async () => {
    const { street, a, b, base, sibling } = withSibling();
    assertEquals(b.origins.find(sibling.name)?.micros, base);
    street.fate = () => [];
    a.origins.close(sibling, "crashed", base + 700);
    street.pass(1_500);
    street.fate = () => [0];
    await a.cluster.leave();
    street.pass(100);
    const { end, micros } = b.origins.find(sibling.name)!;
    // A client may have been told of its end by the one that stopped.
    assertEquals([end, micros], ["crashed", base + 700]);
  });

  it("knows the latest end of a process that any other one was told", async () => {
    const { street, a, b, base, sibling } = withSibling();
    // It says goodbye. Later the supervisor says when it has ended, which a sibling without that word tells clients.
    a.origins.close(sibling, "ended", base + 500);
    street.pass(1_500);
    a.origins.close(sibling, "lost", base + 700);
    street.pass(1_500);
    const { end, micros } = b.origins.find(sibling.name)!;
    assertEquals([end, micros], ["ended", base + 700]);
    // The last one of a machine tells its siblings a time behind its last message.
    const toldMicros = street.nowMicros;
    await a.cluster.leave();
    street.pass(100);
    assertGreaterOrEqual(b.origins.find(a.origin)!.micros, toldMicros);
  });

  it("lets no other machine say when a process ended", () => {
    const street = new Street();
    const [a, b, c] = [street.add("a"), street.add("b"), street.add("c")];
    const base = street.nowMicros;
    const [itsOwn, known] = [b, a].map((machine, at) => {
      const origin = machine.origins.learn(`${5 + at}`.repeat(16), base);
      machine.cluster.addSibling(origin, base);
      return origin;
    });
    street.pass(1_500);
    b.origins.close(itsOwn!, "ended", base + 500);
    a.origins.close(known!, "ended", base + 500);
    let stated: MachineState | undefined;
    c.send = (frame) => {
      const content = decodeFrame(frame);
      if (content.kind === STATE) stated = content.state;
    };
    street.pass(1_500);
    for (const { name } of [itsOwn!, known!]) {
      const ended = { name, base, last: base, end: "ended", endMicros: base + 9e9 } as const;
      const state = { ...stated!, origins: [ended] };
      b.take(encodeFrame({ machine: c.name, kind: STATE, state }), false);
      assertEquals(b.origins.find(name)!.micros, base + 500);
    }
    assertEquals(b.cluster.report().counts.rejected, 2);
  });

  it("holds a machine for dead when the others do, though it has begun after that fell silent", () => {
    const { street, a, b } = pair();
    a.publish(1);
    street.pass(1_500);
    street.kill(a);
    street.pass(20_000);
    const c = street.add("c", { copies: b });
    const endOf = (machine: Machine) => machine.origins.find(a.origin)?.end;
    street.pass(7_000);
    assertEquals([endOf(b), endOf(c)], [undefined, undefined]);
    street.pass(5_000);
    assertEquals([endOf(b), endOf(c)], ["crashed", "crashed"]);
  });

  it("gives a machine time to say that it lives that was silent for long elsewhere", () => {
    const { street, a, b } = pair();
    a.publish(1);
    street.pass(1_500);
    a.setConnected(false);
    street.pass(29_000);
    const c = street.add("c", { copies: b });
    a.setConnected(true);
    street.pass(10_000);
    assertEquals(c.origins.find(a.origin)?.end, undefined);
    a.publish(2);
    street.pass(1_500);
    assertEquals(gotOf(c, a), [a.published[1]]);
  });

  it("says that a clock is ahead, and doesn't take the time of a state's way for that", () => {
    const street = new Street();
    const [a, b] = [street.add("a"), street.add("b", { aheadMs: 3_000 })];
    const disagreements = () =>
      [a, b].map(({ log }) => {
        return log.filter((line) => line.startsWith("disagrees"));
      });
    street.pass(3_000);
    assertEquals(disagreements(), [["disagrees: its clock is 3.0 s ahead of this machine's"], []]);
    const late = new Street();
    const [c, d] = [late.add("a"), late.add("b")];
    late.fate = () => [3_500];
    late.pass(20_000);
    assertEquals([c, d].map(({ log }) => log.some((line) => line.startsWith("disagrees"))), [
      false,
      false,
    ]);
  });

  it("says that limits disagree", () => {
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
