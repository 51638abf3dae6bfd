import { FrameFault, type MachineState } from "./wire/frames.ts";
import {
  CLOCK_WARNING_MS,
  FRAME_VERSION,
  MAX_MEMBERS,
  MEMBER_DEATH_MS,
  MEMBER_SILENCE_MS,
} from "./wire/limits.ts";

/** Another machine of the cluster. */
export interface Member {
  /** Its name: 16 hexadecimal digits, anew with each start of its server. */
  readonly machine: string;
  readonly state: MachineState;
  /** False once it has been silent for some seconds. */
  readonly isThere: boolean;
}

/** The events of members. */
export interface MemberEvents {
  onJoined(member: Member): void;
  /** It has been silent for some seconds. */
  onSilent(member: Member): void;
  /** It has been heard again. */
  onBack(member: Member): void;
  /** It has said that it stops, or has been silent for so long that it counts as dead. */
  onLeft(member: Member, isClean: boolean): void;
  /** It doesn't agree with this machine. Called once for each member and matter. */
  onDisagreement(member: Member, what: string): void;
}

interface Entry {
  machine: string;
  state: MachineState;
  heardMs: number;
  isThere: boolean;
  readonly told: Set<string>;
}

/** The other machines of the cluster, by what they say of themselves. */
export class Members {
  readonly #own: () => MachineState;
  readonly #events: MemberEvents;
  readonly #entries = new Map<string, Entry>();
  /** Those that have said last that they stop. */
  readonly #left = new Set<string>();
  #sweptMs = 0;

  /** @param own What this machine says of itself. */
  constructor(own: () => MachineState, events: MemberEvents) {
    this.#own = own;
    this.#events = events;
  }

  /** All that are known, the silent ones too. */
  all(): IterableIterator<Member> {
    return this.#entries.values();
  }

  /** Those that have been heard lately. */
  *present(): Generator<Member> {
    for (const entry of this.#entries.values()) if (entry.isThere) yield entry;
  }

  /**
   * A machine says how it is.
   *
   * @throws {FrameFault} if there are too many machines.
   */
  take(machine: string, state: MachineState, nowMs: number): void {
    let entry = this.#entries.get(machine);
    if (entry === undefined) {
      if (this.#entries.size >= MAX_MEMBERS) {
        throw new FrameFault(`more than ${MAX_MEMBERS} other machines`);
      }
      entry = { machine, state, heardMs: nowMs, isThere: true, told: new Set() };
      this.#entries.set(machine, entry);
      this.#events.onJoined(entry);
    }
    entry.state = state;
    this.#hear(entry, nowMs);
    this.#compare(entry);
  }

  /** A known machine has said something else. @returns False if it isn't known. */
  hear(machine: string, nowMs: number): boolean {
    const entry = this.#entries.get(machine);
    if (entry === undefined) return false;
    this.#hear(entry, nowMs);
    return true;
  }

  /** A machine stops. */
  leave(machine: string): void {
    const entry = this.#entries.get(machine);
    if (entry === undefined) return;
    this.#left.add(machine);
    const [first] = this.#left;
    if (this.#left.size > MAX_MEMBERS) this.#left.delete(first!);
    this.#remove(entry, true);
  }

  /** True of a machine that has said that it stops: frames of its other processes may still come. */
  hasLeft(machine: string): boolean {
    return this.#left.has(machine);
  }

  /** Acts on silences. To be called about once a sweep. */
  sweep(nowMs: number): void {
    const passedMs = nowMs - this.#sweptMs;
    this.#sweptMs = nowMs;
    // If this process stood still, frames of the others wait to be read.
    if (passedMs > MEMBER_SILENCE_MS / 4) {
      for (const entry of this.#entries.values()) entry.heardMs = nowMs;
      return;
    }
    for (const entry of [...this.#entries.values()]) {
      const silentMs = nowMs - entry.heardMs;
      if (entry.isThere && silentMs >= MEMBER_SILENCE_MS) {
        entry.isThere = false;
        this.#events.onSilent(entry);
      }
      if (silentMs >= MEMBER_DEATH_MS) this.#remove(entry, false);
    }
  }

  #hear(entry: Entry, nowMs: number): void {
    entry.heardMs = nowMs;
    if (entry.isThere) return;
    entry.isThere = true;
    this.#events.onBack(entry);
  }

  #remove(entry: Entry, isClean: boolean): void {
    this.#entries.delete(entry.machine);
    this.#events.onLeft(entry, isClean);
  }

  #compare(entry: Entry): void {
    const { limits, micros } = this.#own();
    const { state } = entry;
    for (const name of ["maxFrameBytes", "maxTopicBytes"] as const) {
      if (state.limits[name] === limits[name]) continue;
      this.#tell(entry, `its ${name} is ${state.limits[name]}, here it is ${limits[name]}`);
    }
    const [oldest, newest] = state.versions;
    if (FRAME_VERSION < oldest || FRAME_VERSION > newest) {
      this.#tell(
        entry,
        `it understands versions ${oldest} to ${newest} of the frames between machines, this one ` +
          `sends ${FRAME_VERSION}`,
      );
    }
    // A state takes time to come, so the other clock is at least so far ahead. If it seems to be behind, that may be
    // the time that the state took, and the other machine knows better.
    const aheadMs = (state.micros - micros) / 1000;
    if (aheadMs < CLOCK_WARNING_MS || entry.told.has("clock")) return;
    entry.told.add("clock");
    const seconds = (aheadMs / 1000).toFixed(1);
    this.#events.onDisagreement(entry, `its clock is ${seconds} s ahead of this machine's`);
  }

  #tell(entry: Entry, what: string): void {
    if (entry.told.has(what)) return;
    entry.told.add(what);
    this.#events.onDisagreement(entry, what);
  }
}
