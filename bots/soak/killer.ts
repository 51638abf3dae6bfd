import process from "node:process";
import type { Random } from "../compare/random.ts";
import { peersOf } from "./census.ts";
import type { Kills } from "./kills.ts";
import type { Watch } from "./watch.ts";

/** Kills a server's workers, one at a time, never the first: somebody has to see it all. */
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

  start(everyMs: number): void {
    this.#timer = setInterval(() => this.#underWay = this.#kill(), everyMs);
  }

  /** Resolves when no kill is under way any more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#underWay;
  }

  async #kill(): Promise<void> {
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
    this.#watch.expectDeath(pid);
    try {
      const ports = await peersOf(pid, this.#port);
      const at_s = performance.now() / 1000;
      this.#kills.add({ at_s, pid, connections: ports.length }, ports);
    } finally {
      process.kill(pid, "SIGKILL");
    }
  }
}
