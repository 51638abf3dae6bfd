import { ANSWER_DEADLINE_MS } from "../limits/processes.ts";
import { type Claim, type Notice, type Terms } from "./terms.ts";

/** Permits that come with time are counted in fractions; less than this counts as none. */
const EPSILON = 1e-6;

/** A notice without its key, which the ledger adds. */
export type Word = Notice extends infer N ? N extends Notice ? Omit<N, "key"> : never : never;

/** One worker's part of an account. */
interface Part {
  /** Permits that the worker has: places in use and unused ones, or permits of a rate that aren't spent. */
  out: number;
  /** When the ledger recalled its unused permits; `undefined` once it has answered. */
  recalledMs: number | undefined;
  /** True if it was given some since then. */
  hasNew: boolean;
  /** True if it keeps no unused permit, so a recall would bring nothing. */
  isDrained: boolean;
  /** True if it was told that none is left. */
  believesNone: boolean;
}

/**
 * The permits of one key: how many each worker has and wants, and which workers were asked to give some
 * back. Never more are out than there are, and no worker is refused while another may have an unused one.
 */
export class Account<Worker> {
  readonly #terms: Terms;
  readonly #workers: number;
  readonly #tell: (worker: Worker, word: Word) => void;
  readonly #parts = new Map<Worker, Part>();
  /** The requests of workers, in the order in which they came. */
  readonly #asks: { readonly worker: Worker; readonly wants: number }[] = [];
  /** Permits that are out, and permits that were spent and haven't come anew yet. */
  #taken = 0;
  #filledMs: number;

  /**
   * @param members The workers, each of which has its own share already.
   * @param share The permits of such a share (`ownShare`); 0 if no worker has permits of its own.
   * @param workers The number of workers when none is missing.
   */
  constructor(
    terms: Terms,
    members: Iterable<Worker>,
    share: number,
    workers: number,
    nowMs: number,
    tell: (worker: Worker, word: Word) => void,
  ) {
    this.#terms = terms;
    this.#workers = workers;
    this.#tell = tell;
    this.#filledMs = nowMs;
    for (const worker of members) {
      this.#parts.set(worker, newPart(share));
      this.#taken += share;
    }
  }

  /** True if no permit is out, and no worker wants one or has to answer. */
  get isIdle(): boolean {
    if (this.#taken > EPSILON || this.#asks.length > 0) return false;
    for (const { recalledMs } of this.#parts.values()) if (recalledMs !== undefined) return false;
    return true;
  }

  /** Permits that are out or spent. */
  get taken(): number {
    return this.#taken;
  }

  /** Recalls the unused permits of all workers but one. */
  recallAllBut(asker: Worker, nowMs: number): void {
    for (const [worker, part] of this.#parts) {
      if (worker !== asker) this.#recall(worker, part, nowMs);
    }
  }

  /** Adds a new worker, which has no permit. */
  add(worker: Worker): void {
    this.#parts.set(worker, { ...newPart(0), isDrained: true });
  }

  /** Removes a worker that has ended. Its places are free; what it may have spent comes anew with time. */
  remove(worker: Worker, nowMs: number): void {
    const part = this.#parts.get(worker);
    if (part === undefined) return;
    this.#parts.delete(worker);
    if (this.#terms.perSecond === 0) this.#taken -= part.out;
    for (let i = this.#asks.length - 1; i >= 0; i--) {
      if (this.#asks[i]?.worker === worker) this.#asks.splice(i, 1);
    }
    this.serve(nowMs);
  }

  /** Carries out a worker's claim. */
  claim(worker: Worker, { wants, returns, spent, answersRecall }: Claim, nowMs: number): void {
    const part = this.#parts.get(worker);
    if (part === undefined) return;
    this.#fill(nowMs);
    const gone = Math.min(part.out, returns + spent);
    part.out -= gone;
    this.#taken -= Math.min(gone, returns);
    if (answersRecall) {
      part.recalledMs = undefined;
      part.isDrained = !part.hasNew;
    }
    if (wants > 0) this.#asks.push({ worker, wants });
    this.serve(nowMs);
  }

  /** Gives out free permits, and recalls unused ones. To be called some times a second, too. */
  serve(nowMs: number): void {
    this.#fill(nowMs);
    for (let ask = this.#asks[0]; ask !== undefined; ask = this.#asks[0]) {
      const part = this.#parts.get(ask.worker) as Part;
      if (this.#free >= 1) this.#grant(ask.worker, part, ask.wants);
      else if (this.#mayGetSome(ask.worker, nowMs)) return;
      else this.#refuse(ask.worker, part);
      this.#asks.shift();
    }
    if (this.#free < 1) return;
    for (const [worker, part] of this.#parts) {
      if (!part.believesNone) continue;
      part.believesNone = false;
      this.#tell(worker, { says: "room" });
    }
  }

  get #free(): number {
    return this.#terms.most - this.#taken;
  }

  /** Gives what the worker wants and a part of the rest, which gets smaller as fewer are left. */
  #grant(worker: Worker, part: Part, wants: number): void {
    const free = Math.floor(this.#free + EPSILON);
    const keep = Math.max(0, Math.floor((free - wants) / (2 * this.#workers)));
    const count = Math.min(free, wants + keep);
    part.out += count;
    this.#taken += count;
    part.isDrained = false;
    part.hasNew = true;
    part.believesNone = false;
    this.#tell(worker, { says: "granted", count, keep });
  }

  #refuse(worker: Worker, part: Part): void {
    const { perSecond } = this.#terms;
    part.isDrained = true;
    if (perSecond > 0) {
      const forMs = Math.ceil((1 - this.#free) / perSecond * 1000);
      this.#tell(worker, { says: "none", forMs });
    } else {
      part.believesNone = true;
      this.#tell(worker, { says: "none" });
    }
  }

  /** True if another worker may have an unused permit. Recalls those of workers that weren't asked yet. */
  #mayGetSome(asker: Worker, nowMs: number): boolean {
    let mayGetSome = false;
    for (const [worker, part] of this.#parts) {
      if (worker === asker || part.out < EPSILON || part.isDrained) continue;
      if (part.recalledMs === undefined) this.#recall(worker, part, nowMs);
      // A worker that doesn't answer in time hangs. Count it as one that uses all it has.
      if (nowMs - (part.recalledMs ?? nowMs) < ANSWER_DEADLINE_MS) mayGetSome = true;
    }
    return mayGetSome;
  }

  #recall(worker: Worker, part: Part, nowMs: number): void {
    part.recalledMs = nowMs;
    part.hasNew = false;
    this.#tell(worker, { says: "recall" });
  }

  /** Brings back spent permits at the rate of the terms. */
  #fill(nowMs: number): void {
    const { perSecond } = this.#terms;
    if (perSecond > 0) {
      let out = 0;
      for (const part of this.#parts.values()) out += part.out;
      const come = (nowMs - this.#filledMs) / 1000 * perSecond;
      this.#taken = Math.max(out, this.#taken - come);
    }
    this.#filledMs = nowMs;
  }
}

function newPart(out: number): Part {
  return { out, recalledMs: undefined, hasNew: false, isDrained: false, believesNone: false };
}
