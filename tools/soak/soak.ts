/**
 * Soaks one server.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../harness/random.ts";
import type { RuntimeName } from "../../cli/program.ts";
import { AttackRunner, judgeAttacks } from "./attacks/attack_runner.ts";
import { Bystander } from "./clients/bystander.ts";
import type { ProfileName } from "./listener_profile.ts";
import { Faults } from "./checks/faults.ts";
import { StrikeRunner } from "./strikes/strike_runner.ts";
import { type Strike, StrikeHistory, STRIKES } from "./checks/strike_history.ts";
import { Ledger } from "./checks/ledger.ts";
import { type LatencyBounds, tooLate } from "./checks/latency.ts";
import { holdsMemory, judgeMemory } from "./checks/memory.ts";
import type { Keys } from "./clients/healthy_client.ts";
import type { PeerTarget } from "./clients/peer.ts";
import type { SoakRun, StopRecord } from "./report.ts";
import { attackWhileStopping, type SharedAttackContext } from "./attacks/attack_rotation.ts";
import type { OnHung } from "./strikes/strike_context.ts";
import { Deck, KILL_ROUND, Round } from "./strikes/order.ts";
import type { PopulationContext } from "./clients/subscriber.ts";
import { OwnPace } from "./clients/own_pace.ts";
import { LibraryMember } from "./clients/library_member.ts";
import { BUSY_TOPIC, Population, TOPICS } from "./clients/population.ts";
import { RecoveryCheck, type SoakedHistory } from "./checks/recovery_check.ts";
import { Watch } from "./checks/watch.ts";

/** The server to soak. */
export interface SoakedServer {
  /** The name in the report. */
  readonly name: string;
  readonly runtimeVersion: string | null;
  readonly profile: ProfileName;
  readonly target: PeerTarget;
  /** The port for WebSockets; `null` if it has none, or if it isn't known. */
  readonly webSocketPort: number | null;
  /** A file with the certificate authorities that signed its certificates; `null` without TLS. */
  readonly caFile: string | null;
  /** The keys that its clients need; `null` if they need none. */
  readonly keys: Keys | null;
  /** `null` if its processes can't be watched. */
  readonly pid: number | null;
  /** Gives it another certificate; `null` if it has none, or if it isn't ours to give. */
  readonly renew: (() => void) | null;
  /** Gives it an unusable certificate for a while; `null` as above. */
  readonly misrenew: (() => Promise<void>) | null;
  /** True if a new certificate resets connections that the server hasn't accepted yet. */
  readonly resetsWhenRenewed: boolean;
  /** What it stores for subscribers that come back; `null` if that isn't known. */
  readonly history: SoakedHistory | null;
  /** Asks it to stop, and resolves when it has stopped; `null` if it isn't ours to stop. */
  readonly stop: (() => Promise<StopRecord>) | null;
  /** Milliseconds within which it promises to stop. */
  readonly stopLimitMs: number;
}

/** The plan of a soak. */
export interface SoakPlan {
  readonly durationMs: number;
  readonly subscribers: number;
  /** Milliseconds from one kill to the next, with other strikes between; `null` for none. */
  readonly killEveryMs: number | null;
  /** The server's processes. */
  readonly workers: number;
  /** Milliseconds from one strike of any kind to the next, in place of kills; `null` for none. */
  readonly chaosEveryMs: number | null;
  /** The number of attacks that run at once. */
  readonly attacksAtOnce: number;
  /** Only attacks whose names contain this text; empty for all. */
  readonly only: string;
  /** The runtime of the bystander, and of the clients that use the library. */
  readonly client: RuntimeName;
  readonly latency: LatencyBounds;
  /** The most bytes that the server's processes may have resident together. */
  readonly maxMemoryBytes: number;
  readonly seed: number;
  /** Milliseconds for the last messages to reach all subscribers after the load has ended. */
  readonly patienceMs: number;
  /** Called once a second with the progress. */
  readonly onProgress: (progress: SoakProgress) => void;
}

