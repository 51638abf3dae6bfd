import { assertEquals, assertRejects } from "@std/assert";
import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import { Random } from "../../../../tools/harness/random.ts";
import { childEnvironment } from "../../../../cli/program.ts";
import { processesOf } from "../../../../tools/harness/process_table.ts";
import {
  descriptorLimitOf,
  limitDescriptors,
} from "../../../../tools/soak/strikes/descriptor_limit.ts";
import { makeListenerProfile } from "../../../../tools/soak/listener_profile.ts";
import { Faults } from "../../../../tools/soak/checks/faults.ts";
import { IDENTITIES } from "../../../../tools/soak/clients/identities.ts";
import { StrikeRunner } from "../../../../tools/soak/strikes/strike_runner.ts";
import {
  CLUSTER_STRIKES,
  StrikeHistory,
  STRIKES,
} from "../../../../tools/soak/checks/strike_history.ts";
import type { StrikeContext } from "../../../../tools/soak/strikes/strike_context.ts";
import {
  CLUSTER_ROUND,
  Deck,
  KILL_ROUND,
  Round,
  type StrikeOrder,
} from "../../../../tools/soak/strikes/order.ts";
import { orderOf, strikeSchedule } from "../../../../tools/soak/strikes/schedule.ts";
import { runTool } from "../../../../tools/harness/run_tool.ts";
import { Watch } from "../../../../tools/soak/checks/watch.ts";
import { ProcessGroup } from "../../../../cli/process_group.ts";
import { until } from "../../../support/until.ts";

const skip = process.platform === "linux" ? false : "processes are looked at on Linux only";

/** A process with children that do nothing, as a server with workers is. */
async function withFamily(
  children: number,
  use: (pid: number, faults: Faults) => Promise<void>,
): Promise<void> {
  const script = `${"sleep 60 & ".repeat(children)} ${children === 0 ? "exec sleep 60" : "wait"}`;
  const group = ProcessGroup.spawn(["sh", "-c", script], {
    env: childEnvironment(),
    stdio: ["ignore", "ignore", "ignore"],
  });
  const pid = group.child.pid as number;
  try {
    while ((await processesOf(pid)).length <= children);
    await use(pid, new Faults());
  } finally {
    group.signal("SIGKILL");
    await group.gone;
  }
}

function contextOf(
  pid: number,
  watch: Watch,
  strikes: StrikeHistory,
  faults: Faults,
): Omit<StrikeContext, "end"> {
  return {
    watch,
    strikes,
    faults,
    random: new Random(3),
    pid,
    port: 1,
    workers: 2,
    hangMs: { min: 1, max: 1 },
    renew: null,
    misrenew: null,
    onHung() {},
    cluster: null,
    onDelayed() {},
  };
}

describe("the order of strikes", () => {
  it("is a round of kills, or a deck that has each kind once, drawn anew each time", () => {
    const round = new Round(KILL_ROUND);
    assertEquals(Array.from({ length: 8 }, () => round.next()), [...KILL_ROUND, ...KILL_ROUND]);
    const deck = new Deck(STRIKES, new Random(1));
    const draws = Array.from({ length: 3 }, () => STRIKES.map(() => deck.next()!));
    for (const draw of draws) assertEquals([...draw].sort(), [...STRIKES].sort());
    assertEquals(new Set(draws.map(String)).size, 3);
  });

  it("has a cluster's own strikes, and restarts NATS once, halfway", () => {
    const plan = { killEveryMs: 60_000, chaosEveryMs: null, workers: 2 };
    const alone = strikeSchedule(plan, false)!;
    assertEquals([alone.strikes, alone.everyMs, alone.periodMs], [KILL_ROUND, 15_000, 60_000]);
    const schedule = strikeSchedule(plan, true)!;
    assertEquals([schedule.everyMs, schedule.periodMs], [12_000, 60_000]);
    const order = orderOf(schedule, 120_000, new Random(4));
    const strikes = Array.from({ length: 11 }, () => order.next());
    assertEquals(strikes, [...CLUSTER_ROUND, "nats_restarted", ...CLUSTER_ROUND]);
    // The only worker of a server has to survive.
    assertEquals(strikeSchedule({ ...plan, workers: 1 }, true)!.strikes, ["member_killed"]);
    const chaos = { killEveryMs: null, chaosEveryMs: 20_000, workers: 2 };
    const missing = STRIKES.filter((one) => !strikeSchedule(chaos, false)!.strikes.includes(one));
    assertEquals(missing, CLUSTER_STRIKES);
    assertEquals(strikeSchedule(chaos, true)!.strikes, STRIKES);
  });

  it("leaves out what isn't possible, until nothing is", () => {
    const deck = new Deck(STRIKES, new Random(2));
    deck.next();
    deck.leaveOut("cut");
    const draws = Array.from({ length: 21 }, () => deck.next());
    assertEquals(draws.includes("cut"), false);
    for (const strike of STRIKES) deck.leaveOut(strike);
    assertEquals(deck.next(), undefined);
  });
});

