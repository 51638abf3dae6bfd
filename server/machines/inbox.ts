import type { Origin, Origins } from "../history/origins.ts";
import type { History } from "../history/history.ts";
import { type BatchContent, FrameFault, type Hole, type StatedOrigin } from "./wire/frames.ts";
import { IncomingStream, type StreamEvents } from "./incoming_stream.ts";
import {
  MAX_AHEAD_MS,
  MAX_HELD_BYTES,
  MAX_REMOTE_ORIGINS,
  MEMBER_DEATH_MS,
} from "./wire/limits.ts";
import type { MessageReader, RemoteMessage } from "./wire/messages.ts";

/** What has come from other machines, and what hasn't. */
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

/** What an inbox uses of its process. */
export interface InboxHost {
  readonly origins: Origins;
  readonly history: History;
  readonly counts: InboxCounts;
  readonly reader: MessageReader;
  /** True if messages may be delivered now. */
  readonly mayDeliver: () => boolean;
  /** True while there is a way to other machines. */
  readonly isConnected: () => boolean;
  /** The system's clock, in microseconds since the Unix epoch. */
  readonly nowMicros: () => number;
  deliver(origin: Origin, message: RemoteMessage): void;
  /** Asks a machine for the messages of an origin behind a timestamp. */
  ask(machine: string, origin: Origin, after: number): void;
  /** Messages of an origin can't be had any more, which clients must be told. */
  onHole(origin: Origin, machine: string, after: number, to: number): void;
}

/** Bytes that a batch takes beside its messages, about. */
const BATCH_OVERHEAD_BYTES = 500;

/** The messages of all processes of other machines, each once and in their process's order. */
export class Inbox {
  readonly #host: InboxHost;
  readonly #streams = new Map<string, IncomingStream>();
  /** Processes of other machines that no machine has claimed, and since when they are known. */
  readonly #orphans = new Map<Origin, number>();
  #heldBytes = 0;
  /**
   * True once it is known from where on everything comes: from then on a process that appears has published
   * nothing before.
   */
  isComplete = false;

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
      this.#orphans.set(origin, nowMs);
    }
    this.isComplete = true;
  }

  /** The machine that a process is part of, if that is known. */
  machineOf(origin: string): string | undefined {
    return this.#streams.get(origin)?.machine;
  }

  /**
   * Takes a batch; its bytes may be used again afterwards.
   *
   * @param isChecked True if another process of this machine has checked its messages.
   * @throws {FrameFault} if it isn't valid, or not its sender's.
   */
  takeBatch(
    machine: string,
    { origin, base, previous, messages }: BatchContent,
    nowMs: number,
    isChecked: boolean,
  ): void {
    const { reader, nowMicros, counts } = this.#host;
    const stream = this.#streamOf(machine, origin, base, previous);
    if (stream === undefined) return;
    const maxMicros = nowMicros() + MAX_AHEAD_MS * 1000;
    const read = reader.read(messages, previous, maxMicros, isChecked);
    // A batch that comes in its turn isn't kept, so it isn't copied either.
    const isInTurn = previous <= stream.origin.micros && !stream.isHolding &&
      this.#host.mayDeliver();
    const kept = isInTurn ? read : read.map((one) => ({ ...one, message: one.message.slice() }));
    const byteLength = messages.length + BATCH_OVERHEAD_BYTES;
    if (!stream.take({ previous, messages: kept, byteLength }, nowMs)) counts.duplicates++;
  }

  /**
   * A machine says how far its processes are.
   *
   * @throws {FrameFault} if it names another machine's, or too many.
   */
  takeState(machine: string, origins: readonly StatedOrigin[], nowMs: number): void {
    for (const { name, base, last, end, endMicros } of origins) {
      const known = this.#host.origins.find(name);
      if (end !== undefined && known?.end !== undefined) continue;
      if (end !== undefined && !this.#streams.has(name) && known === undefined) continue;
      const stream = this.#streamOf(machine, name, base, last);
      if (stream === undefined) continue;
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
    for (const { origin, machine: owner } of [...this.#streams.values()]) {
      if (owner === machine) this.#end(origin, "crashed", origin.micros + 1);
    }
  }

  /** Delivers what may be delivered, and acts on deadlines. To be called about once a sweep. */
  sweep(nowMs: number): void {
    for (const stream of [...this.#streams.values()]) stream.sweep(nowMs);
    for (const [origin, sinceMs] of this.#orphans) {
      if (nowMs - sinceMs < MEMBER_DEATH_MS) return;
      this.#orphans.delete(origin);
      this.#end(origin, "crashed", origin.micros + 1);
    }
  }

  /** Frees what waits. */
  discard(): void {
    for (const stream of this.#streams.values()) stream.discard();
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
    const origin = known ?? origins.learn(name, this.isComplete ? base : last);
    origin.isRemote = true;
    if (known === undefined && !this.isComplete) history.raiseFloor(origin, last);
    return this.#open(origin, machine);
  }

  /** A process that counted as dead lives: what it has published meanwhile is missing. */
  #revive(origin: Origin, machine: string, last: number): IncomingStream | undefined {
    if (origin.end !== "crashed" || last <= origin.micros) return undefined;
    origin.end = undefined;
    return this.#open(origin, machine);
  }

  #open(origin: Origin, machine: string): IncomingStream {
    this.#orphans.delete(origin);
    const stream = new IncomingStream(origin, machine, this.#eventsFor(machine));
    this.#streams.set(origin.name, stream);
    return stream;
  }

  #eventsFor(machine: string): StreamEvents {
    const host = this.#host;
    const { counts } = host;
    return {
      mayDeliver: host.mayDeliver,
      isConnected: host.isConnected,
      deliver: (origin, message) => host.deliver(origin, message),
      ask: (origin, after) => {
        counts.refills++;
        host.ask(machine, origin, after);
      },
      onGap: () => counts.gaps++,
      onHole: (origin, after, to) => {
        counts.holes++;
        origin.holeMicros = to;
        host.onHole(origin, machine, after, to);
      },
      onForged: () => counts.rejected++,
      holdBytes: (bytes) => {
        if (bytes > 0 && this.#heldBytes + bytes > MAX_HELD_BYTES) return false;
        this.#heldBytes += bytes;
        return true;
      },
      onEnded: (origin, end, micros) => this.#end(origin, end, micros),
    };
  }

  #end(origin: Origin, end: "ended" | "crashed", micros: number): void {
    this.#streams.get(origin.name)?.discard();
    this.#streams.delete(origin.name);
    this.#host.origins.close(origin, end, micros);
  }
}
