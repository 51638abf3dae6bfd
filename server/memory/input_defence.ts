import type { Runtime } from "../../runtime/types.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import { SLOW_FRAME } from "./budget_defence.ts";
import { siteOf } from "../access/ip_address.ts";
import { CRITICAL_FRAME_MS, STALL_MS } from "../limits.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { Session } from "../session/session.ts";
import type { HeldBackSession, InputGuard } from "../session/session_context.ts";
import type { SessionTable } from "../session/session_table.ts";

/** Connections that are read again in a turn of the loop, once there is room for what they send. */
const LET_GO_PER_TURN = 256;

/** Frames that are given up in a turn: each takes a write, and ends its connection. */
const GIVEN_UP_PER_TURN = 32;

/** What clients of one address hold by large frames that aren't complete, the oldest of them last. */
interface Holding {
  bytes: number;
  readonly sessions: Session[];
}

/** What the defence needs to know of the server. */
export interface InputDefenceHost {
  readonly runtime: Runtime;
  readonly sessions: SessionTable<Session>;
  readonly budget: MemoryBudget;
  readonly clock: CoarseClock;
  /** Whether the process's memory is short, so that those who send much aren't to be read. */
  readonly isMemoryShort: () => boolean;
}

/**
 * Bounds what clients make the server hold by what they send: frames that aren't complete, and bytes
 * that wait for their turn. Frames that take long give way first; where too much arrives at once,
 * those who hold nothing yet aren't read until there is room again. Bytes that wait free their memory
 * by being read, and frames by being completed or given up, so neither waits for the other.
 */
export class InputDefence implements InputGuard {
  readonly #host: InputDefenceHost;
  /** Sessions that aren't read for want of memory. */
  #heldBack: HeldBackSession[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isLettingGo = false;
  /** Sessions of those whose connections hold bytes, and are to be read. */
  #holders: HeldBackSession[] = [];
  /** Sessions whose frames are given up as long as that is needed, the first to go last. */
  #doomed: Session[] = [];
  #isNeeded: () => boolean = () => false;
  #isGivingUp = false;
  #criticalSinceMs = 0;

  constructor(host: InputDefenceHost) {
    this.#host = host;
  }

  /** Too much is held: reads nothing more of those who hold nothing. May be called at any moment. */
  onCritical(): void {
    this.#criticalSinceMs = this.#host.clock.nowMs;
    this.holdAll();
    this.#timer ??= setTimeout(() => this.#relieve(), CRITICAL_FRAME_MS);
  }

  /** Whether those who hold nothing yet aren't to be read just now. */
  get isHolding(): boolean {
    return this.#host.budget.isInputCritical || this.#host.isMemoryShort();
  }

  /** Reads nothing more of those who hold nothing, until there's room again. */
  holdAll(): void {
    const { sessions } = this.#host;
    for (let slot = sessions.size - 1; slot >= 0; slot--) {
      const session = sessions.at(slot);
      if (session !== undefined) this.holdBack(session);
    }
  }

  /** There is room again: reads on what was held back. May be called at any moment. */
  onRelaxed(): void {
    this.#letGoSome();
  }

  /** Reads nothing more of a client while too much is held. */
  holdBack(session: HeldBackSession): void {
    if (session.holdBack()) this.#heldBack.push(session);
  }

  /**
   * Reads on a client that was held back, and whose connection holds bytes that arrived meanwhile: an
   * abort isn't deferred by a pause. May be called at any moment.
   */
  readOn(session: HeldBackSession): void {
    this.#holders.push(session);
    if (this.#holders.length === 1) this.#host.runtime.nextTurn(() => this.#readOnHolders());
  }

  /** Gives up frames that take long where they hold much. To be called about once a sweep. */
  sweep(): void {
    const { budget, clock } = this.#host;
    if (budget.isInputCritical && clock.nowMs - this.#criticalSinceMs >= CRITICAL_FRAME_MS) {
      this.#relieve();
    }
    if (budget.isUnfinishedTight) {
      this.#giveUpFrames((session) => session.hasHeldPartialFrameFor(STALL_MS));
    } else if (budget.unfinishedBytes > budget.unfinishedBytesPerSite) this.#capSite();
  }

  /** Ends what it does by the clock. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #relieve(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { budget } = this.#host;
    if (budget.isUnfinishedTight) this.#giveUpFrames(() => true);
    if (budget.isInputCritical) {
      this.#timer = setTimeout(() => this.#relieve(), CRITICAL_FRAME_MS);
    }
  }

  /** What the clients of each address hold, the one that holds most last. */
  #holdings(): Holding[] {
    const { sessions } = this.#host;
    const holdings = new Map<string, Holding>();
    for (let slot = sessions.size - 1; slot >= 0; slot--) {
      const session = sessions.at(slot);
      if (session === undefined || !session.isHeard || !session.holdsLargeFrame) continue;
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

  /** Gives up frames until there is room: of the address that holds most first, the oldest first. */
  #giveUpFrames(isDoomed: (session: Session) => boolean): void {
    const doomed = this.#holdings().flatMap(({ sessions }) => sessions.filter(isDoomed));
    this.#giveUp(doomed, () => this.#host.budget.isUnfinishedTight);
  }

  /**
   * Takes an address that holds more than its share down to that, if others hold some: what is left for
   * them mustn't be what it leaves.
   */
  #capSite(): void {
    const { unfinishedBytesPerSite } = this.#host.budget;
    const holdings = this.#holdings();
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
    this.#giveUp(doomed, () => true);
  }

  /**
   * Gives up frames, some a turn.
   *
   * @param doomed Whose; the first to go is the last.
   * @param isNeeded Asked before each.
   */
  #giveUp(doomed: Session[], isNeeded: () => boolean): void {
    this.#doomed = doomed;
    this.#isNeeded = isNeeded;
    this.#giveUpDoomed();
  }

  #giveUpDoomed(): void {
    if (this.#isGivingUp) return;
    this.#isGivingUp = true;
    this.#host.runtime.nextTurn(() => {
      this.#isGivingUp = false;
      for (let count = 0; count < GIVEN_UP_PER_TURN;) {
        const session = this.#isNeeded() ? this.#doomed.pop() : undefined;
        if (session === undefined) {
          this.#doomed = [];
          return;
        }
        if (!session.isHeard || !session.holdsLargeFrame) continue;
        session.giveUpInput(SLOW_FRAME);
        count++;
      }
      this.#giveUpDoomed();
    });
  }

  #readOnHolders(): void {
    for (const session of this.#holders.splice(0, LET_GO_PER_TURN)) session.letGo();
    if (this.#holders.length > 0) this.#host.runtime.nextTurn(() => this.#readOnHolders());
  }

  #letGoSome(): void {
    if (this.#isLettingGo || this.#heldBack.length === 0) return;
    this.#isLettingGo = true;
    this.#host.runtime.nextTurn(() => {
      this.#isLettingGo = false;
      if (this.isHolding) return;
      for (const session of this.#heldBack.splice(0, LET_GO_PER_TURN)) session.letGo();
      this.#letGoSome();
    });
  }
}
