import type { Random } from "../../harness/random.ts";
import { type Lane, messageTail } from "../checks/ledger.ts";
import { Member } from "./member.ts";
import { ReceiptCheck } from "../checks/receipt_check.ts";
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

/** One message in so many asks for a receipt. */
const RECEIPT_ONE_IN = 7;

/** A publisher that pipelines over a kept connection, and waits where the server makes it wait. */
export class Publisher {
  readonly #town: CheckedTown;
  readonly #plan: PublisherPlan;
  readonly #random: Random;
  readonly #member: Member;
  #lane: Lane | undefined;
  #receipts = new ReceiptCheck();
  #due = 0;
  #tickedMs = performance.now();
  #mayWrite = false;
  #hasStopped = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(town: CheckedTown, plan: PublisherPlan, random: Random) {
    this.#town = town;
    this.#plan = plan;
    this.#random = random;
    this.#member = new Member(town, plan.name, town.keys?.publish ?? null, random, {
      onReady: () => this.#onReady(),
      onFrame: (frame) => this.#onFrame(frame),
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

  /** Whether it has all the receipts that it asked for. */
  get isComplete(): boolean {
    return this.#receipts.owed <= 0;
  }

  /** Counts the receipts that never came. */
  settle(): void {
    const { owed } = this.#receipts;
    if (owed <= 0) return;
    this.#town.faults.add("receipt", `${this.#plan.name} still waits for ${owed} receipts`, owed);
  }

  retire(): void {
    this.#lane = undefined;
    this.#member.retire();
  }

  #onReady(): void {
    const { topic, maxDataBytes } = this.#plan;
    this.#lane = this.#town.ledger.open(topic, maxDataBytes);
    this.#receipts = new ReceiptCheck();
    this.#mayWrite = true;
  }

  #onFrame(frame: string): void {
    const verdict = this.#receipts.take(frame);
    if (verdict === "fine") this.#town.receipts++;
    else {
      const kind = verdict === "wrong" ? "receipt" : "foreign";
      this.#town.faults.add(kind, `${this.#plan.name} gets ${frame.slice(0, 200)}`);
    }
  }

  #onGone(): void {
    // Where it wasn't a kill, that it was cut is a fault already.
    if (this.#lane !== undefined) this.#lane.isLost = true;
    this.#lane = undefined;
    this.#receipts = new ReceiptCheck();
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
        text += this.#frame(lane);
      }
      this.#mayWrite = this.#member.write(text);
    }
  }

  #frame(lane: Lane): string {
    const message = `{${messageTail(lane, lane.sent++)}`;
    if (lane.sent % RECEIPT_ONE_IN !== 0) return `PUBLISH\0${message}\0`;
    this.#receipts.ask();
    return `{"action":"publish","data":${message}}\0`;
  }
}
