/**
 * What the contract says of turns of the event loop, and of `writesPerTurn`.
 *
 * @module
 */

import { assertEquals, assertGreater, assertLess, assertMatch } from "@std/assert";
import type { Runtime } from "../../../runtime/types.ts";
import { pattern } from "../../support/bytes.ts";
import { until } from "../../support/until.ts";
import type { Cases } from "./bed.ts";

export function loopCases(cases: Cases): void {
  cases.that("says what it is", async (bed) => {
    await Promise.resolve();
    assertMatch(bed.runtime.version, /^\d+\.\d+\.\d+/);
    assertGreater(bed.runtime.writesPerTurn, 0);
    assertEquals(Number.isInteger(bed.runtime.writesPerTurn), true);
  });

  const ways: readonly [string, (runtime: Runtime, task: () => void) => void][] = [
    ["soon()", (runtime, task) => runtime.soon(task)],
    ["nextTurn()", (runtime, task) => runtime.nextTurn(task)],
    ["afterTurn() of an idle turn", (runtime, task) => runtime.afterTurn(() => false, task)],
    ["afterTurn() of a busy turn", (runtime, task) => runtime.afterTurn(() => true, task)],
  ];
  for (const [what, run] of ways) {
    cases.that(`${what} runs tasks later, in order, each once`, async (bed) => {
      const ran: number[] = [];
      let isLater = false;
      for (let i = 0; i < 100; i++) {
        run(bed.runtime, () => {
          assertEquals(isLater, true);
          ran.push(i);
        });
      }
      isLater = true;
      await until("all have run", () => ran.length === 100);
      assertEquals(ran, Array.from({ length: 100 }, (_, i) => i));
    });
  }

  cases.that(
    "a task that asks for a turn after each turn lets others read and write",
    async (bed) => {
      let isOver = false;
      const chain = () => {
        if (!isOver) bed.runtime.afterTurn(() => true, chain);
      };
      chain();
      try {
        const { near, far } = await bed.pair("tcp");
        near.reactions.data = (chunk) => near.write(chunk.slice());
        far.write(pattern(1, 100));
        await until("the echo has arrived", () => far.byteCount === 100);
      } finally {
        isOver = true;
      }
    },
  );

  cases.that(
    "a chain of turns that never ends lets others connect, write and read",
    async (bed) => {
      let isOver = false;
      let turns = 0;
      const chain = () => {
        turns++;
        if (!isOver) bed.runtime.nextTurn(chain);
      };
      chain();
      try {
        const { near, far } = await bed.pair("tcp");
        near.reactions.data = (chunk) => near.write(chunk.slice());
        for (let round = 1; round <= 5; round++) {
          far.write(pattern(round, 100));
          await until("the echo has arrived", () => far.byteCount === round * 100);
        }
      } finally {
        isOver = true;
      }
      assertGreater(turns, 1);
    },
  );

  cases.that("a chain of busy turns sees new I/O in almost each of them", async (bed) => {
    const { near, far } = await bed.pair("tcp");
    await bed.quiet();
    let turns = 0;
    let rounds = 0;
    const small = pattern(1, 1);
    near.reactions.data = () => near.write(small);
    far.reactions.data = () => {
      if (++rounds < 20) far.write(small);
    };
    far.write(small);
    const busy = () => {
      turns++;
      const over = performance.now() + 0.5;
      while (performance.now() < over);
      if (rounds < 20) bed.runtime.nextTurn(busy);
    };
    busy();
    await until("all rounds are done", () => rounds === 20);
    // A round is two arrivals, and each may need a turn to be sent and one to be seen.
    assertLess(turns, 20 * 10);
  });

  cases.where("processes", "what is closed and done lets the process end", async (bed) => {
    await Promise.resolve();
    bed.run("comes_to_an_end.ts", []);
  });
}
