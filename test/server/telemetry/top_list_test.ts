import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { describe, it } from "node:test";
import { TopList } from "../../../server/telemetry/top_list.ts";

describe("a list of the greatest", () => {
  it("keeps what a sort of all would put first, the greatest in front", () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`seed ${seed}`);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 200 }),
        (most, values) => {
          const list = new TopList<number>(most);
          for (const value of values) list.offer(value, value);
          const sorted = values.toSorted((a, b) => b - a);
          assertEquals(list.items(), sorted.slice(0, most));
        },
      ),
      { seed },
    );
  });
});
