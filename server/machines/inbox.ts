import type { WaitingPlace } from "../flow/gate.ts";
import type { Origin, Origins } from "../history/origins.ts";
import type { History } from "../history/history.ts";
import {
  type BatchContent,
  FrameFault,
  type Hole,
  type StatedOrigin,
  type Wanted,
} from "./wire/frames.ts";
import { type HoleReason, IncomingStream, type StreamEvents } from "./incoming_stream.ts";
import {
  MAX_AHEAD_MS,
  MAX_HELD_BYTES,
  MAX_REMOTE_ORIGINS,
  MEMBER_DEATH_MS,
  MEMBER_SILENCE_MS,
  REFILL_BYTES,
} from "./wire/limits.ts";
import { SWEEP_INTERVAL_MS } from "../limits/clients.ts";
import { MAX_BATCH_BYTES } from "../limits/messages.ts";
import { ProcessOwners } from "./process_owners.ts";
import type { MessageReader, RemoteMessage } from "./wire/messages.ts";

/** Counts of what has come from other machines, and of what is missing. */
export interface InboxCounts {
  /** Batches that were here already. */
  duplicates: number;
  /** How often messages came behind a gap. */
  gaps: number;
  /** Requests for missing messages. */
  refills: number;
  /** How often missing messages couldn't be had any more. */
  holes: number;
  /** Frames that weren't valid, or not their sender's. */
  rejected: number;
}

/** What is or was missing of one machine, as {@linkcode InboxCounts} counts it of all. */
export type MachineCounts = Pick<InboxCounts, "gaps" | "refills" | "holes">;

const NOTHING_MISSED: MachineCounts = { gaps: 0, refills: 0, holes: 0 };

/** Messages that can't be had any more: those behind a timestamp, up to another one. */
export interface DeclaredHole {
  readonly after: number;
  readonly to: number;
  readonly why: HoleReason;
}

/** The parts of a process that an inbox uses. */
export interface InboxHost {
  readonly origins: Origins;
  readonly history: History;
  readonly counts: InboxCounts;
  readonly reader: MessageReader;
  /** The place where messages wait that may not be delivered now; `undefined` if they may. */
  readonly gate: () => WaitingPlace | undefined;
  /** True while what other machines are asked for would come soon, as far as this one can tell. */
  readonly isPrompt: () => boolean;
  /** The system's clock, in microseconds since the Unix epoch. */
  readonly nowMicros: () => number;
  deliver(origin: Origin, message: RemoteMessage): void;
  /** Asks a machine for messages of one of its processes. */
  ask(machine: string, wanted: Wanted): void;
  /** Messages of an origin can't be had any more, which clients must be told. */
  onHole(origin: Origin, machine: string, hole: DeclaredHole): void;
}

/** Bytes that a batch takes beside its messages, about. */
const BATCH_OVERHEAD_BYTES = 500;

/** The messages of all processes of other machines, each once and in their process's order. */
export class Inbox {
  readonly #host: InboxHost;
  readonly #streams = new Map<string, IncomingStream>();
  /** Processes of other machines that no machine has claimed, and when they count as crashed unless one does. */
  readonly #orphans = new Map<Origin, number>();
  readonly #owners = new ProcessOwners();
  /** Of each machine that has processes. */
  readonly #counts = new Map<string, MachineCounts>();
  #heldBytes = 0;
  /** See `StreamEvents`. */
  #patienceMs = 0;
  #sweptMs = 0;
  /** Where it waits until it may deliver. */
  #gate: WaitingPlace | undefined;
  /**
   * Of a process that appears, what it has published behind this timestamp is for clients of this one. At first
   * nothing is, since there are none.
   */
  #fromMicros = Infinity;
  /** True once the processes that a copied history names are known to live, or looked for. */
  hasAdopted = false;

  constructor(host: InboxHost) {
    this.#host = host;
  }

