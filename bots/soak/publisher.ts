import type { Random } from "../compare/random.ts";
import { type Lane, messageTail } from "./ledger.ts";
import { Member } from "./member.ts";
import type { CheckedTown } from "./subscriber.ts";

/** How a publisher behaves. */
export interface PublisherPlan {
  readonly name: string;
  readonly topic: string;
  readonly maxDataBytes: number;
  /** Messages a second, one after another. */
  readonly perSecond: number;
  /** Now and then, on average once in so many milliseconds, it sends many at once; or never. */
  readonly burstEveryMs: number;
  /** The most messages of a burst. */
  readonly maxBurst: number;
}

/** How often a publisher looks whether something is due. */
const TICK_MS = 20;

/** As many messages go into one write. */
const WRITE_MESSAGES = 100;

/** A publisher that pipelines over a kept connection, and waits where the server makes it wait. */
export class Publisher {
  readonly #town: CheckedTown;
  readonly #plan: PublisherPlan;
  readonly #random: Random;
  readonly #member: Member;
  #lane: Lane | undefined;
  #due = 0;
  #tickedMs = performance.now();
  #mayWrite = false;
  #hasStopped = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(town: CheckedTown, plan: PublisherPlan, random: Random) {
    this.#town = town;
    this.#plan = plan;
    this.#random = random;
    this.#member = new Member(town, plan.name, random, {
      onGreeted: () => this.#onGreeted(),
      onFrame: (frame) => {
        town.faults.add("foreign", `${plan.name} gets ${frame.slice(0, 200)}`);
      },
      onDrain: () => {
        this.#mayWrite = true;
        this.#write();
      },
      onGone: () => this.#onGone(),
    });
  }

  join(): void {
    this.#member.join();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Publishes no more; what was written goes out. */
  stop(): void {
    clearInterval(this.#timer);
    this.#hasStopped = true;
    this.#due = 0;
  }

  retire(): void {
    this.#lane = undefined;
    this.#member.retire();
  }

  #onGreeted(): void {
    const { topic, maxDataBytes } = this.#plan;
    this.#lane = this.#town.ledger.open(topic, maxDataBytes);
    this.#mayWrite = true;
  }

  #onGone(): void {
    // Where it wasn't a kill, that it was cut is a fault already.
    if (this.#lane !== undefined) this.#lane.isLost = true;
    this.#lane = undefined;
    this.#mayWrite = false;
  }

  #tick(): void {
    const { perSecond, burstEveryMs, maxBurst } = this.#plan;
    // On a busy machine ticks come late.
    const nowMs = performance.now();
    const passedMs = nowMs - this.#tickedMs;
    this.#tickedMs = nowMs;
    this.#due += perSecond * passedMs / 1000;
    if (this.#random.below(1e6) < 1e6 * passedMs / burstEveryMs) {
      this.#due += 1 + this.#random.below(maxBurst);
    }
    this.#write();
  }

  #write(): void {
    const lane = this.#lane;
    if (this.#hasStopped || lane === undefined) return;
    while (this.#mayWrite && this.#due >= 1) {
      let text = "";
      for (let i = 0; i < WRITE_MESSAGES && this.#due >= 1; i++, this.#due--) {
        text += `PUBLISH\0{${messageTail(lane, lane.sent++)}\0`;
      }
      this.#mayWrite = this.#member.write(text);
    }
  }
}
