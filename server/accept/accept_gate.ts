import { KEPT_FOR_REFUSALS, linkDescriptorsFor, OWN_DESCRIPTORS } from "../../host/capacity.ts";
import { allOfProcessTaken, allTaken, type Shortage } from "../access/admission.ts";
import type { HeldConnections } from "../lending/held_connections.ts";
import { MAX_REFUSALS } from "../limits.ts";
import type { Rejections } from "./rejections.ts";
import { type Displacement, MAX_YIELDING } from "../shares/displacement.ts";

/**
 * Milliseconds for which those who are refused may still say who they are when their descriptors are
 * wanted and accepting can wait. A crowd's first ones get the longest time; those behind them have spoken
 * in the kernel's queue meanwhile, and get half of the time before, down to the shortest: 32 at a time are
 * 2,000 a second then.
 */
const LONGEST_PATIENCE_MS = 250;
const SHORTEST_PATIENCE_MS = 16;

/** Milliseconds without want of descriptors after which those who come are a new crowd. */
const CROWD_GAP_MS = 1_000;

/** What the gate counts, and what it makes room with. */
export interface AcceptGateHost {
  readonly sessions: { readonly size: number };
  /** Those for which it isn't settled yet whether there's room. */
  readonly held: HeldConnections | undefined;
  readonly rejections: Rejections;
  readonly displacement: Pick<Displacement, "yieldingCount">;
  /** How many processes serve, this one among them: each has its links to all others, or is to have them. */
  readonly processes: number;
  /** The connections that the process is to hold. */
  readonly maxConnections: number;
  /** How many descriptors the process may have; `undefined` where that isn't known. */
  readonly descriptorLimit: number | undefined;
  /** Looks whether the process may open so many descriptors more. */
  seesDescriptors(count: number): Promise<boolean>;
}

/**
 * Keeps a descriptor free for each connection that comes, if only to tell it that there's no room. Where
 * accepting can wait, new connections stay in the kernel's queue until some refused ones have gone; where
 * it can't, the oldest refused ones go at once.
 */
export class AcceptGate {
  readonly #host: AcceptGateHost;
  /**
   * How many connections there were when descriptors ran out that should have been there; until as many
   * are seen to be free as are kept for refusals, and one for a connection.
   */
  #shortage = Infinity;
  #isLooking = false;
  #patienceMs = LONGEST_PATIENCE_MS;
  #openedMs = -Infinity;

  constructor(host: AcceptGateHost) {
    this.#host = host;
  }

  /** Why there is no room for a connection that has come, whatever the limits say: descriptors are short. */
  get refusal(): Shortage | undefined {
    const places = Math.max(1, this.#capacity - KEPT_FOR_REFUSALS);
    const { rejections, displacement } = this.#host;
    const leaving = rejections.size + displacement.yieldingCount;
    if (this.#connections - leaving < places) return undefined;
    const refusal = this.#host.processes === 1 ? allTaken(places) : allOfProcessTaken(places);
    return { ...refusal, sparesActive: this.#shortage !== Infinity };
  }

  /** See {@linkcode ListenOptions.beforeAccept}. */
  untilOpen(): Promise<void> | undefined {
    return this.#missing < 0 ? undefined : this.#untilRoom();
  }

  /** Makes room for the next one where accepting didn't wait. To be called when one is accepted. */
  accepted(): void {
    if (this.#missing > 0) this.#host.rejections.makeRoom(this.#missing);
  }

  /** An accept has failed since there are no descriptors. */
  ranOut(): void {
    this.#shortage = Math.min(this.#shortage, this.#connections);
  }

  /** A link to another process lacks a descriptor: one that is being refused gives its. */
  makeWay(): void {
    this.#host.rejections.makeRoom(1);
  }

  /** Looks whether descriptors that had run out are there again. To be called about once a sweep. */
  sweep(): void {
    if (this.#shortage !== Infinity && !this.#isLooking) void this.#look();
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    if (await this.#host.seesDescriptors(KEPT_FOR_REFUSALS + 1)) {
      this.#shortage = Infinity;
      this.#host.rejections.noteProgress();
    }
    this.#isLooking = false;
  }

  async #untilRoom(): Promise<void> {
    const { rejections } = this.#host;
    if (performance.now() - this.#openedMs >= CROWD_GAP_MS) this.#patienceMs = LONGEST_PATIENCE_MS;
    let isPatient = true;
    const timer = setTimeout(() => {
      isPatient = false;
      this.#patienceMs = Math.max(this.#patienceMs / 2, SHORTEST_PATIENCE_MS);
      rejections.noteProgress();
    }, this.#patienceMs);
    while (this.#missing >= 0) {
      const progress = rejections.progress();
      rejections.letGo(isPatient);
      await progress;
    }
    clearTimeout(timer);
    this.#openedMs = performance.now();
  }

  /** How many connections there are more than descriptors for them; 0 where there is none for another. */
  get #missing(): number {
    return Math.max(
      this.#connections - this.#capacity,
      this.#host.rejections.size - MAX_REFUSALS,
      this.#host.displacement.yieldingCount - MAX_YIELDING,
    );
  }

  get #connections(): number {
    const { sessions, held, rejections } = this.#host;
    return sessions.size + (held?.size ?? 0) + rejections.size;
  }

  /** Connections that there are descriptors for. */
  get #capacity(): number {
    const { descriptorLimit, maxConnections, processes } = this.#host;
    const most = descriptorLimit === undefined
      ? maxConnections + KEPT_FOR_REFUSALS
      : descriptorLimit - OWN_DESCRIPTORS - linkDescriptorsFor(processes);
    return Math.min(this.#shortage, Math.max(most, 1));
  }
}