  /** Bytes that wait behind gaps, or for memory. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** True if no process of another machine has messages that are known of and missing here. */
  get isCaughtUp(): boolean {
    for (const stream of this.#streams.values()) if (stream.lagMicros > 0) return false;
    return true;
  }

  /** What is or was missing of a machine. */
  countsOf(machine: string): MachineCounts {
    return this.#counts.get(machine) ?? NOTHING_MISSED;
  }

  /** Forgets what was missing of a machine, which isn't a member any more. */
  forget(machine: string): void {
    this.#counts.delete(machine);
  }

  /** Microseconds by which a machine's last known message is ahead of what was delivered. */
  lagMicrosOf(machine: string): number {
    let lag = 0;
    for (const stream of this.#streams.values()) {
      if (stream.machine === machine) lag = Math.max(lag, stream.lagMicros);
    }
    return lag;
  }

  /**
   * Goes on where a copied history ends. Processes of other machines that it names, and that no machine says to
   * be its own, have crashed.
   */
  adopt(nowMs: number): void {
    for (const origin of this.#host.origins.all()) {
      if (!origin.isRemote || origin.end !== undefined || this.#streams.has(origin.name)) continue;
      // The others know how long it has been silent. If it lives, it says so within a second.
      const heardMs = origin.heardMs ?? nowMs;
      const giveUpMs = Math.max(heardMs + MEMBER_DEATH_MS, nowMs + MEMBER_SILENCE_MS);
      this.#orphans.set(origin, giveUpMs);
    }
    this.hasAdopted = true;
  }

  /**
   * Begins to take messages for clients.
   *
   * @param fromMicros The timestamp behind which messages of processes that aren't known yet are for them: all, where
   * the history is whole, since such a process has published nothing before it appears.
   */
  begin(fromMicros: number): void {
    this.#fromMicros = fromMicros;
  }

  /** True if this process has asked for these messages a moment ago, perhaps with others around them. */
  isAskedFor(wanted: Wanted, nowMs: number): boolean {
    return this.#streams.get(wanted.origin)?.isAskedFor(wanted.gaps, nowMs) ?? false;
  }

  /** Notes that a process is part of this machine: no other one may say when it ended. */
  claim(origin: string, machine: string): void {
    this.#owners.note(origin, machine);
  }

  /** The machine that a process is part of, if that is known. */
  machineOf(origin: string): string | undefined {
    return this.#streams.get(origin)?.machine ?? this.#owners.machineOf(origin);
  }

  /**
   * Takes a batch; its bytes may be used again afterwards.
   *
   * @param isChecked True if another process of this machine has checked its messages.
   * @returns False if it hasn't checked all its messages: some are here already, or there is no room for them.
   * @throws {FrameFault} if it isn't valid, or not its sender's.
   */
  takeBatch(
    machine: string,
    { origin, base, previous, messages }: BatchContent,
    nowMs: number,
    isChecked: boolean,
  ): boolean {
    const { reader, nowMicros, counts } = this.#host;
    const stream = this.#streamOf(machine, origin, base, previous);
    if (stream === undefined) return false;
    const byteLength = messages.length + BATCH_OVERHEAD_BYTES;
    const isInTurn = previous <= stream.origin.micros && this.#mayDeliver();
    // A process that is behind must not spend its time on what it drops: it would never catch up.
    if (!isInTurn && this.#heldBytes + byteLength > MAX_HELD_BYTES) {
      stream.noteDropped(nowMs);
      return false;
    }
    const maxMicros = nowMicros() + MAX_AHEAD_MS * 1000;
    const after = stream.origin.micros;
    const read = reader.read(messages, previous, { maxMicros, after, isChecked });
    if (read.length === 0) {
      counts.duplicates++;
      return false;
    }
    const isWhole = previous >= after;
    // A batch that comes in its turn isn't kept, so it isn't copied either.
    const kept = isInTurn ? read : read.map((one) => ({ ...one, message: one.message.slice() }));
    stream.take({ previous, messages: kept, byteLength }, nowMs);
    return isWhole;
  }

  /**
   * A machine says how far its processes are.
   *
   * @throws {FrameFault} if it names another machine's, or too many.
   */
  takeState(machine: string, stated: readonly StatedOrigin[], nowMs: number): void {
    const { origins, nowMicros } = this.#host;
    const maxMicros = nowMicros() + MAX_AHEAD_MS * 1000;
    for (const { name, base, last, end, endMicros } of stated) {
      const known = origins.find(name);
      if (end !== undefined && known?.end !== undefined) {
        // A process of its machine may have told clients of a later end than was said first.
        if (known.end === "ended") {
          this.#owners.demand(name, machine);
          origins.close(known, end, Math.min(endMicros ?? last, maxMicros));
        }
        continue;
      }
      if (end !== undefined && known === undefined) {
        // It has ended before it was heard of. It may have published meanwhile.
        const isNew = this.#beginOf(base, last) < last &&
          (endMicros ?? last) > origins.forgottenMicros;
        if (!isNew) continue;
      }
      const stream = this.#streamOf(machine, name, base, last);
      if (stream === undefined) continue;
      stream.origin.heardMs = nowMs;
      stream.state(last, nowMs);
      if (end !== undefined) stream.end(end, Math.max(endMicros ?? last, last), nowMs);
    }
  }

  /** A machine doesn't keep messages any more that this one lacks. */
  takeHole(machine: string, { origin, to }: Hole, nowMs: number): void {
    const stream = this.#streams.get(origin);
    if (stream === undefined) return;
    if (stream.machine !== machine) throw new FrameFault("a hole in another machine's messages");
    stream.skip(to, nowMs);
  }

  /** A machine has been silent for so long that it counts as dead: its processes have crashed. */
  closeMachine(machine: string): void {
    for (const stream of [...this.#streams.values()]) {
      if (stream.machine === machine) stream.abandon(this.#sweptMs);
    }
  }

  /** Delivers what may be delivered, and acts on deadlines. To be called about once a sweep. */
  sweep(nowMs: number): void {
    const passedMs = Math.min(nowMs - this.#sweptMs, 2 * SWEEP_INTERVAL_MS);
    this.#sweptMs = nowMs;
    if (this.#host.isPrompt() && this.#mayDeliver()) this.#patienceMs += passedMs;
    for (const stream of [...this.#streams.values()]) stream.sweep(nowMs);
    for (const [origin, giveUpMs] of this.#orphans) {
      if (nowMs < giveUpMs) continue;
      this.#orphans.delete(origin);
      this.#end(origin, "crashed", origin.micros + 1);
    }
  }

  /** Delivers what waits, since its gate has opened. */
  resume(): void {
    this.#gate = undefined;
    for (const stream of [...this.#streams.values()]) stream.release(this.#sweptMs);
  }

  /** Frees what waits. */
  discard(): void {
    this.#gate?.leave(this);
    for (const stream of this.#streams.values()) stream.discard();
  }

  /** True if messages may be delivered now; otherwise it goes on as soon as they may. */
  #mayDeliver(): boolean {
    const gate = this.#host.gate();
    if (gate === undefined) return true;
    if (this.#gate === undefined) {
      this.#gate = gate;
      gate.wait(this);
    }
    return false;
  }

  /**
   * The stream of a machine's process, which begins if it isn't known.
   *
   * @param last A timestamp of it, in front of which messages are missing if nothing is known of it.
   * @returns `undefined` if it has ended.
   */
  #streamOf(
    machine: string,
    name: string,
    base: number,
    last: number,
  ): IncomingStream | undefined {
    const stream = this.#streams.get(name);
    if (stream !== undefined) {
      if (stream.machine === machine) return stream;
      throw new FrameFault("messages of another machine's process");
    }
    const { origins, history } = this.#host;
    const known = origins.find(name);
    if (known !== undefined && !known.isRemote) {
      if (known.end !== undefined) return undefined;
      throw new FrameFault("messages of this machine's own process");
    }
    if (this.#streams.size >= MAX_REMOTE_ORIGINS) {
      throw new FrameFault(`more than ${MAX_REMOTE_ORIGINS} processes of other machines`);
    }
    if (known?.end !== undefined) return this.#revive(known, machine, last);
    // Without a copy of the history, what was before isn't known here.
    const begin = this.#beginOf(base, last);
    const origin = known ?? origins.learn(name, begin);
    origin.isRemote = true;
    if (known === undefined && begin > base) history.raiseFloor(origin, begin);
    return this.#open(origin, machine);
  }

  /** The timestamp behind which messages of a process that isn't known are missing here. */
  #beginOf(base: number, last: number): number {
    return Math.max(base, Math.min(this.#fromMicros, last));
  }

  /** A process that counted as dead lives: what it has published meanwhile is missing. */
  #revive(origin: Origin, machine: string, last: number): IncomingStream | undefined {
    if (origin.end !== "crashed" || last <= origin.micros) return undefined;
    origin.end = undefined;
    return this.#open(origin, machine);
  }

  #open(origin: Origin, machine: string): IncomingStream {
    this.#orphans.delete(origin);
    if (!this.#counts.has(machine)) this.#counts.set(machine, { ...NOTHING_MISSED });
    const stream = new IncomingStream(origin, machine, this.#eventsFor(origin, machine));
    this.#streams.set(origin.name, stream);
    return stream;
  }

  #eventsFor(origin: Origin, machine: string): StreamEvents {
    const host = this.#host;
    return {
      mayDeliver: () => this.#mayDeliver(),
      patienceMs: () => this.#patienceMs,
      deliver: (origin, message) => host.deliver(origin, message),
      ask: ({ name }, gaps) => {
        this.#count(machine, "refills");
        const maxBytes = this.#shareBytes();
        host.ask(machine, { origin: name, gaps, maxBytes });
        // An answer ends in front of the first batch that doesn't fit.
        return Math.max(maxBytes - MAX_BATCH_BYTES, maxBytes / 2);
      },
      onAnswered: (nowMs) => {
        // The others first: the one that is answered asks next, and would have all the room.
        for (const stream of this.#streams.values()) {
          if (stream.origin !== origin) stream.hurry(nowMs);
        }
      },
      onGap: () => this.#count(machine, "gaps"),
      onHole: (origin, after, to, why) => {
        this.#count(machine, "holes");
        origin.holeMicros = to;
        host.onHole(origin, machine, { after, to, why });
      },
      onForged: () => host.counts.rejected++,
      holdBytes: (bytes) => {
        if (bytes > 0 && this.#heldBytes + bytes > MAX_HELD_BYTES) return false;
        this.#heldBytes += bytes;
        return true;
      },
      onEnded: (origin, end, micros) => this.#end(origin, end, micros),
    };
  }

  /** The bytes that one answer should have: all go the same way to this process, where what doesn't fit is dropped. */
  #shareBytes(): number {
    let behind = 0;
    for (const stream of this.#streams.values()) if (stream.isBehind) behind++;
    return Math.ceil(REFILL_BYTES / Math.max(behind, 1));
  }

  #count(machine: string, what: keyof MachineCounts): void {
    this.#host.counts[what]++;
    const counts = this.#counts.get(machine);
    if (counts !== undefined) counts[what]++;
  }

  #end(origin: Origin, end: "ended" | "crashed", micros: number): void {
    const stream = this.#streams.get(origin.name);
    if (stream !== undefined) {
      stream.discard();
      this.#streams.delete(origin.name);
      this.#owners.note(origin.name, stream.machine);
    }
    this.#host.origins.close(origin, end, micros);
  }
}