describe("strikes", () => {
  it("that aren't possible here give their turn to the next, with a reason", { skip }, async () => {
    await withFamily(2, async (pid, faults) => {
      const watch = await Watch.start(pid, faults);
      const names = [
        ...["renewed", "misrenewed", "member_killed", "nats_restarted", "killed"] as const,
      ];
      let at = 0;
      const left: string[] = [];
      const order: StrikeOrder = {
        next: () => names[at++],
        leaveOut: (strike) => void left.push(strike),
      };
      const strikes = new StrikeHistory();
      const striker = new StrikeRunner(contextOf(pid, watch, strikes, faults), order);
      const [spared, victim] = watch.workers as [number, number];
      striker.start(1);
      await until("the worker is gone", () => watch.workers.length === 1);
      await striker.stop();
      assertEquals(strikes.records.map(({ how, pid }) => [how, pid]), [["killed", victim]]);
      assertEquals(watch.workers, [spared]);
      assertEquals([...striker.leftOut.entries()], [
        ["renewed", "the server has none"],
        ["misrenewed", "the server has none"],
        ["member_killed", "the server is no member of a cluster"],
        ["nats_restarted", "the server is no member of a cluster"],
      ]);
      assertEquals([left, faults.details], [names.slice(0, 4), []]);
      watch.stop();
    });
  });

  it("know that the server has ended a worker that hung, before it looks", { skip }, async () => {
    await withFamily(2, async (pid, faults) => {
      const watch = await Watch.start(pid, faults);
      const victim = watch.workers[1]!;
      const strikes = new StrikeHistory();
      const order = new Round(["hung"]);
      const striker = new StrikeRunner(contextOf(pid, watch, strikes, faults), order);
      // While its parent stands still, a process that has ended stays in the system's table.
      process.kill(pid, "SIGSTOP");
      striker.start(1);
      await until("it hangs", () => strikes.records.length > 0);
      process.kill(victim, "SIGKILL");
      await until("its end is known", () => strikes.records.length > 1);
      await striker.stop();
      assertEquals(strikes.records.map(({ how, pid }) => [how, pid]), [
        ["hung", victim],
        ["killed", victim],
      ]);
      await until("it's gone", () => watch.workers.length === 1);
      assertEquals(faults.details, []);
      watch.stop();
      process.kill(pid, "SIGCONT");
    });
  });

  it("spare the first worker, and where it's replaced another one", { skip }, async () => {
    await withFamily(3, async (pid, faults) => {
      const watch = await Watch.start(pid, faults);
      const [first, second, third] = watch.workers as [number, number, number];
      assertEquals(watch.killableWorkers, [second, third]);
      watch.expectEnd(first);
      process.kill(first, "SIGKILL");
      await until("it's gone", () => watch.workers.length === 2);
      assertEquals([watch.killableWorkers, faults.details], [[third], []]);
      assertEquals(watch.samples.at(-1)!.oldest_resident_bytes, 0);
      watch.stop();
    });
  });

  it("can take a process's descriptors, and give them back", { skip }, async () => {
    await withFamily(0, async (pid) => {
      const before = await descriptorLimitOf(pid);
      await limitDescriptors(pid, 3);
      assertEquals(await descriptorLimitOf(pid), 3);
      await limitDescriptors(pid, before);
      assertEquals(await descriptorLimitOf(pid), before);
    });
    await assertRejects(() => descriptorLimitOf(2 ** 22 + 1), Error, "prlimit");
  });

  it("say which of the system's tools they lack", async () => {
    await assertRejects(() => runTool("no-such-tool"), Error, "there is no no-such-tool");
  });

  it("can spoil a certificate, and put it back", () => {
    const profile = makeListenerProfile("locked");
    try {
      const path = profile.flags[profile.flags.indexOf("--tls-cert") + 1]!;
      const read = () => readFileSync(path, "utf8");
      const [first, second] = IDENTITIES;
      const restoreFirst = profile.spoilIdentity!();
      assertEquals(read(), second.cert);
      restoreFirst();
      assertEquals(read(), first.cert);
      const restoreAgain = profile.spoilIdentity!();
      assertEquals(read(), "no certificate\n");
      restoreAgain();
      assertEquals(read(), first.cert);
      assertEquals(makeListenerProfile("open").spoilIdentity, null);
    } finally {
      profile.dispose();
    }
  });
});
