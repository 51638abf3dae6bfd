import type { Random } from "../../harness/random.ts";
import { type Lane, messageTail } from "../checks/ledger.ts";
import { HealthyClient } from "./healthy_client.ts";
import { ReceiptCheck } from "../checks/receipt_check.ts";
import type { PopulationContext } from "./subscriber.ts";

/** The behaviour of a publisher. */
export interface PublisherPlan {
  readonly name: string;
  readonly topic: string;
  readonly maxDataBytes: number;
  /** Messages a second, one after another. */
  readonly perSecond: number;
  /** Milliseconds from one burst to the next, on average; `Infinity` for none. */
  readonly burstEveryMs: number;
  /** The most messages of a burst. */
  readonly maxBurst: number;
}

/** Milliseconds between two checks whether a message is due. */
const TICK_MS = 20;

/** The most messages in one write. */
const WRITE_MESSAGES = 100;

/** One message in so many asks for a receipt. */
const RECEIPT_ONE_IN = 7;

/** A publisher that pipelines over a kept connection, and waits if the server makes it wait. */
export class SoakPublisher {
  readonly #context: PopulationContext;
  readonly #plan: PublisherPlan;
  readonly #random: Random;
  readonly #client: HealthyClient;
  #lane: Lane | undefined;
  #receipts = new ReceiptCheck();
  #due = 0;
  #tickedMs = performance.now();
  #mayWrite = false;
  #hasStopped = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(context: PopulationContext, plan: PublisherPlan, random: Random) {
    this.#context = context;
    this.#plan = plan;
    this.#random = random;
    this.#client = new HealthyClient(context, plan.name, context.keys?.publish ?? null, random, {
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
    this.#client.join();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Stops publishing. Messages that were written go out. */
  stop(): void {
    clearInterval(this.#timer);
    this.#hasStopped = true;
    this.#due = 0;
  }

  /** True if it has all the receipts that it asked for. */
  get isComplete(): boolean {
    return this.#receipts.owed <= 0;
  }

  /** Reports the receipts that never arrived. */
  settle(): void {
    const { owed } = this.#receipts;
    if (owed <= 0) return;
    this.#context.faults.add(
      "receipt",
      `${this.#plan.name} still waits for ${owed} receipts`,
      owed,
    );
  }

  retire(): void {
    if (this.#lane !== undefined) this.#lane.isOver = true;
    this.#lane = undefined;
    this.#client.retire();
  }

  #onReady(): void {
    const { topic, maxDataBytes } = this.#plan;
    this.#lane = this.#context.ledger.open(topic, maxDataBytes);
    this.#receipts = new ReceiptCheck();
    this.#mayWrite = true;
  }

  #onFrame(frame: string): void {
    const verdict = this.#receipts.take(frame);
    if (verdict === "fine") this.#context.receipts++;
    else {
      const kind = verdict === "wrong" ? "receipt" : "foreign";
      this.#context.faults.add(kind, `${this.#plan.name} gets ${frame.slice(0, 200)}`);
    }
  }

  #onGone(): void {
    // If no strike explains the loss, it is reported as a fault already.
    if (this.#lane !== undefined) {
      this.#lane.isLost = true;
      this.#lane.lostMs = performance.now();
    }
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
      this.#mayWrite = this.#client.write(text);
    }
  }

  #frame(lane: Lane): string {
    const message = `{${messageTail(lane, lane.sent++)}`;
    if (lane.sent % RECEIPT_ONE_IN !== 0) return `PUBLISH\0${message}\0`;
    this.#receipts.ask();
    return `{"action":"publish","data":${message}}\0`;
  }
}
