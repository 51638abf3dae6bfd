/**
 * Soaks one server.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../harness/random.ts";
import { checkDescriptors, checkStop, checkWorkers } from "./aftermath.ts";
import { AttackRunner, judgeAttacks } from "./attacks/attack_runner.ts";
import { Faults } from "./checks/faults.ts";
import { Fitness } from "./checks/fitness.ts";
import { tooLate } from "./checks/latency.ts";
import { Ledger } from "./checks/ledger.ts";
import { CLUSTER_WARM_UP_S, holdsMemory, judgeMemory } from "./checks/memory.ts";
import { RecoveryCheck } from "./checks/recovery_check.ts";
import { StrikeHistory } from "./checks/strike_history.ts";
import { Watch } from "./checks/watch.ts";
import { Bystander } from "./clients/bystander.ts";
import { LibraryMember } from "./clients/library_member.ts";
import { OwnPace } from "./clients/own_pace.ts";
import type { PeerTarget } from "./clients/peer.ts";
import { BUSY_TOPIC, Population, TOPICS } from "./clients/population.ts";
import type { PopulationContext } from "./clients/subscriber.ts";
import type { SoakRun } from "./report.ts";
import type { SoakedServer, SoakPlan } from "./soak_plan.ts";
import { orderOf, strikeSchedule } from "./strikes/schedule.ts";
import type { OnHung } from "./strikes/strike_context.ts";
import { StrikeRunner } from "./strikes/strike_runner.ts";

/** Milliseconds from one certificate to the next. */
const RENEW_EVERY_MS = 7_000;

const PROGRESS_MS = 1_000;

/** Milliseconds. A shorter soak may not run every attack. */
const ALL_ATTACKS_MS = 5 * 60_000;

/**
 * Milliseconds after which each process of a cluster knows that another member's processes have ended: 30 s of
 * silence, and as much again on a busy machine.
 */
const CLUSTER_KNOWN_MS = 60_000;

/** Milliseconds within which a bystander connects, on any machine. */
const ARRIVAL_MS = 20_000;

