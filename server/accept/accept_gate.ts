import { KEPT_FOR_REFUSALS, linkDescriptorsFor, OWN_DESCRIPTORS } from "../../host/capacity.ts";
import { allOfProcessTaken, allTaken, type Shortage } from "../access/admission.ts";
import type { HeldConnections } from "../lending/held_connections.ts";
import { MAX_REFUSALS } from "../limits/clients.ts";
import type { Rejections } from "./rejections.ts";
import { type Displacement, MAX_YIELDING } from "../shares/displacement.ts";

/**
 * Milliseconds for which refused connections may still send their first bytes when their descriptors are
 * wanted and accepting can wait. The first ones of a crowd get the longest time. Those behind them have
 * sent their bytes into the kernel's queue meanwhile, so each group gets half of the time before, down to
 * the shortest: with 32 at a time these are 2,000 a second.
 */
const LONGEST_PATIENCE_MS = 250;
const SHORTEST_PATIENCE_MS = 16;

/** After so many milliseconds with enough descriptors, the next connections are a new crowd. */
const CROWD_GAP_MS = 1_000;

/** The parts of the server that the gate counts and frees. */
export interface AcceptGateHost {
  readonly sessions: { readonly size: number };
  /** Connections that wait until the other processes have said whether there is room. */
  readonly held: HeldConnections | undefined;
  readonly rejections: Rejections;
  readonly displacement: Pick<Displacement, "yieldingCount">;
  /** The number of processes that serve, this one included; each has, or will have, links to all others. */
  readonly processes: number;
  /** The number of connections that this process should be able to hold. */
  readonly maxConnections: number;
  /** The descriptors that this process may have; `undefined` if that isn't known. */
  readonly descriptorLimit: number | undefined;
  /** Resolves with true if the process can open so many more descriptors. */
  seesDescriptors(count: number): Promise<boolean>;
}

/**
 * Keeps a descriptor free for each new connection, if only to tell it that there is no room. If accepting
 * can wait, new connections stay in the kernel's queue until some refused ones have gone. If it can't, the
 * oldest refused ones are closed at once.
 */
export class AcceptGate {
  readonly #host: AcceptGateHost;
  /**
   * The number of connections when descriptors ran out too early. It holds until as many descriptors are
   * free as are kept for refusals, and one for a connection.
   */
  #shortage = Infinity;
  #isLooking = false;
  #patienceMs = LONGEST_PATIENCE_MS;
  #openedMs = -Infinity;
  /** Resolves when there is room; only while a listener waits for that. */
  #opening: Promise<void> | undefined;

  constructor(host: AcceptGateHost) {
    this.#host = host;
  }

  /** The reason why descriptors are too short for a new connection; `undefined` if they aren't. */
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
    if (this.#missing < 0) return undefined;
    // Several listeners may wait.
    return this.#opening ??= this.#untilRoom().finally(() => this.#opening = undefined);
  }

  /** Makes room for the next connection if accepting didn't wait. To be called after each accept. */
  accepted(): void {
    if (this.#missing > 0) this.#host.rejections.makeRoom(this.#missing);
  }

  /** To be called when an accept has failed because no descriptor was free. */
  ranOut(): void {
    this.#shortage = Math.min(this.#shortage, this.#connections);
  }

  /** Frees the descriptor of a refused connection, because a link to another process lacks one. */
  makeWay(): void {
    this.#host.rejections.makeRoom(1);
  }

  /** Checks whether descriptors that had run out are free again. To be called about once a sweep. */
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

  /** The number of descriptors that are missing; 0 if the next connection would have none. */
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

  /** The number of connections that descriptors allow. */
  get #capacity(): number {
    const { descriptorLimit, maxConnections, processes } = this.#host;
    const most = descriptorLimit === undefined
      ? maxConnections + KEPT_FOR_REFUSALS
      : descriptorLimit - OWN_DESCRIPTORS - linkDescriptorsFor(processes);
    return Math.min(this.#shortage, Math.max(most, 1));
  }
}
