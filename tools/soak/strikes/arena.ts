import { setTimeout as sleep } from "node:timers/promises";
import process from "node:process";
import type { Random } from "../../harness/random.ts";
import { peersOf } from "../checks/peers.ts";
import type { Faults } from "../checks/faults.ts";
import type { Kills, Strike } from "../checks/strike_history.ts";
import type { Watch } from "../checks/watch.ts";

/** How often to look whether there is somebody to strike. */
const LOOK_MS = 100;

/** Told of a worker that is made to hang, when it goes on; times are milliseconds since 1970. */
export type OnHung = (ports: readonly number[], fromMs: number, toMs: number) => void;

/** A server with workers, and who sees what becomes of it. */
export interface Arena {
  readonly watch: Watch;
  readonly kills: Kills;
  readonly faults: Faults;
  readonly random: Random;
  /** The server's own process. */
  readonly pid: number;
  /** The server's port. */
  readonly port: number;
  /** How many workers it should have. */
  readonly workers: number;
  /** How long a worker hangs, in milliseconds. */
  readonly hangMs: { readonly min: number; readonly max: number };
  /** Gives it another certificate; `null` where it has none. */
  readonly renew: (() => void) | null;
  /** Lets it try a certificate that it can't use; `null` where it has none. */
  readonly misrenew: (() => Promise<void>) | null;
  readonly onHung: OnHung;
  /** Nobody is to be struck any more. */
  readonly end: AbortSignal;
}

/**
 * Strikes once, and resolves when it's over.
 *
 * @throws {Impossible} (rejects) where such a strike isn't possible.
 */
export type StrikeOnce = (arena: Arena) => Promise<void>;

/** Why a strike isn't possible here. */
export class Impossible extends Error {
  override readonly name = "Impossible";
}

/**
 * Who is next, once there is somebody: the last one may still be on its way out. Never the first worker:
 * somebody has to see it all.
 *
 * @returns (resolves) none at the end.
 */
export async function nextVictim({ watch, random, end }: Arena): Promise<number | undefined> {
  while (!end.aborted) {
    const { mortals } = watch;
    if (mortals.length > 0) return mortals[random.below(mortals.length)];
    await sleep(LOOK_MS);
  }
  return undefined;
}

/** The clients' ports of a worker's connections; none where it has ended. */
export function portsOf(pid: number, { port }: Arena): Promise<number[]> {
  return peersOf(pid, port).catch(() => []);
}

/** What a record of a strike that happens now begins with. */
export function record<How extends Strike>(how: How, pid: number, connections: number) {
  return { at_s: performance.now() / 1000, pid, how, connections };
}

/** Whether there is such a process. */
export function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Whether the process was there to get it; whoever watches it says when it has ended by itself. */
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

/** A whole number between two, each as likely as any other. */
export function between(random: Random, min: number, max: number): number {
  return min + random.below(max - min + 1);
}
