import type { Runtime } from "../../runtime/types.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { SLOW_FRAME } from "./budget_defence.ts";
import { siteOf } from "../access/ip_address.ts";
import { STALL_MS } from "../limits/clients.ts";
import { CRITICAL_FRAME_MS } from "../limits/memory.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { Session } from "../session/session.ts";
import type { HeldBackSession, InputGuard } from "../session/session_context.ts";
import type { SessionTable } from "../session/session_table.ts";

/** Connections that one turn resumes once there is room for what they send. */
const LET_GO_PER_TURN = 256;

/** Frames that one turn gives up: each takes a write, and ends its connection. */
const GIVEN_UP_PER_TURN = 32;

/** The memory in large partial frames of one address's clients. */
interface Holding {
  bytes: number;
  /** The session with the oldest frame is the last. */
  readonly sessions: Session[];
}

/** The parts of the server that the defence uses. */
export interface InputDefenceHost {
  readonly runtime: Runtime;
  readonly sessions: SessionTable<Session>;
  readonly budget: MemoryBudget;
  readonly clock: CoarseClock;
  /** True if the process's memory is so short that clients which send much must not be read. */
  readonly isMemoryShort: () => boolean;
}

/**
 * Bounds the memory that clients use by sending: partial frames, and bytes that wait for their turn. Frames
 * that take long are given up first. If too much arrives at once, clients that hold nothing yet aren't read
 * until there is room again. Waiting bytes free their memory by being read, and frames by being completed
 * or given up, so neither waits for the other.
 */
export class InputDefence implements InputGuard {
  readonly #host: InputDefenceHost;
  /** Sessions that aren't read because memory is short, and since when on the coarse clock. */
  #heldBack: HeldBackSession[] = [];
  readonly #heldSinceMs = new Map<HeldBackSession, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isLettingGo = false;
  /** Sessions to resume because their connections hold bytes. */
  #holders: HeldBackSession[] = [];
  /** Sessions whose frames are given up if that is due; the first to go is the last in the array. */
  #doomed: Session[] = [];
  #isDue: (session: Session) => boolean = () => false;
  #isGivingUp = false;
  #criticalSinceMs = 0;

  constructor(host: InputDefenceHost) {
    this.#host = host;
  }

  /** To be called when too much is held: stops reading clients that hold nothing. Safe at any moment. */
  onCritical(): void {
    this.#criticalSinceMs = this.#host.clock.nowMs;
    this.holdAll();
    this.#timer ??= setTimeout(() => this.#relieve(), CRITICAL_FRAME_MS);
  }

  /** True while clients that hold nothing yet must not be read. */
  get isHolding(): boolean {
    return this.#host.budget.isInputCritical || this.#host.isMemoryShort();
  }

  /** Stops reading all clients that hold nothing, until there is room again. */
  holdAll(): void {
    const { sessions } = this.#host;
    for (let slot = sessions.size - 1; slot >= 0; slot--) {
      const session = sessions.at(slot);
      if (session !== undefined) this.holdBack(session);
    }
  }

  /** To be called when there is room again: resumes clients that were held back. Safe at any moment. */
  onRelaxed(): void {
    this.#letGoSome();
  }

  /** Stops reading a client while too much is held. */
  holdBack(session: HeldBackSession): void {
    if (!session.holdBack()) return;
    this.#heldBack.push(session);
    this.#heldSinceMs.set(session, this.#host.clock.nowMs);
  }

