import process from "node:process";
import type { Random } from "../compare/random.ts";
import { peersOf } from "./census.ts";
import type { Kill, Kills } from "./kills.ts";
import type { Watch } from "./watch.ts";

/** How often to look whether there is somebody to strike. */
const LOOK_MS = 100;

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
  #isOver = false;

  /** @param port The server's. */
  constructor(watch: Watch, kills: Kills, port: number, random: Random) {
    this.#watch = watch;
    this.#kills = kills;
    this.#port = port;
    this.#random = random;
  }

  /** @param everyMs From one kill to the next. */
  start(everyMs: number): void {
    let isToBeKilled = true;
    this.#timer = setInterval(() => {
      const how = isToBeKilled ? "killed" : "asked";
      this.#underWay = this.#underWay.then(() => this.#strike(how));
      isToBeKilled = !isToBeKilled;
    }, everyMs / 2);
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
