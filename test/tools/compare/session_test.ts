import { assertEquals, assertNotEquals } from "@std/assert";
import { describe, it } from "node:test";
import { DEFAULT_ARMS } from "../../../tools/compare/arm.ts";
import { Random } from "../../../tools/harness/random.ts";
import type { RunReport } from "../../../tools/compare/results/report.ts";
import type { RunOutcome } from "../../../tools/compare/run_once.ts";
import { maxPasses, runSession, type SessionPlan } from "../../../tools/compare/session.ts";

const PLAN: SessionPlan = { arms: DEFAULT_ARMS, sizes: [100, 200, 300], runs: 4 };

function outcome(valid: boolean): RunOutcome {
  return {
    valid,
    invalid_because: valid ? [] : ["it is so"],
    metrics: {
      max_ms: 1,
      p99_ms: 1,
      p50_ms: 1,
      setup_ms: 1,
      cpu_s: 1,
      peak_memory_bytes: 1,
      memory_per_connection_bytes: 1,
    },
    rounds: [],
    bots_load: [],
  };
}

async function session(
  plan: SessionPlan,
  seed: number,
  isValid: (arm: string, n: number, pass: number) => boolean = () => true,
): Promise<RunReport[]> {
  let running = 0;
  return await runSession(plan, new Random(seed), {
    async run({ arm, n, pass }) {
      assertEquals(++running, 1, "two runs at once");
      await Promise.resolve();
      running--;
      return outcome(isValid(arm.name, n, pass));
    },
  });
}

function order(runs: readonly RunReport[]): string {
  return runs.map(({ arm, n }) => `${arm} ${n}`).join(", ");
}

describe("the runs of a comparison", () => {
  it("are one of each arm with each number of subscribers in each pass", async () => {
    const runs = await session(PLAN, 1);
    assertEquals(runs.map(({ run }) => run), Array.from({ length: 24 }, (_, at) => at + 1));
    for (let pass = 1; pass <= 4; pass++) {
      const ofPass = runs.filter((run) => run.pass === pass);
      assertEquals(ofPass, runs.slice((pass - 1) * 6, pass * 6), "passes overlap");
      const expected = ["Bun 100", "Bun 200", "Bun 300", "Deno 100", "Deno 200", "Deno 300"];
      assertEquals(ofPass.map(({ arm, n }) => `${arm} ${n}`).sort(), expected);
    }
  });

  it("are side by side with the other arms' with as many subscribers", async () => {
    const runs = await session(PLAN, 2);
    for (let at = 0; at < runs.length; at += 2) assertEquals(runs[at]!.n, runs[at + 1]!.n);
  });

  it("come in an order that is drawn anew for each pass", async () => {
    const firsts = new Map<string, number>();
    for (let seed = 0; seed < 50; seed++) {
      const runs = await session({ ...PLAN, sizes: [100], runs: 10 }, seed);
      for (let at = 0; at < 20; at += 2) {
        firsts.set(runs[at]!.arm, (firsts.get(runs[at]!.arm) ?? 0) + 1);
      }
    }
    // Of 500 passes; 55 more or less than half happen once in a million times.
    assertEquals(Math.abs(firsts.get("Deno")! - 250) < 55, true, `${[...firsts]}`);
  });

  it("come in the same order for the same seed", async () => {
    assertEquals(order(await session(PLAN, 3)), order(await session(PLAN, 3)));
    assertNotEquals(order(await session(PLAN, 3)), order(await session(PLAN, 4)));
  });

  it("are made up for where they were invalid, with all arms again", async () => {
    const isValid = (arm: string, n: number, pass: number) =>
      !(arm === "Bun" && n === 200 && pass === 2);
    const runs = await session(PLAN, 5, isValid);
    assertEquals(runs.length, 26);
    assertEquals(
      runs.slice(24).map(({ arm, n, pass }) => `${arm} ${n} ${pass}`).sort(),
      ["Bun 200 5", "Deno 200 5"],
    );
    assertEquals(runs.filter(({ valid }) => !valid).map(({ pass }) => pass), [2]);
  });

  it("come to an end where none is ever valid", async () => {
    const runs = await session(PLAN, 6, (arm) => arm === "Deno");
    assertEquals(maxPasses(PLAN), 6);
    assertEquals(runs.length, 6 * 6);
    assertEquals(maxPasses({ ...PLAN, runs: 10 }), 15);
  });
});
