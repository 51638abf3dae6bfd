import {
  type Admission,
  allOfAddressTaken,
  allOfProcessTaken,
  allTaken,
  type Attempt,
  type Refusal,
  type Room,
  type Shortage,
  tooFast,
} from "../access/admission.ts";
import { siteOf } from "../access/ip_address.ts";
import { type Limits } from "../limits.ts";
import { MAX_RECENT_ADDRESSES, REFUSAL_REPORT_INTERVAL_MS } from "../limits/clients.ts";
import type { Displacement } from "../shares/displacement.ts";
import type { Borrower } from "./borrower.ts";
import { kindOf, type PermitKey } from "./terms.ts";

/**
 * Connections that may wait for the descriptor of one that gives way: a quarter of the descriptors that
 * are kept for connections beyond the maximum.
 */
const MAX_HELD_BEYOND = 8;

/** The part of {@linkcode Displacement} that makes room in a full server. */
export type RoomMaker = Pick<Displacement, "yieldingCount" | "mayMakeRoom" | "makeRoom">;

/** The admission of one of a server's processes, under limits that hold for all of them. */
export class SharedAdmission implements Admission {
  readonly #limits: Limits;
  readonly #maxOwnConnections: number;
  readonly #borrower: Borrower;
  readonly #countOwn: () => number;
  readonly #countHeld: () => number;
  readonly #displacement: RoomMaker;
  /** When a refusal of an address was last reported. */
  readonly #reportedMs = new Map<PermitKey, number>();

  /**
   * @param maxOwnConnections The connections that this process's descriptors allow.
   * @param countOwn Counts this process's connections, including those that wait to be admitted.
   * @param countHeld Counts those that wait.
   */
  constructor(
    limits: Limits,
    maxOwnConnections: number,
    borrower: Borrower,
    countOwn: () => number,
    countHeld: () => number,
    displacement: RoomMaker,
  ) {
    this.#limits = limits;
    this.#maxOwnConnections = maxOwnConnections;
    this.#borrower = borrower;
    this.#countOwn = countOwn;
    this.#countHeld = countHeld;
    this.#displacement = displacement;
  }

  get addressCount(): number {
    return this.#borrower.size;
  }

  admit(address: string, shortage?: Shortage | undefined): Refusal | Attempt | undefined {
    const own = this.#countOwn() - this.#displacement.yieldingCount;
    const isShort = own >= this.#maxOwnConnections;
    const short = shortage ?? (isShort ? this.#ownTaken : undefined);
    if (short !== undefined && this.#countHeld() >= MAX_HELD_BEYOND) return short;
    const isFull = this.#borrower.lease("connections").known === "none";
    const full = short ?? (isFull ? allTaken(this.#limits.maxConnections) : undefined);
    if (full !== undefined && this.#displacement.mayMakeRoom(address, "connections") === "none") {
      return full;
    }
    const attempt = new SharedAttempt(this, address, short);
    const outcome = attempt.retry();
    return outcome === "unsettled" ? attempt : outcome;
  }

  /**
   * The permits that a connection needs, in this order: the narrowest limit first, so that a connection
   * which that refuses takes no place from others.
   */
  needs(address: string): readonly PermitKey[] {
    if (address === "") return ["connections"];
    const site = siteOf(address);
    return [`accepts ${site}`, `address ${site}`, "connections"];
  }

  /**
   * Lets another connection give way to one from that address, its permits included.
   *
   * @param sparesActive True if only a client that does nothing may give way.
   */
  makeRoom(address: string, sparesActive: boolean): Room {
    return this.#displacement.makeRoom(address, this.#limits.maxConnections, sparesActive);
  }

  /** Tries to take a permit. */
  take(key: PermitKey): Room {
    const lease = this.#borrower.lease(key);
    const room = lease.room();
    if (room === "free") lease.take();
    return room;
  }

  /** Gives a permit back, if it is a place. */
  giveBack(key: PermitKey): void {
    if (this.#borrower.isPlace(key)) this.#borrower.giveBack(key);
  }

  /** The refusal of a connection that doesn't get a permit. */
  refusal(key: PermitKey): Refusal {
    const { maxConnections, maxConnectionsPerIp, acceptRate } = this.#limits;
    switch (kindOf(key)) {
      case "accepts":
        return this.#refuseSite(key, tooFast(acceptRate));
      case "address":
        return this.#refuseSite(key, allOfAddressTaken(maxConnectionsPerIp));
      default:
        return allTaken(maxConnections);
    }
  }

  leave(address: string): void {
    for (const key of this.needs(address)) this.giveBack(key);
  }

  roomForKey(address: string): Room {
    return address === "" ? "free" : this.#borrower.lease(`wrongKeys ${siteOf(address)}`).room();
  }

  noteWrongKey(address: string): void {
    if (address !== "") this.#borrower.lease(`wrongKeys ${siteOf(address)}`).take();
  }

  sweep(): void {
    this.#borrower.sweep();
    for (const [key, reportedMs] of this.#reportedMs) {
      if (this.#borrower.nowMs - reportedMs >= REFUSAL_REPORT_INTERVAL_MS) {
        this.#reportedMs.delete(key);
      }
    }
  }

  get #ownTaken(): Shortage {
    return { ...allOfProcessTaken(this.#maxOwnConnections), sparesActive: false };
  }

  #refuseSite(key: PermitKey, detail: string): Refusal {
    const isNews = !this.#reportedMs.has(key) && this.#reportedMs.size < MAX_RECENT_ADDRESSES;
    if (isNews) this.#reportedMs.set(key, this.#borrower.nowMs);
    return { detail, isNews, isOfAddress: true };
  }
}

/** One connection that collects its permits. */
class SharedAttempt implements Attempt {
  readonly #admission: SharedAdmission;
  readonly #address: string;
  readonly #needs: readonly PermitKey[];
  /** The reason why another connection has to give way; `undefined` once one has. */
  #short: Shortage | undefined;
  /** The number of permits that it has. */
  #taken = 0;

  constructor(admission: SharedAdmission, address: string, short: Shortage | undefined) {
    this.#admission = admission;
    this.#address = address;
    this.#needs = admission.needs(address);
    this.#short = short;
  }

  retry(): Refusal | "unsettled" | undefined {
    for (const key of this.#needs.slice(this.#taken)) {
      let room: Room = "free";
      if (key === "connections" && this.#short !== undefined) {
        room = this.#admission.makeRoom(this.#address, this.#short.sparesActive);
        if (room === "none") return this.#refuse(this.#short);
        if (room === "free") this.#short = undefined;
      }
      if (room === "free") room = this.#admission.take(key);
      if (room === "none" && key === "connections") {
        room = this.#admission.makeRoom(this.#address, false);
        if (room === "free") room = this.#admission.take(key);
      }
      if (room === "unsettled") return room;
      if (room === "none") return this.#refuse(this.#admission.refusal(key));
      this.#taken++;
    }
    return undefined;
  }

  abandon(): void {
    for (const key of this.#needs.slice(0, this.#taken)) this.#admission.giveBack(key);
    this.#taken = 0;
  }

  #refuse(refusal: Refusal): Refusal {
    this.abandon();
    return refusal;
  }
}
