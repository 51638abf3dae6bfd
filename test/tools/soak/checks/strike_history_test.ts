import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { Kills } from "../../../../tools/soak/checks/strike_history.ts";

function kill(how: "killed" | "asked") {
  return { at_s: 0, pid: 1, how, connections: 2 };
}

describe("kills", () => {
  it("explain the loss of the victim's connections, for a while", () => {
    let nowMs = 100_000;
    const kills = new Kills(() => nowMs);
    assertEquals([kills.isRecent, kills.explainsLoss(7)], [false, false]);
    kills.add(kill("killed"), [7, 8]);
    assertEquals([kills.explainsLoss(7), kills.explainsLoss(9)], [true, false]);
    nowMs += 5_000;
    assertEquals([kills.isRecent, kills.explainsLoss(7)], [false, true]);
    nowMs += 25_000;
    assertEquals(kills.explainsLoss(7), false);
  });

  it("explain the loss of an earlier victim's connections too", () => {
    const kills = new Kills(() => 100_000);
    kills.add(kill("asked"), [7]);
    kills.add(kill("killed"), [8]);
    assertEquals([7, 8, 9].map((port) => kills.explainsLoss(port)), [true, true, false]);
    assertEquals([7, 8].map((port) => kills.explainsFarewell(port, 1_000)), [true, false]);
    assertEquals(kills.explainsRefusal, true);
  });

  it("explain a goodbye only of a worker that was asked to end", () => {
    let nowMs = 100_000;
    const kills = new Kills(() => nowMs);
    kills.add(kill("asked"), [7]);
    // Greeted before, on another worker; and after, when only the one that was asked says goodbye.
    assertEquals(kills.explainsFarewell(7, 1_000), true);
    assertEquals(kills.explainsFarewell(9, 99_999), false);
    assertEquals(kills.explainsFarewell(9, 100_050), true);
    nowMs += 5_000;
    assertEquals(kills.explainsFarewell(7, 1_000), true);
    assertEquals(kills.explainsFarewell(9, 105_000), false);
    nowMs += 25_000;
    assertEquals(kills.explainsFarewell(7, 1_000), false);
    kills.add(kill("killed"), [7]);
    assertEquals(kills.explainsFarewell(7, 1_000), false);
  });

  it("explain for a moment why a connection isn't accepted when a certificate changes", () => {
    let nowMs = 100_000;
    const kills = new Kills(() => nowMs);
    assertEquals(kills.explainsNoGreeting, false);
    kills.addRenewal();
    assertEquals([kills.explainsNoGreeting, kills.explainsLoss(7)], [true, false]);
    nowMs += 1_000;
    assertEquals(kills.explainsNoGreeting, false);
  });

  it("explain the loss of what came to a worker before it hung, too", () => {
    const kills = new Kills(() => 100_000);
    kills.hangsWith([6]);
    kills.add({ ...kill("killed"), how: "hung" }, [7]);
    kills.hangsWith([7, 8]);
    assertEquals([6, 7, 8].map((port) => kills.explainsLoss(port)), [false, true, true]);
    kills.goesOn();
    assertEquals(kills.explainsLoss(8), false);
  });

  it("take nothing with a worker that only hung, but what it hadn't done when it was killed", () => {
    let nowMs = 100_000;
    const kills = new Kills(() => nowMs);
    kills.add({ ...kill("killed"), how: "hung" }, [7]);
    kills.goesOn();
    assertEquals([kills.explainsLoss(7), kills.hasOneBetween(99_000, 101_000)], [false, false]);
    nowMs += 5_000;
    kills.add(kill("killed"), [7]);
    assertEquals([kills.explainsLoss(7), kills.hasOneBetween(99_000, 101_000)], [true, true]);
  });

  it("may be the server's own, of a worker that hangs, and count then", () => {
    let nowMs = 100_000;
    const kills = new Kills(() => nowMs);
    kills.add({ ...kill("killed"), how: "hung" }, [7]);
    nowMs += 4_000;
    const excuses = () => [
      kills.explainsLoss(7),
      kills.explainsLoss(9),
      kills.explainsFarewell(7, 1_000),
      kills.explainsNoGreeting,
      kills.hasOneBetween(101_000, 102_000),
    ];
    assertEquals(excuses(), [true, false, false, true, true]);
    kills.add(kill("killed"), [7]);
    assertEquals(excuses(), [true, false, false, true, true]);
    assertEquals(kills.kills.map(({ how }) => how), ["hung", "killed"]);
  });

  it("explain goodbyes of workers that are replaced, and no loss without one", () => {
    let nowMs = 100_000;
    const kills = new Kills(() => nowMs);
    kills.addRoll({ ...kill("asked"), how: "rolled" }, [7], 100_000);
    const excuses = () => [
      kills.explainsFarewell(7, 1_000),
      kills.explainsFarewell(9, 99_999),
      kills.explainsFarewell(9, 100_001),
      kills.explainsRefusal,
      kills.explainsNoGreeting,
      kills.explainsLoss(7),
    ];
    nowMs += 60_000;
    assertEquals(excuses(), [true, false, true, true, true, false]);
    assertEquals(kills.isRecent, true);
    kills.endRoll();
    nowMs += 5_000;
    assertEquals(excuses(), [true, false, false, false, false, false]);
    assertEquals(kills.isRecent, false);
    nowMs += 25_000;
    assertEquals(excuses(), [false, false, false, false, false, false]);
    assertEquals(
      [[99_000, 99_999], [120_000, 121_000], [160_001, 170_000]].map(([from, to]) => {
        return kills.hasOneBetween(from!, to!);
      }),
      [false, true, false],
    );
  });

  it("explain nothing where a strike ends no worker", () => {
    const kills = new Kills(() => 100_000);
    for (const how of ["cut", "renewed", "misrenewed"] as const) {
      kills.note({ ...kill("asked"), how });
    }
    assertEquals(kills.kills.length, 3);
    assertEquals(
      [
        kills.isRecent,
        kills.explainsNoGreeting,
        kills.explainsRefusal,
        kills.explainsLoss(7),
        kills.explainsFarewell(7, 100_001),
        kills.hasOneBetween(0, 200_000),
      ],
      Array(6).fill(false),
    );
  });

  it("explain that there's no room for a connection where descriptors are short, and no more", () => {
    let nowMs = 100_000;
    const kills = new Kills(() => nowMs);
    kills.addShortage([7], 100_000);
    const excuses = () => [
      kills.explainsNoRoom(9, null),
      kills.explainsNoRoom(7, 1_000),
      kills.explainsNoRoom(9, 1_000),
      kills.explainsNoRoom(9, 100_001),
    ];
    nowMs += 20_000;
    assertEquals(excuses(), [true, true, false, true]);
    assertEquals(
      [kills.isRecent, kills.explainsLoss(7), kills.hasOneBetween(0, 99_999)],
      [false, false, false],
    );
    kills.endShortage();
    nowMs += 62_000;
    assertEquals(excuses(), [false, false, false, false]);
  });

  it("take all with them that came since a worker hung, for however long it did", () => {
    let nowMs = 100_000;
    const kills = new Kills(() => nowMs);
    kills.add({ ...kill("killed"), how: "hung" }, [7]);
    nowMs += 19_000;
    kills.add(kill("killed"), [7]);
    assertEquals(kills.hasOneBetween(101_000, 102_000), true);
    kills.add({ ...kill("killed"), how: "hung" }, [7]);
    kills.goesOn();
    nowMs += 10_000;
    kills.add(kill("killed"), [7]);
    assertEquals(kills.hasOneBetween(120_000, 121_000), false);
  });

  it("know of one between two moments", () => {
    const kills = new Kills(() => 5_000);
    kills.add(kill("asked"), []);
    assertEquals([kills.hasOneBetween(4_000, 6_000), kills.hasOneBetween(5_001, 6_000)], [
      true,
      false,
    ]);
  });
});