/** Soaks a server that is up and has no other clients. */
export async function soak(server: SoakedServer, plan: SoakPlan): Promise<SoakRun> {
  const startedAt = new Date();
  const random = new Random(plan.seed);
  const faults = new Faults();
  const strikes = new StrikeHistory();
  const { cluster } = server;
  const others = cluster?.others ?? [];
  const recovery = new RecoveryCheck(
    server.history,
    plan.workers,
    strikes,
    faults,
    cluster !== null,
  );
  const context: PopulationContext = {
    target: server.target,
    keys: server.keys,
    faults,
    strikes,
    recovery,
    resumes: {},
    pace: new OwnPace(),
    lostToOwnPace: 0,
    ledger: cluster === null ? new Ledger() : new Ledger(CLUSTER_KNOWN_MS),
    delivered: 0,
    receipts: 0,
    streams: 0,
    lostToStrikes: 0,
  };
  context.pace.start();
  await recovery.start();
  // Connect once before measuring, so that everything a runtime opens only once is open.
  await answer(context, plan.patienceMs, random);
  const watch = server.pid === null
    ? null
    : await Watch.start(server.pid, faults, server.readLogBytes);
  const before = watch?.samples[0]?.descriptors;
  const workers = watch?.workers.length;
  for (const member of others) await member.watch(faults);

  const population = new Population(context, plan.subscribers, new Random(random.next()));
  const { target, keys } = server;
  // Limits are each server's own, and attacks have to reach them.
  const attacked = aloneOf(target);
  const attackContext = { target: attacked, keys, topics: TOPICS, busyTopic: BUSY_TOPIC };
  const attackSeed = random.next();
  const bystanderPlace = { runtime: plan.client, target, keys, patienceMs: plan.patienceMs };
  const bystander = new Bystander(bystanderPlace, faults, context.strikes);
  const { webSocketPort, caFile } = server;
  const library = new LibraryMember(
    { ...bystanderPlace, target: attacked, webSocketPort, caFile },
    faults,
    context.strikes,
  );
  const fitness = new Fitness();
  for (const one of [...(watch === null ? [] : [watch]), ...others]) {
    one.onWaited = (fromMs, toMs, waitedMs, ranMs) => {
      bystander.latency.addWait(fromMs, toMs, waitedMs);
      fitness.add(waitedMs, ranMs);
    };
  }
  const onDelayed = (fromMs: number, toMs: number) => bystander.latency.excuse(fromMs, toMs);
  const onHung: OnHung = (ports, fromMs, toMs) => {
    // Excuse the bystander only if its own worker hung: clients of other workers must not notice. In a
    // cluster it may be the one that speaks with the other members.
    if (cluster !== null || bystander.isAmong(ports)) onDelayed(fromMs, toMs);
  };
  let renewals = 0;
  const renew = server.renew === null ? null : () => {
    server.renew!();
    if (server.resetsWhenRenewed) context.strikes.addRenewal();
    renewals++;
  };
  const schedule = strikeSchedule(plan, cluster !== null);
  const strikeRandom = new Random(random.next());
  const striker = watch === null || schedule === null ? null : new StrikeRunner({
    watch,
    strikes: context.strikes,
    faults,
    random: strikeRandom,
    pid: server.pid!,
    port: server.target.port,
    workers: workers!,
    hangMs: schedule.hangMs,
    renew,
    misrenew: server.misrenew,
    onHung,
    cluster,
    onDelayed,
  }, orderOf(schedule, plan.durationMs, strikeRandom));
  const beganMs = performance.now();
  const progressTimer = setInterval(() => {
    plan.onProgress({
      elapsedMs: performance.now() - beganMs,
      delivered: context.delivered,
      faults: faults.total,
      strikes: context.strikes.records.length,
      residentBytes: watch?.samples.at(-1)?.resident_bytes ?? null,
    });
  }, PROGRESS_MS);
  const renewTimer = renew === null || schedule?.isChaos
    ? undefined
    : setInterval(renew, RENEW_EVERY_MS);
  population.join();
  const attackers = new AttackRunner(
    plan.client,
    { context: attackContext, seed: attackSeed, only: plan.only, concurrency: plan.attacksAtOnce },
    faults,
  );
  if (schedule !== null) striker?.start(schedule.everyMs);
  await sleep(plan.durationMs);

  await striker?.stop();
  clearInterval(renewTimer);
  const samples = [...watch?.samples ?? []];
  const attacks = await attackers.stop();
  judgeAttacks(attacks, faults, plan.durationMs >= ALL_ATTACKS_MS);
  await bystander.settle(plan.patienceMs, plan.durationMs >= ARRIVAL_MS);
  const libraryRecords = await library.settle(plan.patienceMs, plan.durationMs >= ARRIVAL_MS);
  const { verdict: latency } = bystander.latency;
  for (const line of latency === null ? [] : tooLate(latency, plan.latency)) {
    faults.add("late", line);
  }
  await population.settle(plan.patienceMs);
  population.leave();
  const after = watch === null ? undefined : await checkDescriptors(watch, before!, faults);
  await answer(context, plan.patienceMs, random);
  if (watch !== null) await checkWorkers(watch, workers!, faults);
  watch?.stop();
  for (const member of others) member.unwatch();
  context.pace.stop();
  clearInterval(progressTimer);
  await recovery.stop();
  const stop = await checkStop(server, attackContext, new Random(random.next()), faults);
  const peak = watch === null
    ? null
    : Math.max(watch.peakResidentBytes, ...others.map((member) => member.peakResidentBytes));
  if (peak !== null && peak > plan.maxMemoryBytes) {
    faults.add("memory", `${peak} bytes were resident, ${plan.maxMemoryBytes} may be`);
  }
  const memory = watch === null ? null : judgeMemory(
    samples,
    plan.durationMs / 1000,
    (schedule?.periodMs ?? 60_000) / 1000,
    cluster === null ? undefined : CLUSTER_WARM_UP_S,
  );
  return {
    server: server.name,
    runtime_version: server.runtimeVersion,
    door: server.profile,
    started_at: startedAt.toISOString(),
    passed: faults.total === 0 && (memory === null || holdsMemory(memory)),
    load_s: plan.durationMs / 1000,
    subscribers: plan.subscribers,
    streams: context.streams,
    published: context.ledger.published,
    delivered: context.delivered,
    receipts: context.receipts,
    library: libraryRecords,
    resumes: context.resumes,
    lost_to_kills: context.lostToStrikes + bystander.lostToStrikes,
    lost_to_own_pace: context.lostToOwnPace,
    latency,
    faults: faults.counts,
    fault_details: faults.details,
    kills: context.strikes.records,
    strikes: context.strikes.counts,
    left_out: Object.fromEntries(striker?.leftOut ?? []),
    renewals,
    memory,
    peak_resident_bytes: peak,
    waited_share: fitness.waitedShare,
    samples,
    descriptors: after === undefined ? null : { before: before!, after },
    attacks,
    stop,
  };
}

/** The same server, and no other member of its cluster. */
function aloneOf({ hostname, port, tls }: PeerTarget): PeerTarget {
  return { hostname, port, ...(tls === undefined ? {} : { tls }) };
}

/** Checks with a small, quiet population that the server answers. */
async function answer(
  context: PopulationContext,
  patienceMs: number,
  random: Random,
): Promise<void> {
  const crowd = new Population(context, 8, new Random(random.next()));
  crowd.join();
  await sleep(1_000);
  await crowd.settle(patienceMs);
  crowd.leave();
}