/** The progress of a soak. */
export interface SoakProgress {
  readonly elapsedMs: number;
  readonly delivered: number;
  readonly faults: number;
  readonly strikes: number;
  readonly residentBytes: number | null;
}

/** Milliseconds from one certificate to the next. */
const RENEW_EVERY_MS = 7_000;

/** Milliseconds for a server to close its clients' descriptors, and to have all its workers again. */
const RELEASE_PATIENCE_MS = 20_000;

/** Descriptors that a runtime opens for its own use when it is first needed. */
const OWN_DESCRIPTORS = 4;

const PROGRESS_MS = 1_000;

/** The most milliseconds that a worker hangs between two kills. */
const MAX_HANG_MS = 4_000;

/** The same with `--chaos-every`. The server ends a worker that hangs for more than 10 s. */
const CHAOS_HANG_MS = { min: 1_000, max: 15_000 };

/** Milliseconds. A shorter soak may not run every attack. */
const ALL_ATTACKS_MS = 5 * 60_000;

/** Milliseconds within which a bystander connects, on any machine. */
const ARRIVAL_MS = 20_000;

/** Milliseconds of attack before the server is asked to stop; the attack goes on after that. */
const STOP_ATTACK_LEAD_MS = 1_000;

/** Soaks a server that is up and has no other clients. */
export async function soak(server: SoakedServer, plan: SoakPlan): Promise<SoakRun> {
  const startedAt = new Date();
  const random = new Random(plan.seed);
  const faults = new Faults();
  const strikes = new StrikeHistory();
  const recovery = new RecoveryCheck(server.history, plan.workers, strikes, faults);
  const context: PopulationContext = {
    target: server.target,
    keys: server.keys,
    faults,
    strikes,
    recovery,
    resumes: {},
    pace: new OwnPace(),
    lostToOwnPace: 0,
    ledger: new Ledger(),
    delivered: 0,
    receipts: 0,
    streams: 0,
    lostToStrikes: 0,
  };
  context.pace.start();
  await recovery.start();
  // Connect once before measuring, so that everything a runtime opens only once is open.
  await answer(context, plan.patienceMs, random);
  const watch = server.pid === null ? null : await Watch.start(server.pid, faults);
  const before = watch?.samples[0]?.descriptors;
  const workers = watch?.workers.length;

  const population = new Population(context, plan.subscribers, new Random(random.next()));
  const { target, keys } = server;
  const attackContext = { target, keys, topics: TOPICS, busyTopic: BUSY_TOPIC };
  const attackSeed = random.next();
  const bystanderPlace = { runtime: plan.client, target, keys, patienceMs: plan.patienceMs };
  const bystander = new Bystander(bystanderPlace, faults, context.strikes);
  const { webSocketPort, caFile } = server;
  const library = new LibraryMember(
    { ...bystanderPlace, webSocketPort, caFile },
    faults,
    context.strikes,
  );
  if (watch !== null) {
    watch.onWaited = (fromMs, toMs, ms) => bystander.latency.addWait(fromMs, toMs, ms);
  }
  const onHung: OnHung = (ports, fromMs, toMs) => {
    // Excuse the bystander only if its own worker hung: clients of other workers must not notice.
    if (bystander.isAmong(ports)) bystander.latency.excuse(fromMs, toMs);
  };
  let renewals = 0;
  const renew = server.renew === null ? null : () => {
    server.renew!();
    if (server.resetsWhenRenewed) context.strikes.addRenewal();
    renewals++;
  };
  const schedule = strikesOf(plan);
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
  }, schedule.isChaos ? new Deck(strikeRandom) : new Round(KILL_ROUND));
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
  const after = watch === null ? undefined : await released(watch, before! + OWN_DESCRIPTORS);
  if (after !== undefined && after > before! + OWN_DESCRIPTORS) {
    faults.add("aftermath", `${after} descriptors are open, ${before} were before the load`);
  }
  await answer(context, plan.patienceMs, random);
  if (watch !== null && !await isComplete(watch, workers!)) {
    faults.add("aftermath", `${watch.workers.length} workers are there, ${workers} were`);
  }
  watch?.stop();
  context.pace.stop();
  clearInterval(progressTimer);
  await recovery.stop();
  const stop = await stopUnderAttack(server, attackContext, new Random(random.next()));
  judgeStop(stop, server.stopLimitMs, faults);
  const peak = watch === null ? null : watch.peakResidentBytes;
  if (peak !== null && peak > plan.maxMemoryBytes) {
    faults.add("memory", `${peak} bytes were resident, ${plan.maxMemoryBytes} may be`);
  }
  const memory = watch === null
    ? null
    : judgeMemory(samples, plan.durationMs / 1000, (schedule?.periodMs ?? 60_000) / 1000);
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
    strikes: countsOf(context.strikes),
    left_out: Object.fromEntries(striker?.leftOut ?? []),
    renewals,
    memory,
    peak_resident_bytes: peak,
    samples,
    descriptors: after === undefined ? null : { before: before!, after },
    attacks,
    stop,
  };
}

