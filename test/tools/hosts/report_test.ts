import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import type { AgentRoundReport, BotsReport } from "../../../bots/results/report.ts";
import { judge, runText } from "../../../tools/hosts/report.ts";
import { botsReport, round } from "../compare/bots_reports.ts";

/** A run whose agents had each message after so many milliseconds, a row for each message. */
function run(lasts: readonly (readonly (number | null)[])[], more: Partial<BotsReport> = {}) {
  return botsReport(
    lasts.map((last, at) => {
      const agents = last.map((last_ms, agent): AgentRoundReport => ({
        ...{ agent: `198.19.${agent}.2:9090`, good: 5, bad: 0, last_ms },
      }));
      return round(at, 100, { agents });
    }),
    { clock_error: { error_ms: 0.2, part_of_last: 0, small: true }, ...more },
  );
}

const LIMITS = { machines: 2, apartMs: 20 };

describe("a run of several machines", () => {
  it("says how much later the last of another machine is, and by how much that may be wrong", () => {
    const judged = judge("bun", run([[50, 53], [60, 58], [40, 70]]), LIMITS);
    assertEquals(judged.outcome, "passed");
    assertEquals(judged.behind, {
      limit_ms: 20,
      held: true,
      median_ms: 3,
      max_ms: 30,
      error_ms: 0.4,
      rounds: 3,
      last_ms: [[50, 53], [60, 58], [40, 70]],
    });
    assertStringIncludes(
      runText(judged),
      "; the last of another machine had it 3.0 ms after the last of the first in the median of 3 " +
        "messages, 30.0 ms at most (± 0.40 ms), within 20 ms",
    );
  });

  it("counts the latest of all other machines", () => {
    const { behind } = judge("bun", run([[50, 51, 59, 55]]), { ...LIMITS, machines: 4 });
    assertEquals([behind!.median_ms, behind!.held], [9, true]);
  });

  it("fails where the machines are too far apart, though all had every message in time", () => {
    const judged = judge("deno", run([[50, 71]]), LIMITS);
    assertEquals([judged.outcome, judged.behind!.held], ["failed", false]);
    assertStringIncludes(
      runText(judged),
      "FAILED: the last of another machine had it 21.0 ms after the last of the first (± 0.40 ms), " +
        "not within 20 ms; under 1 s",
    );
  });

  it("doesn't judge what the bots held up, or what one machine never had", () => {
    const invalid = judge("bun", run([[50, 99]], { valid: false }), LIMITS);
    assertEquals([invalid.outcome, invalid.behind!.held], ["invalid", false]);
    const missing = judge("bun", run([[50, null]], { bad: 5 }), LIMITS);
    assertEquals([missing.outcome, missing.behind!.median_ms], ["failed", null]);
    assertStringIncludes(runText(missing), "FAILED: 5 of 10 bots did not get every message");
    assertStringIncludes(runText(missing), "can't be compared, since one had no good bot");
    const later = run([[50, 99], [50, 52]]);
    later.rounds[0]!.valid = false;
    assertEquals(judge("bun", later, LIMITS).behind!.median_ms, 2, "only the valid message counts");
  });

  it("compares nothing with one machine", () => {
    const judged = judge("bun", botsReport([round(0, 100)]), { machines: 1, apartMs: 20 });
    assertEquals([judged.outcome, judged.behind], ["passed", null]);
    assertEquals(runText(judged).includes("another machine"), false);
  });
});
