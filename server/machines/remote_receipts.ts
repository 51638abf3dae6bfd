import type { CoarseClock } from "../timing/coarse_clock.ts";
import { RECEIPT_DEADLINE_MS } from "../limits/processes.ts";
import type { OwedReceipt } from "../cluster/owed_receipts.ts";
import type { Receipt } from "../topics/receipts.ts";
import type { RemoteReceipt } from "./wire/frames.ts";

interface Awaited {
  readonly owed: OwedReceipt;
  /** The machines that still have to answer. */
  readonly machines: Set<string>;
}

/** The receipts of this process's publishers that wait for what other machines have counted. */
export class AwaitedReceipts {
  readonly #clock: CoarseClock;
  /** By the message's timestamp, the oldest in front. */
  readonly #awaited = new Map<number, Awaited>();

  constructor(clock: CoarseClock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#awaited.size;
  }

  /** Makes a receipt wait for each of these machines. */
  await(owed: OwedReceipt, machines: Set<string>): void {
    owed.askPeers(machines.size);
    if (machines.size > 0) this.#awaited.set(owed.micros, { owed, machines });
  }

  /** A machine has counted. */
  take(machine: string, receipt: RemoteReceipt): void {
    const awaited = this.#awaited.get(receipt.micros);
    if (awaited === undefined || !awaited.machines.delete(machine)) return;
    if (awaited.machines.size === 0) this.#awaited.delete(receipt.micros);
    awaited.owed.takePeer(receipt);
  }

  /** Waits no longer for a machine. */
  leaveOut(machine: string): void {
    for (const [micros, { owed, machines }] of this.#awaited) {
      if (!machines.delete(machine)) continue;
      if (machines.size === 0) this.#awaited.delete(micros);
      owed.leaveOut();
    }
  }

  /** Waits no longer for what hasn't come in time. To be called about once a sweep. */
  sweep(): void {
    for (const [micros, { owed, machines }] of this.#awaited) {
      if (this.#clock.nowMs - owed.sinceMs < RECEIPT_DEADLINE_MS) return;
      this.#awaited.delete(micros);
      for (let i = machines.size; i > 0; i--) owed.leaveOut();
    }
  }
}

interface Collected {
  readonly sum: { matched: number; written: number; queued: number; evicted: number };
  /** The processes of this machine that still have to count. */
  readonly missing: Set<string>;
  readonly sinceMs: number;
}

/** The name under which the process that collects counts itself. */
export const OWN_PROCESS = "";

/** Adds up what the processes of this machine have counted of other machines' messages. */
export class CollectedReceipts {
  readonly #clock: CoarseClock;
  readonly #onSum: (receipt: RemoteReceipt) => void;
  /** By origin and timestamp, the oldest in front. */
  readonly #collected = new Map<string, Collected>();

  /** @param onSum Called when all processes have counted a message. */
  constructor(clock: CoarseClock, onSum: (receipt: RemoteReceipt) => void) {
    this.#clock = clock;
    this.#onSum = onSum;
  }

  /** Begins to collect for a message. @param processes Those that will count it. */
  begin(origin: string, micros: number, processes: Iterable<string>): void {
    const key = keyOf(origin, micros);
    if (this.#collected.has(key)) return;
    this.#collected.set(key, {
      sum: { matched: 0, written: 0, queued: 0, evicted: 0 },
      missing: new Set(processes).add(OWN_PROCESS),
      sinceMs: this.#clock.nowMs,
    });
  }

  /** A process has counted. */
  take(process: string, receipt: RemoteReceipt): void {
    const key = keyOf(receipt.origin, receipt.micros);
    const collected = this.#collected.get(key);
    if (collected === undefined || !collected.missing.delete(process)) return;
    add(collected.sum, receipt);
    this.#settle(key, collected);
  }

  /** Waits no longer for a process, which has ended. */
  leaveOut(process: string): void {
    for (const [key, collected] of this.#collected) {
      if (collected.missing.delete(process)) this.#settle(key, collected);
    }
  }

  /** Forgets what isn't asked for any more. To be called about once a sweep. */
  sweep(): void {
    for (const [key, { sinceMs }] of this.#collected) {
      if (this.#clock.nowMs - sinceMs < RECEIPT_DEADLINE_MS) return;
      this.#collected.delete(key);
    }
  }

  #settle(key: string, { sum, missing }: Collected): void {
    if (missing.size > 0) return;
    this.#collected.delete(key);
    const [origin, micros] = key.split(" ") as [string, string];
    this.#onSum({ origin, micros: Number(micros), ...sum });
  }
}

function keyOf(origin: string, micros: number): string {
  return `${origin} ${micros}`;
}

function add(sum: Collected["sum"], { matched, written, queued, evicted }: Receipt): void {
  sum.matched += matched;
  sum.written += written;
  sum.queued += queued;
  sum.evicted += evicted;
}
