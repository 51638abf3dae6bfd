import { assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { MAX_SEED, Random, splitMix64 } from "../../../tools/harness/random.ts";

describe("the random numbers", () => {
  it("are xoshiro128++'s", () => {
    // From the tests of the Rust crate rand_xoshiro, which took them from the authors' C code.
    const random = Random.fromState([1, 2, 3, 4]);
    assertEquals(Array.from({ length: 10 }, () => random.next()), [
      ...[641, 1573767, 3222811527, 3517856514, 836907274],
      ...[4247214768, 3867114732, 1355841295, 495546011, 621204420],
    ]);
  });

  it("begin where SplitMix64 leads from the seed", () => {
    // The sequence that Rosetta Code gives for this seed.
    assertEquals(splitMix64(1234567n, 5), [
      ...[6457827717110365317n, 3203168211198807973n, 9817491932198370423n],
      ...[4593380528125082431n, 16408922859458223821n],
    ]);
  });

  it("are the same for the same seed, and others for another", () => {
    const numbers = (seed: number) => {
      const random = new Random(seed);
      return Array.from({ length: 20 }, () => random.next());
    };
    assertEquals(numbers(7), numbers(7));
    assertNotEquals(numbers(7), numbers(8));
    assertNotEquals(numbers(0), numbers(MAX_SEED));
  });

  it("below a bound are whole, and each as often as any other", () => {
    const random = new Random(1);
    const counts = new Array<number>(7).fill(0);
    for (let draw = 0; draw < 70_000; draw++) counts[random.below(7)]!++;
    // Chi-squared with 6 degrees of freedom exceeds 22.5 once in a thousand.
    const chiSquared = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
    assertEquals(chiSquared < 22.5, true, `${counts}`);
  });
});

describe("a shuffle", () => {
  it("keeps every value, and leaves what it's given as it was", () => {
    fc.assert(fc.property(fc.array(fc.nat()), fc.nat(), (values, seed) => {
      const before = [...values];
      const shuffled = new Random(seed).shuffled(values);
      assertEquals(values, before);
      assertEquals([...shuffled].sort(), [...before].sort());
    }));
  });

  it("makes every order equally often", () => {
    const random = new Random(2);
    const counts = new Map<string, number>();
    for (let draw = 0; draw < 6000; draw++) {
      const order = random.shuffled(["a", "b", "c"]).join("");
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    assertEquals(counts.size, 6);
    // Chi-squared with 5 degrees of freedom exceeds 20.5 once in a thousand.
    const chiSquared = [...counts.values()].reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
    assertEquals(chiSquared < 20.5, true, `${[...counts]}`);
  });
});