/** The times of strikes, and the length of hangs. */
interface StrikeSchedule {
  readonly isChaos: boolean;
  readonly everyMs: number;
  /** Milliseconds until every strike has happened once. */
  readonly periodMs: number;
  readonly hangMs: { readonly min: number; readonly max: number };
}

function strikesOf({ killEveryMs, chaosEveryMs }: SoakPlan): StrikeSchedule | null {
  if (chaosEveryMs !== null) {
    const periodMs = chaosEveryMs * STRIKES.length;
    return { isChaos: true, everyMs: chaosEveryMs, periodMs, hangMs: CHAOS_HANG_MS };
  }
  if (killEveryMs === null) return null;
  const everyMs = killEveryMs / KILL_ROUND.length;
  const ms = Math.min(everyMs / 2, MAX_HANG_MS);
  return { isChaos: false, everyMs, periodMs: killEveryMs, hangMs: { min: ms, max: ms } };
}

function countsOf({ records }: StrikeHistory): Record<Strike, number> {
  const count = (strike: Strike) => records.filter(({ how }) => how === strike).length;
  return Object.fromEntries(STRIKES.map((strike) => [strike, count(strike)])) as Record<
    Strike,
    number
  >;
}

/** Stops a server, if it's ours to stop, during an attack that makes it answer more than it can. */
async function stopUnderAttack(
  server: SoakedServer,
  context: SharedAttackContext,
  random: Random,
): Promise<StopRecord | null> {
  if (server.stop === null) return null;
  const end = new AbortController();
  const attack = attackWhileStopping(context, random, end.signal);
  await sleep(STOP_ATTACK_LEAD_MS);
  const stop = await server.stop();
  end.abort();
  await attack;
  return stop;
}

function judgeStop(stop: StopRecord | null, limitMs: number, faults: Faults): void {
  if (stop === null) return;
  const { status, took_ms } = stop;
  if (status !== 0) {
    faults.add("aftermath", `the server ended with status ${status} when asked to stop`);
  }
  if (took_ms > limitMs) {
    const took = `${(took_ms / 1000).toFixed(1)} s`;
    faults.add("aftermath", `the server took ${took} to stop, ${limitMs / 1000} s are promised`);
  }
}

/** Checks with a small, quiet population that the server still answers. */
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

/** Waits for that many workers. Resolves with true if they are there. */
async function isComplete(watch: Watch, workers: number): Promise<boolean> {
  const endMs = performance.now() + RELEASE_PATIENCE_MS;
  while (watch.workers.length !== workers && performance.now() < endMs) {
    await sleep(200);
  }
  return watch.workers.length === workers;
}

/** Waits until at most `few` descriptors are open. Resolves with the number of open ones. */
async function released(watch: Watch, few: number): Promise<number> {
  const endMs = performance.now() + RELEASE_PATIENCE_MS;
  const open = () => watch.samples.at(-1)!.descriptors;
  while (open() > few && performance.now() < endMs) {
    await sleep(200);
  }
  return open();
}
