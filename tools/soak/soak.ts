/**
 * The soak of one server.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../harness/random.ts";
import type { RuntimeName } from "../../cli/program.ts";
import { AttackRunner, judgeAttacks } from "./attacks/attack_runner.ts";
import { Bystander } from "./clients/bystander.ts";
import type { DoorName } from "./listener_profile.ts";
import { Faults } from "./checks/faults.ts";
import { Killer } from "./strikes/killer.ts";
import { Kills, type Strike, STRIKES } from "./checks/strike_history.ts";
import { Ledger } from "./checks/ledger.ts";
import { type LatencyBounds, tooLate } from "./checks/latency.ts";
import { holdsMemory, judgeMemory } from "./checks/memory.ts";
import type { Keys } from "./clients/member.ts";
import type { PeerTarget } from "./clients/peer.ts";
import type { SoakRun, StopRecord } from "./report.ts";
import { attackWhileStopping, type Battlefield } from "./attacks/siege.ts";
import type { OnHung } from "./strikes/arena.ts";
import { Deck, KILL_ROUND, Round } from "./strikes/order.ts";
import type { CheckedTown } from "./clients/subscriber.ts";
import { OwnPace } from "./clients/own_pace.ts";
import { BUSY_TOPIC, Inhabitants, TOPICS } from "./clients/population.ts";
import { Watch } from "./checks/watch.ts";

/** The server to be soaked. */
export interface SoakedServer {
  /** For the report. */
  readonly name: string;
  readonly runtimeVersion: string | null;
  readonly door: DoorName;
  readonly target: PeerTarget;
  /** What it wants to see before anything else, if it does. */
  readonly keys: Keys | null;
  /** `null` where its processes can't be looked at. */
  readonly pid: number | null;
  /** Gives it another certificate; `null` where it has none, or it isn't ours to give. */
  readonly renew: (() => void) | null;
  /** Gives it one that it can't use for a while, and lets it try; `null` as above. */
  readonly misrenew: (() => Promise<void>) | null;
  /** Whether that resets connections which it hasn't accepted yet. */
  readonly resetsWhenRenewed: boolean;
  /** Asks it to stop, and resolves when it has; `null` where it isn't ours to stop. */
  readonly stop: (() => Promise<StopRecord>) | null;
  /** Milliseconds within which it has promised to have stopped. */
  readonly stopLimitMs: number;
}

/** What to do to it. */
export interface SoakPlan {
  readonly durationMs: number;
  readonly subscribers: number;
  /** Milliseconds from one kill of a worker to the next, with other strikes between; `null` for none. */
  readonly killEveryMs: number | null;
  /** Milliseconds from one strike to the next, of all that there are, instead; `null` for none. */
  readonly chaosEveryMs: number | null;
  /** How many attacks run at once. */
  readonly attackColumns: number;
  /** Attacks whose names have this; all where it is empty. */
  readonly only: string;
  /** What the bystander runs on. */
  readonly client: RuntimeName;
  readonly latency: LatencyBounds;
  /** What the server's processes may have resident at once. */
  readonly maxMemoryBytes: number;
  readonly seed: number;
  /** Milliseconds that what was published may take to its last subscriber, when the load has ended. */
  readonly patienceMs: number;
  /** Told once a second how it goes. */
  readonly onProgress: (progress: SoakProgress) => void;
}

/** How far a soak has come. */
export interface SoakProgress {
  readonly elapsedMs: number;
  readonly delivered: number;
  readonly faults: number;
  readonly strikes: number;
  readonly residentBytes: number | null;
}

/** From one certificate to the next. */
const RENEW_EVERY_MS = 7_000;

/** How long a server may take to let go of its clients' descriptors, and to have all its workers. */
const RELEASE_PATIENCE_MS = 20_000;

/** Descriptors that a runtime opens for its own use when it is first needed. */
const OWN_DESCRIPTORS = 4;

const PROGRESS_MS = 1_000;

/** How long a worker hangs at most, between two kills. */
const MAX_HANG_MS = 4_000;

/** The same where all strikes come in any order. The server ends one that hangs for more than 10 s. */
const CHAOS_HANG_MS = { min: 1_000, max: 15_000 };

/** Shorter than this, a soak may not get to every attack. */
const ALL_ATTACKS_MS = 5 * 60_000;

/** A bystander has arrived by then, on any machine. */
const ARRIVAL_MS = 20_000;

/** How long the server is attacked before it's asked to stop, and goes on being attacked. */
const STOP_ATTACK_LEAD_MS = 1_000;

