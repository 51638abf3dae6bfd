import { assertEquals } from "@std/assert";
import { describe, it } from "node:test";
import { Fitness, isFit } from "../../../../tools/soak/checks/fitness.ts";

describe("a machine", () => {
  it("is unfit where processes waited for most of their time", () => {
    const fitness = new Fitness();
    assertEquals([fitness.waitedShare, isFit(fitness.waitedShare)], [null, true]);
    fitness.add(300, 100);
    assertEquals([fitness.waitedShare, isFit(fitness.waitedShare)], [0.75, true]);
    fitness.add(600, 0);
    assertEquals([fitness.waitedShare, isFit(fitness.waitedShare)], [0.9, false]);
  });
});
