import type { Runtime } from "../../runtime/types.ts";
import type { OwedReceipt } from "../cluster/owed_receipts.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { PromptWork } from "../timing/prompt_work.ts";
import type { ReceiptTaker } from "../topics/receipts.ts";
import type { RemoteReceipt } from "./wire/frames.ts";
import { AwaitedReceipts, CollectedReceipts, OWN_PROCESS } from "./remote_receipts.ts";

/** Receipts in one frame: some 80 bytes each, and a frame of NATS has 1 MiB unless that is configured. */
const MAX_RECEIPTS_A_FRAME = 2_000;

/** The parts of a cluster that a {@linkcode ReceiptExchange} uses. */
export interface ReceiptExchangeHost {
  readonly runtime: Pick<Runtime, "soon" | "nextTurn" | "afterTurn">;
  readonly clock: CoarseClock;
  /** True if this process adds up what its siblings count. */
  readonly collects: () => boolean;
  /** The names of the siblings. */
  readonly siblings: () => Iterable<string>;
  /** The machine that an origin is part of. */
  readonly machineOf: (origin: string) => string | undefined;
  /** Sends receipts to their machine, or to the sibling that adds them up. */
  send(receipts: readonly RemoteReceipt[], machine: string | undefined): void;
}

/** The receipts of other machines for messages of this one, and the other way round. */
export class ReceiptExchange {
  readonly #host: ReceiptExchangeHost;
  readonly #awaited: AwaitedReceipts;
  readonly #collected: CollectedReceipts;
  /** The receipts of this turn, which are sent together. */
  #counted: RemoteReceipt[] = [];
  readonly #sending: PromptWork;

  constructor(host: ReceiptExchangeHost) {
    this.#host = host;
    this.#awaited = new AwaitedReceipts(host.clock);
    this.#collected = new CollectedReceipts(host.clock, (sum) => this.#queue(sum));
    this.#sending = new PromptWork(host.runtime, () => {
      this.#send();
      return this.#counted.length > 0;
    });
  }

  /** True while another machine still has to answer what became of a message. */
  get awaitsSome(): boolean {
    return this.#awaited.size > 0;
  }

  /** Makes a receipt wait for each of these machines. */
  await(owed: OwedReceipt, machines: Set<string>): void {
    this.#awaited.await(owed, machines);
  }

  /** A machine has counted a message of this process. */
  take(machine: string, receipt: RemoteReceipt): void {
    this.#awaited.take(machine, receipt);
  }

  /** A sibling has counted another machine's message. */
  takeFromSibling(sibling: string, receipt: RemoteReceipt): void {
    this.#collected.take(sibling, receipt);
  }

  /** The taker of this process's counts of another machine's message. */
  takerFor(origin: string, micros: number): ReceiptTaker {
    const { collects, siblings } = this.#host;
    if (collects()) this.#collected.begin(origin, micros, siblings());
    return {
      take: ({ matched, written, queued, evicted }) => {
        const receipt = { origin, micros, matched, written, queued, evicted };
        if (collects()) this.#collected.take(OWN_PROCESS, receipt);
        else this.#queue(receipt);
      },
    };
  }

  /** No receipt waits for a machine any more. */
  removeMachine(machine: string): void {
    this.#awaited.leaveOut(machine);
  }

  /** A sibling has ended. */
  removeSibling(sibling: string): void {
    this.#collected.leaveOut(sibling);
  }

  /** Acts on deadlines that have passed. To be called about once a sweep. */
  sweep(): void {
    this.#awaited.sweep();
    this.#collected.sweep();
  }

  #queue(receipt: RemoteReceipt): void {
    this.#counted.push(receipt);
    this.#sending.request();
  }

  #send(): void {
    const counted = this.#counted;
    this.#counted = [];
    const byMachine = Map.groupBy(counted, ({ origin }) => this.#host.machineOf(origin));
    for (const [machine, receipts] of byMachine) {
      for (let i = 0; i < receipts.length; i += MAX_RECEIPTS_A_FRAME) {
        this.#host.send(receipts.slice(i, i + MAX_RECEIPTS_A_FRAME), machine);
      }
    }
  }
}