/** Soaks a server, which is up and has no other clients. */
export async function soak(server: SoakedServer, plan: SoakPlan): Promise<SoakRun> {
  const startedAt = new Date();
  const random = new Random(plan.seed);
  const faults = new Faults();
  const town: CheckedTown = {
    target: server.target,
    keys: server.keys,
    faults,
    kills: new Kills(),
    pace: new OwnPace(),
    lostToOwnPace: 0,
    ledger: new Ledger(),
    delivered: 0,
    receipts: 0,
    streams: 0,
    lostToKills: 0,
  };
  town.pace.start();
  // The first contact of all, so that what a runtime opens only once is open.
  await answer(town, plan.patienceMs, random);
  const watch = server.pid === null ? null : await Watch.start(server.pid, faults);
  const before = watch?.samples[0]?.descriptors;
  const workers = watch?.workers.length;

  const inhabitants = new Inhabitants(town, plan.subscribers, new Random(random.next()));
  const { target, keys } = server;
  const field = { target, keys, topics: TOPICS, busyTopic: BUSY_TOPIC };
  const attackSeed = random.next();
  const bystanderPlace = { runtime: plan.client, target, keys, patienceMs: plan.patienceMs };
  const bystander = new Bystander(bystanderPlace, faults, town.kills);
  if (watch !== null) {
    watch.onWaited = (fromMs, toMs, ms) => bystander.latency.addWait(fromMs, toMs, ms);
  }
  const onHung: OnHung = (ports, fromMs, toMs) => {
    // The other worker's clients must not notice.
    if (bystander.isAmong(ports)) bystander.latency.excuse(fromMs, toMs);
  };
  let renewals = 0;
  const renew = server.renew === null ? null : () => {
    server.renew!();
    if (server.resetsWhenRenewed) town.kills.addRenewal();
    renewals++;
  };
  const schedule = strikesOf(plan);
  const strikeRandom = new Random(random.next());
  const killer = watch === null || schedule === null ? null : new Killer({
    watch,
    kills: town.kills,
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
      delivered: town.delivered,
      faults: faults.total,
      strikes: town.kills.kills.length,
      residentBytes: watch?.samples.at(-1)?.resident_bytes ?? null,
    });
  }, PROGRESS_MS);
  const renewTimer = renew === null || schedule?.isChaos
    ? undefined
    : setInterval(renew, RENEW_EVERY_MS);
  inhabitants.moveIn();
  const attackers = new AttackRunner(
    plan.client,
    { field, seed: attackSeed, only: plan.only, columns: plan.attackColumns },
    faults,
  );
  if (schedule !== null) killer?.start(schedule.everyMs);
  await sleep(plan.durationMs);

  await killer?.stop();
  clearInterval(renewTimer);
  const samples = [...watch?.samples ?? []];
  const attacks = await attackers.stop();
  judgeAttacks(attacks, faults, plan.durationMs >= ALL_ATTACKS_MS);
  await bystander.settle(plan.patienceMs, plan.durationMs >= ARRIVAL_MS);
  const { verdict: latency } = bystander.latency;
  for (const line of latency === null ? [] : tooLate(latency, plan.latency)) {
    faults.add("late", line);
  }
  await inhabitants.settle(plan.patienceMs);
  inhabitants.moveOut();
  const after = watch === null ? undefined : await released(watch, before! + OWN_DESCRIPTORS);
  if (after !== undefined && after > before! + OWN_DESCRIPTORS) {
    faults.add("aftermath", `${after} descriptors are open, ${before} were before the load`);
  }
  await answer(town, plan.patienceMs, random);
  if (watch !== null && !await isComplete(watch, workers!)) {
    faults.add("aftermath", `${watch.workers.length} workers are there, ${workers} were`);
  }
  watch?.stop();
  town.pace.stop();
  clearInterval(progressTimer);
  const stop = await stopUnderAttack(server, field, new Random(random.next()));
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
    door: server.door,
    started_at: startedAt.toISOString(),
    passed: faults.total === 0 && (memory === null || holdsMemory(memory)),
    load_s: plan.durationMs / 1000,
    subscribers: plan.subscribers,
    streams: town.streams,
    published: town.ledger.published,
    delivered: town.delivered,
    receipts: town.receipts,
    lost_to_kills: town.lostToKills + bystander.lostToKills,
    lost_to_own_pace: town.lostToOwnPace,
    latency,
    faults: faults.counts,
    fault_details: faults.details,
    kills: town.kills.kills,
    strikes: countsOf(town.kills),
    left_out: Object.fromEntries(killer?.leftOut ?? []),
    renewals,
    memory,
    peak_resident_bytes: peak,
    samples,
    descriptors: after === undefined ? null : { before: before!, after },
    attacks,
    stop,
  };
}

/** When workers are struck, and how long one hangs. */
interface StrikeSchedule {
  readonly isChaos: boolean;
  readonly everyMs: number;
  /** Until all strikes have been. */
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

function countsOf({ kills }: Kills): Record<Strike, number> {
  const count = (strike: Strike) => kills.filter(({ how }) => how === strike).length;
  return Object.fromEntries(STRIKES.map((strike) => [strike, count(strike)])) as Record<
    Strike,
    number
  >;
}

/** Stops a server, if it's ours to stop, while it has to answer more than it can. */
async function stopUnderAttack(
  server: SoakedServer,
  field: Battlefield,
  random: Random,
): Promise<StopRecord | null> {
  if (server.stop === null) return null;
  const end = new AbortController();
  const attack = attackWhileStopping(field, random, end.signal);
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

/** A short, quiet town: whether the server answers at all. */
async function answer(
  town: CheckedTown,
  patienceMs: number,
  random: Random,
): Promise<void> {
  const crowd = new Inhabitants(town, 8, new Random(random.next()));
  crowd.moveIn();
  await sleep(1_000);
  await crowd.settle(patienceMs);
  crowd.moveOut();
}

/** Waits until so many workers are there; resolves with whether they are. */
async function isComplete(watch: Watch, workers: number): Promise<boolean> {
  const endMs = performance.now() + RELEASE_PATIENCE_MS;
  while (watch.workers.length !== workers && performance.now() < endMs) {
    await sleep(200);
  }
  return watch.workers.length === workers;
}

/** Waits until at most `few` descriptors are open; resolves with how many are. */
async function released(watch: Watch, few: number): Promise<number> {
  const endMs = performance.now() + RELEASE_PATIENCE_MS;
  const open = () => watch.samples.at(-1)!.descriptors;
  while (open() > few && performance.now() < endMs) {
    await sleep(200);
  }
  return open();
}