  #letGo(session: HeldBackSession): void {
    const sinceMs = this.#heldSinceMs.get(session);
    this.#heldSinceMs.delete(session);
    // It may have gone on already, since its connection held bytes.
    if (sinceMs !== undefined) session.letGo(sinceMs);
  }

  /**
   * Resumes a client that was held back and whose connection holds bytes that arrived meanwhile, since a
   * pause doesn't defer an abort. Safe at any moment.
   */
  readOn(session: HeldBackSession): void {
    this.#holders.push(session);
    if (this.#holders.length === 1) this.#host.runtime.nextTurn(() => this.#readOnHolders());
  }

  /** Gives up frames that take long, if they hold much. To be called about once a sweep. */
  sweep(): void {
    const { budget, clock } = this.#host;
    if (budget.isInputCritical && clock.nowMs - this.#criticalSinceMs >= CRITICAL_FRAME_MS) {
      this.#relieve();
    }
    if (budget.isUnfinishedTight) {
      this.#giveUpFrames((session) => session.hasHeldPartialFrameFor(STALL_MS));
    } else if (budget.unfinishedBytes > budget.unfinishedBytesPerSite) this.#capSite();
  }

  /** Stops the timer. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #relieve(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { budget } = this.#host;
    if (budget.areFramesCritical) this.#giveUpAllFrames();
    else if (budget.isUnfinishedTight) this.#giveUpFrames(() => true);
    if (budget.isInputCritical) {
      this.#timer = setTimeout(() => this.#relieve(), CRITICAL_FRAME_MS);
    }
  }

  /** The holdings of all addresses, the largest last, of sessions with a frame of that size. */
  #holdings(holds: (session: Session) => boolean): Holding[] {
    const { sessions } = this.#host;
    const holdings = new Map<string, Holding>();
    for (let slot = sessions.size - 1; slot >= 0; slot--) {
      const session = sessions.at(slot);
      if (session === undefined || !session.isHeard || !holds(session)) continue;
      const site = siteOf(session.remoteAddress);
      let holding = holdings.get(site);
      if (holding === undefined) holdings.set(site, holding = { bytes: 0, sessions: [] });
      holding.bytes += session.unfinishedInputBytes;
      holding.sessions.push(session);
    }
    for (const { sessions } of holdings.values()) {
      sessions.sort((a, b) => b.unfinishedSinceMs - a.unfinishedSinceMs);
    }
    return [...holdings.values()].sort((a, b) => a.bytes - b.bytes);
  }

  /** Gives up large frames until there is room: the oldest frame of the address that holds most goes first. */
  #giveUpFrames(isDoomed: (session: Session) => boolean): void {
    const { budget } = this.#host;
    const large = sessionsOf(this.#holdings(holdsLargeFrame));
    this.#giveUp(large.filter(isDoomed), (one) => one.holdsLargeFrame && budget.isUnfinishedTight);
  }

  /**
   * Gives up large frames first, and then small ones: else no other client might be read for as long as they
   * take. A client that has published or is subscribed may be in the middle of one because it isn't read: if
   * only such ones are left, they are read, and have a second to complete it.
   */
  #giveUpAllFrames(): void {
    const { budget } = this.#host;
    const large = sessionsOf(this.#holdings(holdsLargeFrame));
    const small = sessionsOf(this.#holdings((one) =>
      one.holdsFrame && !one.holdsLargeFrame &&
      (!one.isKnown || one.hasHeldPartialFrameFor(STALL_MS))
    ));
    if (small.length === 0) this.#letGoHolders();
    this.#giveUp(
      [...small, ...large],
      (one) =>
        one.holdsLargeFrame ? budget.isUnfinishedTight : one.holdsFrame && budget.areFramesCritical,
    );
  }

  #letGoHolders(): void {
    const holders = this.#heldBack.filter((one) => one.holdsFrame).slice(0, LET_GO_PER_TURN);
    if (holders.length === 0) return;
    const released = new Set(holders);
    this.#heldBack = this.#heldBack.filter((one) => !released.has(one));
    for (const one of holders) this.#letGo(one);
  }

  /**
   * Takes an address that holds more than its share down to that share, if others hold some too:
   * otherwise they would get only what it leaves.
   */
  #capSite(): void {
    const { unfinishedBytesPerSite } = this.#host.budget;
    const holdings = this.#holdings(holdsLargeFrame);
    const largest = holdings.at(-1);
    if (holdings.length < 2 || largest === undefined) return;
    let excess = largest.bytes - unfinishedBytesPerSite;
    const doomed: Session[] = [];
    for (const session of largest.sessions.reverse()) {
      if (excess <= 0) break;
      if (!session.hasHeldPartialFrameFor(STALL_MS)) continue;
      doomed.unshift(session);
      excess -= session.unfinishedInputBytes;
    }
    this.#giveUp(doomed, holdsLargeFrame);
  }

  /**
   * Gives up frames, some in each turn.
   *
   * @param doomed The sessions whose frames they are; the first to go is the last in the array.
   * @param isDue Asked before each frame: false if it has been completed meanwhile, or there is room.
   */
  #giveUp(doomed: Session[], isDue: (session: Session) => boolean): void {
    if (doomed.length === 0) return;
    this.#doomed = doomed;
    this.#isDue = isDue;
    this.#giveUpDoomed();
  }

  #giveUpDoomed(): void {
    if (this.#isGivingUp) return;
    this.#isGivingUp = true;
    this.#host.runtime.nextTurn(() => {
      this.#isGivingUp = false;
      for (let count = 0; count < GIVEN_UP_PER_TURN;) {
        const session = this.#doomed.pop();
        if (session === undefined) return;
        if (!session.isHeard || !this.#isDue(session)) continue;
        session.giveUpInput(SLOW_FRAME);
        count++;
      }
      this.#giveUpDoomed();
    });
  }

  #readOnHolders(): void {
    for (const session of this.#holders.splice(0, LET_GO_PER_TURN)) this.#letGo(session);
    if (this.#holders.length > 0) this.#host.runtime.nextTurn(() => this.#readOnHolders());
  }

  #letGoSome(): void {
    if (this.#isLettingGo || this.#heldBack.length === 0) return;
    this.#isLettingGo = true;
    this.#host.runtime.nextTurn(() => {
      this.#isLettingGo = false;
      if (this.isHolding) return;
      for (const session of this.#heldBack.splice(0, LET_GO_PER_TURN)) this.#letGo(session);
      this.#letGoSome();
    });
  }
}

function holdsLargeFrame(session: Session): boolean {
  return session.holdsLargeFrame;
}

/** The sessions of all holdings, the first to give up its frame last. */
function sessionsOf(holdings: readonly Holding[]): Session[] {
  return holdings.flatMap(({ sessions }) => sessions);
}
