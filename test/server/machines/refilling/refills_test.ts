import { assertEquals, assertLessOrEqual } from "@std/assert";
import { describe, it } from "node:test";
import type { Relayed } from "../../../../server/machines/cluster_host.ts";
import { decodeFrame, encodeFrame } from "../../../../server/machines/wire/frame_codec.ts";
import {
  BATCH,
  BYE,
  HOLE,
  REFILL,
  STATE,
  type Wanted,
} from "../../../../server/machines/wire/frames.ts";
import { gotOf, pair } from "../pair.ts";
import { siblingsWith, Street } from "../street.ts";

describe("what a cluster sends again", () => {
  it("asks seldom for what is on its way, however long that takes", () => {
    const { street, a, b } = pair({ logBytes: 64 * 1024 * 1024 });
    const data = "x".repeat(60_000);
    street.fate = () => [];
    for (let i = 0; i < 60; i++) a.publish(data);
    street.pass(50);
    // As on a way that is busy.
    let bytes = 0;
    street.fate = (from) => (from === a.name && bytes++, [2_000]);
    a.publish(data);
    street.pass(10_000);
    assertEquals(gotOf(b, a), a.published);
    assertEquals(b.holes, []);
    // 60 messages, a state each second, and some of them twice or three times.
    assertLessOrEqual(bytes, 61 * 4 + 12);
  });

  it("is sent again only what it lacks", () => {
    const { street, a, b } = pair({ logBytes: 64 * 1024 * 1024 });
    street.lose(() => a.publish(1));
    street.fate = (from) => from === b.name ? [] : [0];
    for (let i = 0; i < 60; i++) a.publish("x".repeat(60_000));
    street.pass(50);
    let frames = 0;
    street.fate = (from) => (from === a.name && frames++, [0]);
    street.pass(500);
    assertEquals(gotOf(b, a), a.published);
    assertLessOrEqual(frames, 3);
  });

  it("asks for no more at once than fits on the way, whatever lacks it", () => {
    const { street, a, b } = pair();
    const base = street.nowMicros;
    const sibling = a.origins.learn("5".repeat(16), base);
    a.cluster.addSibling(sibling, base);
    street.pass(1_500);
    const wanted: Wanted[] = [];
    const send = b.send.bind(b);
    b.send = (frame, machine) => {
      const content = decodeFrame(frame);
      if (content.kind === REFILL) wanted.push(content.wanted);
      send(frame, machine);
    };
    const text = new TextEncoder().encode('{"topic":"t"}');
    street.lose(() => {
      a.publish(1);
      a.cluster.noteSibling(sibling, "t", base + 1, text, false);
    });
    a.publish(2);
    a.cluster.noteSibling(sibling, "t", base + 2, text, false);
    street.fate = (from) => from === b.name ? [] : [0];
    street.pass(1_500);
    const last = wanted.slice(-2);
    assertEquals(new Set(last.map(({ origin }) => origin)), new Set([a.origin, sibling.name]));
    assertLessOrEqual(last.reduce((sum, { maxBytes }) => sum + maxBytes, 0), 4 * 1024 * 1024);
    street.fate = () => [0];
    street.pass(2_000);
    assertEquals([gotOf(b, a), b.holes], [a.published, []]);
  });

  it("asks for more as soon as an answer is here, though less has come than fits into one", () => {
    const { street, a, b } = pair({ logBytes: 64 * 1024 * 1024 });
    // Four make a batch, and 17 batches an answer, into which half of the next one would fit.
    const data = "x".repeat(60_000);
    street.lose(() => {
      for (let i = 0; i < 400; i++) a.publish(data);
    });
    street.fate = () => [50];
    // The state of each second tells of the loss. Then there are six answers, each of which takes 100 ms.
    street.pass(2_000);
    assertEquals([gotOf(b, a).length, b.holes], [400, []]);
  });

  it("asks for what only a sibling lacks, of a process too that has ended", () => {
    const street = new Street();
    let answers = 0;
    const siblings = siblingsWith({
      relay(frame: Uint8Array, { mayBeDropped }: Relayed) {
        if (decodeFrame(frame).kind === BATCH && !mayBeDropped) answers++;
      },
    });
    const [a, b] = [street.add("a"), street.add("b", { siblings })];
    const base = street.nowMicros;
    const ended = a.origins.learn("5".repeat(16), base);
    a.cluster.addSibling(ended, base);
    street.pass(1_500);
    const text = new TextEncoder().encode('{"topic":"t"}');
    a.cluster.noteSibling(ended, "t", base + 1, text, false);
    a.origins.close(ended, "ended", base + 2);
    street.pass(1_500);
    assertEquals(b.origins.find(ended.name)?.end, "ended");
    const gaps = [{ after: base, to: base + 1 }];
    const wanted = { origin: ended.name, gaps, maxBytes: 1_000_000 };
    const frame = encodeFrame({ machine: b.name, kind: REFILL, wanted });
    b.cluster.receiver.onHandedUp(frame, "sibling");
    street.settle();
    assertEquals(answers, 1);
  });

  it("checks each message once, and none that it has or must drop, and tells its siblings which", () => {
    const street = new Street();
    const relayed: boolean[] = [];
    const siblings = siblingsWith({
      relay(frame: Uint8Array, { isChecked }: Relayed) {
        if (decodeFrame(frame).kind === BATCH) relayed.push(isChecked);
      },
    });
    const [a, b] = [street.add("a"), street.add("b", { siblings })];
    street.pass(1_500);
    const frames: Uint8Array[] = [];
    const send = a.send.bind(a);
    a.send = (frame, machine) => {
      if (decodeFrame(frame).kind === BATCH) frames.push(frame);
      send(frame, machine);
    };
    a.publish(1);
    street.pass(50);
    assertEquals(relayed.splice(0), [true]);
    // The same with nonsense in it, which is here already.
    const nonsense = frames[0]!.slice();
    nonsense[nonsense.length - 1] = 0x20;
    b.take(nonsense, false);
    assertEquals([relayed.splice(0), b.cluster.report().counts.duplicates], [[false], 1]);
    // A sibling that lacks it checks it itself, unless this one has.
    for (const isChecked of [false, true]) {
      const sibling = street.add(isChecked ? "d" : "c");
      sibling.cluster.becomeReady();
      street.pass(1_500);
      const last = frames.length;
      street.fate = (_, to) => to === sibling.name ? [] : [0];
      a.publish(2);
      street.settle();
      const lacking = frames[last]!.slice();
      lacking[lacking.length - 1] = 0x20;
      sibling.cluster.receiver.onFrame(lacking, { isRelayed: true, isChecked });
      assertEquals(sibling.cluster.report().counts.rejected, isChecked ? 0 : 1);
      street.fate = () => [0];
    }
    relayed.length = 0;
    // Behind a gap, and too much to wait.
    street.lose(() => a.publish(3));
    street.fate = (from) => from === b.name ? [] : [0];
    for (let i = 0; i < 200; i++) {
      a.publish("x".repeat(60_000));
      street.settle();
    }
    assertEquals([relayed[0], relayed.at(-1)], [true, false]);
    assertLessOrEqual(b.cluster.report().heldBytes, 8 * 1024 * 1024);
  });

  it("lets a sibling that is behind know how other machines are, and miss only what it can ask for", async () => {
    const street = new Street();
    const dropped = new Set<number>();
    const kept = new Set<number>();
    const siblings = siblingsWith({
      relay(frame: Uint8Array, { mayBeDropped }: Relayed) {
        (mayBeDropped ? dropped : kept).add(decodeFrame(frame).kind);
      },
    });
    const a = street.add("a", { logBytes: 1 });
    street.add("b", { siblings });
    street.pass(1_500);
    street.lose(() => a.publish(1));
    a.publish(2);
    street.pass(1_500);
    await a.cluster.leave();
    street.pass(100);
    assertEquals([...dropped], [BATCH]);
    for (const kind of [STATE, HOLE, BYE]) assertEquals(kept.has(kind), true, String(kind));
  });

  it("answers no request while its own connection takes too little, and later those that are repeated", () => {
    const { street, a, b } = pair();
    street.fate = () => [];
    a.publish(1);
    street.pass(50);
    let refills = 0;
    street.fate = (from) => (from === a.name && refills++, [0]);
    a.unsentBytes = 17 * 1024 * 1024;
    a.publish(2);
    street.pass(3_000);
    // Its states and its own messages.
    assertLessOrEqual(refills, 5);
    assertEquals(gotOf(b, a), []);
    a.unsentBytes = 0;
    street.pass(1_000);
    assertEquals(gotOf(b, a), a.published);
  });
});
