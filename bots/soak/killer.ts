import process from "node:process";
import type { Random } from "../compare/random.ts";
import { peersOf } from "./census.ts";
import type { Kill, Kills } from "./kills.ts";
import type { Watch } from "./watch.ts";

/** How often to look whether there is somebody to strike. */
const LOOK_MS = 100;

/** What happens to workers, again and again, in as many parts of the time from one kill to the next. */
const STRIKES: readonly Kill["how"][] = ["hung", "killed", "hung", "asked"];

/** A worker hangs for a part of the time from one strike to the next, and at most for so long. */
const MAX_HANG_MS = 4_000;

/** How long a process may take to end that was killed, on a busy machine. */
const ENDING_MS = 4_000;

/** Told of a worker that is made to hang, when it goes on; times are milliseconds since 1970. */
export type OnHung = (ports: readonly number[], fromMs: number, toMs: number) => void;

/**
 * Makes a server's workers end, one at a time, never the first: somebody has to see it all. They are
 * killed, in the middle between two kills one is asked to end, and in between one hangs for a while.
 */
export class Killer {
  readonly #watch: Watch;
  readonly #kills: Kills;
  readonly #port: number;
  readonly #random: Random;
  readonly #onHung: OnHung;
  #hangMs = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #underWay: Promise<void> = Promise.resolve();
  #isOver = false;

  /** @param port The server's. */
  constructor(watch: Watch, kills: Kills, port: number, random: Random, onHung: OnHung) {
    this.#onHung = onHung;
    this.#watch = watch;
    this.#kills = kills;
    this.#port = port;
    this.#random = random;
  }

  /** @param everyMs From one kill to the next. */
  start(everyMs: number): void {
    const partMs = everyMs / STRIKES.length;
    this.#hangMs = Math.min(partMs / 2, MAX_HANG_MS);
    let at = 0;
    this.#timer = setInterval(() => {
      const how = STRIKES[at++ % STRIKES.length]!;
      this.#underWay = this.#underWay.then(() => this.#strike(how));
    }, partMs);
  }

  /** Resolves when nobody is being struck any more. */
  async stop(): Promise<void> {
    this.#isOver = true;
    clearInterval(this.#timer);
    await this.#underWay;
  }

  async #strike(how: Kill["how"]): Promise<void> {
    const pid = await this.#victim();
    if (pid === undefined) return;
    if (how === "hung") return await this.#hang(pid);
    // Stopped, it accepts nobody while we look whom it serves.
    if (!signal(pid, "SIGSTOP")) return;
    this.#watch.expectEnd(pid);
    try {
      const ports = await peersOf(pid, this.#port);
      const at_s = performance.now() / 1000;
      this.#kills.add({ at_s, pid, how, connections: ports.length }, ports);
    } finally {
      if (how === "asked") signal(pid, "SIGTERM");
      signal(pid, how === "killed" ? "SIGKILL" : "SIGCONT");
    }
  }

  async #hang(pid: number): Promise<void> {
    // Before it's stopped: that takes long on a busy machine, and a worker that hangs too long is ended.
    const before = await peersOf(pid, this.#port).catch(() => []);
    const fromMs = Date.now();
    if (!signal(pid, "SIGSTOP")) return;
    const at_s = performance.now() / 1000;
    const record = { at_s, pid, connections: before.length };
    this.#kills.add({ ...record, how: "hung" }, before);
    // The server ends it where more waits for it than may.
    this.#watch.expectEnd(pid);
    const goesOnMs = performance.now() + this.#hangMs;
    // Clients may have come meanwhile; none does any more.
    const ports = [...before, ...await peersOf(pid, this.#port).catch(() => [])];
    this.#kills.hangsWith(ports);
    await sleep(goesOnMs - performance.now());
    signal(pid, "SIGCONT");
    this.#onHung(ports, fromMs, Date.now());
    // It may have been killed, and not have ended yet.
    await sleep(Math.min(this.#hangMs, ENDING_MS));
    if (isThere(pid)) {
      this.#watch.expectNoEnd(pid);
      this.#kills.goesOn();
    } else this.#kills.add({ ...record, how: "killed" }, ports);
  }

  /** Who is next, once there is somebody: the last one may still be on its way out. */
  async #victim(): Promise<number | undefined> {
    while (!this.#isOver) {
      const { mortals } = this.#watch;
      if (mortals.length > 0) return mortals[this.#random.below(mortals.length)];
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return undefined;
  }
}

/** Whether there is such a process. */
function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whether the process was there to get it; whoever watches it says when it has ended by itself. */
function signal(pid: number, name: "SIGSTOP" | "SIGCONT" | "SIGTERM" | "SIGKILL"): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}
