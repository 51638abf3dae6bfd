import { setTimeout as sleep } from "node:timers/promises";
import process from "node:process";
import type { Random } from "../../harness/random.ts";
import { processesOf } from "../../harness/process_table.ts";
import { peersOf } from "../checks/peers.ts";
import type { Faults } from "../checks/faults.ts";
import type { Strike, StrikeHistory } from "../checks/strike_history.ts";
import type { Watch } from "../checks/watch.ts";
import type { SoakedCluster } from "./soaked_cluster.ts";

/** Milliseconds between two looks for a worker that may be struck. */
const LOOK_MS = 100;

/** Called when a worker that hung goes on. Times are milliseconds since 1970. */
export type OnHung = (ports: readonly number[], fromMs: number, toMs: number) => void;

/** The server that is struck, and the checks that record the strikes. */
export interface StrikeContext {
  readonly watch: Watch;
  readonly strikes: StrikeHistory;
  readonly faults: Faults;
  readonly random: Random;
  /** The server's own process. */
  readonly pid: number;
  /** The server's port. */
  readonly port: number;
  /** The number of workers that it should have. */
  readonly workers: number;
  /** The range of a hang's length, in milliseconds. */
  readonly hangMs: { readonly min: number; readonly max: number };
  /** Gives the server another certificate; `null` if it has none. */
  readonly renew: (() => void) | null;
  /** Gives the server an unusable certificate for a while; `null` if it has none. */
  readonly misrenew: (() => Promise<void>) | null;
  readonly onHung: OnHung;
  /** The cluster that the server is a member of; `null` if it's alone. */
  readonly cluster: SoakedCluster | null;
  /** Called when messages from one member to another have been late. Times are milliseconds since 1970. */
  readonly onDelayed: (fromMs: number, toMs: number) => void;
  /** Aborted when no more strikes may begin. */
  readonly end: AbortSignal;
}

/**
 * Strikes once. Resolves when the strike is over.
 *
 * @throws {ImpossibleStrike} (rejects) if such a strike isn't possible here.
 */
export type StrikeOnce = (context: StrikeContext) => Promise<void>;

/** The strike isn't possible here; the message says why. */
export class ImpossibleStrike extends Error {
  override readonly name = "ImpossibleStrike";
}

/**
 * Waits for a worker that may be struck: the last victim may still be ending. It is never the spared
 * worker, which has to survive the whole soak.
 *
 * @returns (resolves) the worker's process ID; `undefined` when strikes end.
 */
export async function nextVictim(
  { watch, random, end }: StrikeContext,
): Promise<number | undefined> {
  while (!end.aborted) {
    const { killableWorkers } = watch;
    if (killableWorkers.length > 0) return killableWorkers[random.below(killableWorkers.length)];
    await sleep(LOOK_MS);
  }
  return undefined;
}

/** The clients' ports of a worker's connections; empty if it has ended. */
export function portsOf(pid: number, { port }: Pick<StrikeContext, "port">): Promise<number[]> {
  return peersOf(pid, port).catch(() => []);
}

/** The record of a strike that happens now. */
export function record<How extends Strike>(how: How, pid: number, connections: number) {
  return { at_s: performance.now() / 1000, pid, how, connections };
}

/** True if a process of the server runs: one that has ended may be there until the server looks. */
export async function isAlive(pid: number, context: Pick<StrikeContext, "pid">): Promise<boolean> {
  const processes = await processesOf(context.pid).catch(() => null);
  return processes === null ? isThere(pid) : processes.some((one) => one.pid === pid);
}

/** True if there is such a process. */
export function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Sends a signal. Returns false if the process has ended, which the watch reports. */
export function signal(
  pid: number,
  name: "SIGSTOP" | "SIGCONT" | "SIGTERM" | "SIGKILL" | "SIGUSR2",
): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}

/** A random whole number from `min` to `max`, each equally likely. */
export function between(random: Random, min: number, max: number): number {
  return min + random.below(max - min + 1);
}
