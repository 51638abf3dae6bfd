import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { StrikeHistory } from "../../../../tools/soak/checks/strike_history.ts";

function strike(how: "killed" | "asked" | "member_killed") {
  return { at_s: 0, pid: 1, how, connections: 2 };
}

describe("the history of strikes", () => {
  it("explain the loss of the victim's connections, for a while", () => {
    let nowMs = 100_000;
    const strikes = new StrikeHistory(() => nowMs);
    assertEquals([strikes.isRecent, strikes.explainsLoss(7, 0)], [false, false]);
    strikes.add(strike("killed"), [7, 8]);
    assertEquals([strikes.explainsLoss(7, 0), strikes.explainsLoss(9, 0)], [true, false]);
    nowMs += 5_000;
    assertEquals([strikes.isRecent, strikes.explainsLoss(7, 0)], [false, true]);
    nowMs += 25_000;
    assertEquals(strikes.explainsLoss(7, 0), false);
  });

  it("explain the loss of an earlier victim's connections too", () => {
    const strikes = new StrikeHistory(() => 100_000);
    strikes.addGoodbye(strike("asked"), [7], 100_000).end();
    strikes.add(strike("killed"), [8]);
    assertEquals([7, 8, 9].map((port) => strikes.explainsLoss(port, 0)), [true, true, false]);
    assertEquals([7, 8].map((port) => strikes.explainsGoodbye(port, 1_000)), [true, false]);
    assertEquals(strikes.explainsRefusal, true);
  });

  it("explain what becomes of a worker's connections while it is stopped, before it is ended", () => {
    let nowMs = 100_000;
    const strikes = new StrikeHistory(() => nowMs);
    const explained =
      () => [strikes.explainsNoGreeting, ...[7, 9].map((port) => strikes.explainsLoss(port, 0))];
    strikes.standsStill(1, [7]);
    assertEquals([explained(), strikes.records], [[true, true, false], []]);
    // However long it takes to list them.
    nowMs += 40_000;
    assertEquals(explained(), [true, true, false]);
    strikes.addGoodbye(strike("asked"), [7, 9], nowMs).end();
    assertEquals(explained(), [true, true, true]);
    // What it hadn't read when it was stopped may be lost with it.
    assertEquals([strikes.hasOneBetween(98_000, 99_000), strikes.hasOneBetween(100_500, 101_000)], [
      false,
      true,
    ]);
    nowMs += 30_000;
    assertEquals(explained(), [false, false, false]);
    strikes.standsStill(1, [7]);
    strikes.add(strike("killed"), [7]);
    nowMs += 30_000;
    assertEquals(explained(), [false, false, false]);
  });

  it("explain why a connection that set out in time isn't accepted, however late that is noticed", () => {
    let nowMs = 100_000;
    const strikes = new StrikeHistory(() => nowMs);
    const over = strikes.addOutage(strike("member_killed"), [], nowMs);
    nowMs += 20_000;
    over();
    nowMs += 6_000;
    const since = (setOutMs: number) => strikes.explainsNoGreetingSince(setOutMs);
    assertEquals([strikes.explainsNoGreeting, since(119_000), since(124_000)], [false, true, true]);
    assertEquals([since(125_000), since(nowMs)], [false, false]);
  });

  it("explain a goodbye only of a worker that was asked to end", () => {
    let nowMs = 100_000;
    const strikes = new StrikeHistory(() => nowMs);
    const goodbye = strikes.addGoodbye(strike("asked"), [7], nowMs);
    // However long that takes.
    nowMs += 40_000;
    assertEquals([7, 9].map((port) => strikes.explainsGoodbye(port, 139_000)), [true, true]);
    assertEquals(strikes.hasOneBetween(139_000, 139_500), true);
    nowMs = 100_000;
    // The worker accepts what waited while it stood still.
    assertEquals([7, 8].map((port) => strikes.explainsLoss(port, 0)), [true, false]);
    goodbye.addPorts([8]);
    assertEquals([7, 8].map((port) => strikes.explainsLoss(port, 0)), [true, true]);
    goodbye.end();
    // Greeted before, on another worker; and after, when only the one that was asked says goodbye.
    assertEquals(strikes.explainsGoodbye(7, 1_000), true);
    assertEquals(strikes.explainsGoodbye(9, 99_999), false);
    assertEquals(strikes.explainsGoodbye(9, 100_050), true);
    nowMs += 5_000;
    assertEquals(strikes.explainsGoodbye(7, 1_000), true);
    assertEquals(strikes.explainsGoodbye(9, 105_000), false);
    nowMs += 25_000;
    assertEquals(strikes.explainsGoodbye(7, 1_000), false);
    strikes.add(strike("killed"), [7]);
    assertEquals(strikes.explainsGoodbye(7, 1_000), false);
  });

  it("explain the loss of a client that a worker which ends hasn't heard yet", () => {
    let nowMs = 100_000;
    const strikes = new StrikeHistory(() => nowMs);
    const goodbye = strikes.addGoodbye(strike("asked"), [], nowMs);
    nowMs += 10_000;
    // Greeted a moment ago; for long; before the worker was asked.
    const explained = () =>
      [nowMs - 100, nowMs - 3_000, 99_999].map((greetedMs) => strikes.explainsLoss(7, greetedMs));
    assertEquals(explained(), [true, false, false]);
    goodbye.end();
    assertEquals(explained(), [true, false, false]);
    strikes.add(strike("killed"), []);
    nowMs += 40_000;
    assertEquals(explained(), [false, false, false]);
  });

  it("explain for a moment why a connection isn't accepted when a certificate changes", () => {
    let nowMs = 100_000;
    const strikes = new StrikeHistory(() => nowMs);
    assertEquals(strikes.explainsNoGreeting, false);
    strikes.addRenewal();
    assertEquals([strikes.explainsNoGreeting, strikes.explainsLoss(7, 0)], [true, false]);
    nowMs += 1_000;
    assertEquals(strikes.explainsNoGreeting, false);
  });

  it("explain the loss of what came to a worker before it hung, too", () => {
    const strikes = new StrikeHistory(() => 100_000);
    strikes.hangsWith([6]);
    strikes.add({ ...strike("killed"), how: "hung" }, [7]);
    strikes.hangsWith([7, 8]);
    assertEquals([6, 7, 8].map((port) => strikes.explainsLoss(port, 0)), [false, true, true]);
    strikes.goesOn();
    assertEquals(strikes.explainsLoss(8, 0), false);
  });

  it("take nothing with a worker that only hung, but what it hadn't done when it was killed", () => {
    let nowMs = 100_000;
    const strikes = new StrikeHistory(() => nowMs);
    strikes.add({ ...strike("killed"), how: "hung" }, [7]);
    strikes.goesOn();
    assertEquals([strikes.explainsLoss(7, 0), strikes.hasOneBetween(99_000, 101_000)], [
      false,
      false,
    ]);
    nowMs += 5_000;
    strikes.add(strike("killed"), [7]);
    assertEquals([strikes.explainsLoss(7, 0), strikes.hasOneBetween(99_000, 101_000)], [
      true,
      true,
    ]);
  });

  it("may be the server's own, of a worker that hangs, and count then", () => {
    let nowMs = 100_000;
    const strikes = new StrikeHistory(() => nowMs);
    strikes.add({ ...strike("killed"), how: "hung" }, [7]);
    nowMs += 4_000;
    const excuses = () => [
      strikes.explainsLoss(7, 0),
      strikes.explainsLoss(9, 0),
      strikes.explainsGoodbye(7, 1_000),
      strikes.explainsNoGreeting,
      strikes.hasOneBetween(101_000, 102_000),
    ];
    assertEquals(excuses(), [true, false, false, true, true]);
    strikes.add(strike("killed"), [7]);
    assertEquals(excuses(), [true, false, false, true, true]);
    assertEquals(strikes.records.map(({ how }) => how), ["hung", "killed"]);
  });

  it("explain goodbyes of workers that are replaced, and no loss without one", () => {
    let nowMs = 100_000;
    const strikes = new StrikeHistory(() => nowMs);
    const roll = strikes.addGoodbye({ ...strike("asked"), how: "rolled" }, [7], 100_000);
    const excuses = () => [
      strikes.explainsGoodbye(7, 1_000),
      strikes.explainsGoodbye(9, 99_999),
      strikes.explainsGoodbye(9, 100_001),
      strikes.explainsRefusal,
      strikes.explainsNoGreeting,
      strikes.explainsLoss(7, 0),
    ];
    nowMs += 60_000;
    assertEquals(excuses(), [true, false, true, true, true, false]);
    assertEquals(strikes.isRecent, true);
    roll.end();
    nowMs += 5_000;
    assertEquals(excuses(), [true, false, false, false, false, false]);
    assertEquals(strikes.isRecent, false);
    nowMs += 25_000;
    assertEquals(excuses(), [false, false, false, false, false, false]);
    assertEquals(
      [[99_000, 99_999], [120_000, 121_000], [160_001, 170_000]].map(([from, to]) => {
        return strikes.hasOneBetween(from!, to!);
      }),
      [false, true, false],
    );
  });

  it("explain nothing where a strike ends no worker", () => {
    const strikes = new StrikeHistory(() => 100_000);
    for (const how of ["cut", "renewed", "misrenewed"] as const) {
      strikes.note({ ...strike("asked"), how });
    }
    assertEquals(strikes.records.length, 3);
    assertEquals(
      [
        strikes.isRecent,
        strikes.explainsNoGreeting,
        strikes.explainsRefusal,
        strikes.explainsLoss(7, 0),
        strikes.explainsGoodbye(7, 100_001),
        strikes.hasOneBetween(0, 200_000),
      ],
      Array(6).fill(false),
    );
  });

  it("explain that there's no room for a connection where descriptors are short, and no more", () => {
    let nowMs = 100_000;
    const strikes = new StrikeHistory(() => nowMs);
    strikes.addShortage([7], 100_000);
    const excuses = () => [
      strikes.explainsNoRoom(9, null),
      strikes.explainsNoRoom(7, 1_000),
      strikes.explainsNoRoom(9, 1_000),
      strikes.explainsNoRoom(9, 100_001),
    ];
    nowMs += 20_000;
    assertEquals(excuses(), [true, true, false, true]);
    assertEquals(
      [strikes.isRecent, strikes.explainsLoss(7, 0), strikes.hasOneBetween(0, 99_999)],
      [false, false, false],
    );
    strikes.endShortage();
    nowMs += 62_000;
    assertEquals(excuses(), [false, false, false, false]);
  });

  it("take all with them that came since a worker hung, for however long it did", () => {
    let nowMs = 100_000;
    const strikes = new StrikeHistory(() => nowMs);
    strikes.add({ ...strike("killed"), how: "hung" }, [7]);
    nowMs += 19_000;
    strikes.add(strike("killed"), [7]);
    assertEquals(strikes.hasOneBetween(101_000, 102_000), true);
    strikes.add({ ...strike("killed"), how: "hung" }, [7]);
    strikes.goesOn();
    nowMs += 10_000;
    strikes.add(strike("killed"), [7]);
    assertEquals(strikes.hasOneBetween(120_000, 121_000), false);
  });

  it("explain while a whole server is away that clients are refused, and lose their connections", () => {
    let nowMs = 10_000;
    const strikes = new StrikeHistory(() => nowMs);
    // Its processes were stopped before its connections were listed.
    const over = strikes.addOutage(strike("member_killed"), [7], 5_000);
    assertEquals([4_000, 6_000].map((ms) => strikes.hasOneBetween(ms - 500, ms + 500)), [
      false,
      true,
    ]);
    nowMs = 40_000;
    const seen =
      () => [strikes.explainsLoss(7, 0), strikes.explainsLoss(8, 0), strikes.explainsNoGreeting];
    assertEquals(seen(), [true, false, true]);
    assertEquals(strikes.hasOneBetween(20_000, 21_000), true);
    over();
    nowMs += 6_000;
    assertEquals(seen(), [true, false, false]);
    nowMs += 30_000;
    assertEquals([...seen(), strikes.hasOneBetween(50_000, 60_000)], [false, false, false, false]);
  });

  it("know of one between two moments", () => {
    const strikes = new StrikeHistory(() => 5_000);
    strikes.add(strike("asked"), []);
    assertEquals([strikes.hasOneBetween(4_000, 6_000), strikes.hasOneBetween(5_001, 6_000)], [
      true,
      false,
    ]);
  });
});
