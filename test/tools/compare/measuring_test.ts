import { assertEquals, assertGreater, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "node:test";
import { unpackLatencies } from "../../../tools/compare/results/samples.ts";
import { RUNTIME_NAMES } from "../../../cli/program.ts";
import { leftTo, TESTED_RUNTIMES } from "../../support/processes/tested_runtimes.ts";
import { type RivalScript, RivalServer } from "../../bots/run/rival_server.ts";
import {
  compare,
  LATE_MS,
  PATIENCE,
  statusOf,
  STEADY,
  target,
  verdictOn,
  withServers,
} from "./comparison.ts";
import { serveHeldBack } from "./held_back.ts";

describe("a comparison", () => {
  it(
    "starts this checkout's server on both runtimes, and measures all of it",
    PATIENCE,
    async () => {
      // Bots of the other runtime than the command's: both runs together see all pairs.
      for (const botsRuntime of RUNTIME_NAMES.filter((name) => !TESTED_RUNTIMES.includes(name))) {
        const flags = ["--runs", 1, "--rounds", 2, "--bots-runtime", botsRuntime];
        const { status, stdout, files, report } = await compare([30, ...flags]);
        assertEquals(status, statusOf(report!));
        assertMatch(stdout, /\n30 subscribers\n +server +median/);
        const measured = report!.sizes[0]!.arms.filter(({ valid_runs }) => valid_runs > 0);
        assertEquals(files, [
          ...measured.map(({ arm }) => `${arm}-30.hgrm`).sort(),
          ...["report.html", "report.json", "report.md"],
        ]);
        const { runs, options, arms, environment } = report!;
        assertEquals([...new Set(runs.map(({ arm }) => arm))].sort(), ["Bun", "Deno"]);
        assertEquals(arms.map(({ runtime }) => runtime), ["deno", "bun"]);
        assertEquals([options.bots_runtime, options.rounds], [botsRuntime, 2]);
        assertEquals(environment.seed, options.seed);
        assertStringIncludes(environment.command_line.join(" "), "compare 30 --runs 1 --rounds 2");
        for (const { metrics, rounds } of runs.filter(({ valid }) => valid)) {
          assertEquals(rounds.length, 3);
          for (const value of Object.values(metrics)) assertEquals(typeof value, "number");
          assertGreater(metrics.peak_memory_bytes!, 10e6);
          for (const { good, latency_ms, latencies_us } of rounds) {
            const latencies = unpackLatencies(latencies_us);
            assertEquals([good, latencies.length], [30, 30]);
            assertEquals(Math.abs(latencies.at(-1)! - latency_ms!.max) < 0.001, true);
          }
        }
      }
    },
  );

  it("measures servers of several processes", {
    ...PATIENCE,
    skip: leftTo("bun"),
  }, async () => {
    const targets = ["--target", "one=bun", "--target", "two=deno"];
    const { status, report } = await compare([
      ...[40, ...targets, "--workers", 2, "--runs", 1, "--rounds", 1],
    ]);
    assertEquals([status, report!.options.workers], [statusOf(report!), 2]);
    // Three processes have more than any one of them.
    for (const { metrics } of report!.runs) assertGreater(metrics.peak_memory_bytes!, 100e6);
  });

  it(
    "finds a server that was held back, and no winner where one is given twice",
    { ...PATIENCE, skip: leftTo("deno") },
    async () => {
      // So slow that no pause of a busy machine's spoils a run.
      const server = await serveHeldBack(100);
      const slower = await serveHeldBack(200);
      try {
        const targets = [
          ...[...target("one", server.port), ...target("same", server.port)],
          ...target("slower", slower.port),
        ];
        const { stdout, report } = await compare([
          2,
          ...targets,
          "--runs",
          6,
          "--rounds",
          1,
        ]);
        const same = verdictOn(report, "same");
        assertEquals(same === "no difference" || same === "inconclusive", true, same);
        assertEquals(verdictOn(report, "slower"), "slower");
        assertMatch(
          stdout,
          /\nslower is slower: it reaches the last of 2 subscribers in \d\.\d\d times one.s time,\n/,
        );
      } finally {
        await server.close();
        await slower.close();
      }
    },
  );

  it("measures what speaks NATS and Redis", {
    ...PATIENCE,
    skip: leftTo("bun"),
  }, async () => {
    const late: RivalScript = {
      deliver: (socket, frame) => void setTimeout(() => socket.write(frame), LATE_MS),
    };
    const nats = await RivalServer.start("nats", late);
    const redis = await RivalServer.start("redis", late);
    try {
      const { status, report } = await compare([
        ...[10, "--runs", 1, "--rounds", 1, "--target", `N=nats://127.0.0.1:${nats.port}`],
        ...["--target", `R=redis://127.0.0.1:${redis.port}`],
      ]);
      assertEquals(status, statusOf(report!));
      assertEquals(report!.arms.map(({ dialect }) => dialect), ["nats", "redis"]);
      const goods = report!.runs.flatMap(({ rounds }) => rounds.map(({ good }) => good));
      assertEquals([...new Set(goods)], [10]);
    } finally {
      await nats.stop();
      await redis.stop();
    }
  });

  it("sweeps over numbers of subscribers", {
    ...PATIENCE,
    skip: leftTo("bun"),
  }, async () => {
    await withServers([STEADY, STEADY], async (targets) => {
      const { status, stdout, report } = await compare([
        ...[...targets, "--sweep", "5,10", "--runs", 1, "--rounds", 1],
      ]);
      assertEquals([status, report!.sizes.map(({ n }) => n)], [statusOf(report!), [5, 10]]);
      assertMatch(stdout, /\n5 subscribers\n[\s\S]*\n10 subscribers\n/);
    });
  });

  it("makes the same runs in the same order from the same seed", {
    ...PATIENCE,
    skip: leftTo("deno"),
  }, async () => {
    await withServers([{}, {}, {}], async (targets) => {
      const order = async () => {
        const flags = ["--runs", 1, "--rounds", 1, "--seed", 11, "--json"];
        const { report, stdout } = await compare([2, ...targets, ...flags]);
        assertEquals(JSON.parse(stdout), report);
        assertEquals(report!.options.seed, 11);
        return report!.runs.slice(0, 3).map(({ arm }) => arm);
      };
      const [one, other] = await Promise.all([order(), order()]);
      assertEquals(one, other);
    });
  });
});
