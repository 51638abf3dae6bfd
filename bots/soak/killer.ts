import process from "node:process";
import type { Random } from "../compare/random.ts";
import { peersOf } from "./census.ts";
import type { Kill, Kills } from "./kills.ts";
import type { Watch } from "./watch.ts";

/**
 * Makes a server's workers end, one at a time, never the first: somebody has to see it all. They are
 * killed, and in the middle between two kills one is asked to end.
 */
export class Killer {
  readonly #watch: Watch;
  readonly #kills: Kills;
  readonly #port: number;
  readonly #random: Random;
  #timer: ReturnType<typeof setInterval> | undefined;
  #underWay: Promise<void> = Promise.resolve();

  /** @param port The server's. */
  constructor(watch: Watch, kills: Kills, port: number, random: Random) {
    this.#watch = watch;
    this.#kills = kills;
    this.#port = port;
    this.#random = random;
  }

  /** @param everyMs From one kill to the next. */
  start(everyMs: number): void {
    // Who is asked may take ten seconds, while somebody else should be killed.
    let isToBeKilled = true;
    this.#timer = setInterval(() => {
      this.#underWay = this.#strike(isToBeKilled ? "killed" : "asked");
      isToBeKilled = !isToBeKilled;
    }, everyMs / 2);
  }

  /** Resolves when nobody is being struck any more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#underWay;
  }

  async #strike(how: Kill["how"]): Promise<void> {
    const { mortals } = this.#watch;
    const pid = mortals[this.#random.below(mortals.length)];
    if (pid === undefined) return;
    try {
      // Stopped, it accepts nobody while we look whom it serves.
      process.kill(pid, "SIGSTOP");
    } catch {
      // It has ended by itself; whoever watches it says so.
      return;
    }
    this.#watch.expectEnd(pid);
    try {
      const ports = await peersOf(pid, this.#port);
      const at_s = performance.now() / 1000;
      this.#kills.add({ at_s, pid, how, connections: ports.length }, ports);
    } finally {
      if (how === "asked") process.kill(pid, "SIGTERM");
      process.kill(pid, how === "asked" ? "SIGCONT" : "SIGKILL");
    }
  }
}
