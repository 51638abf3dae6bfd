import type { Runtime } from "../../runtime/types.ts";
import { Fifo } from "../timing/fifo.ts";
import { ReadAdmission } from "./read_admission.ts";

/** A connection whose bytes wait to be read. */
export interface ReadTask {
  /** The address whose turns it shares. */
  readonly site: string;
  /**
   * True if little waits, and the client has sent whole messages before, but not without a pause.
   */
  readonly isSmall: boolean;
  /**
   * Reads a piece of at most {@linkcode FairReader.unitsLeft} units, if anything waits.
   *
   * @returns True if it needs another turn.
   */
  readPiece(): boolean;
}

/**
 * The most that is read from all connections in a turn of the loop, in units. A unit is a small frame or a
 * KiB of a large one, and takes about 2 us, so reading takes about 2 ms of a turn.
 */
const UNITS_PER_TURN = 1_024;

/** The units that are read from one connection before others have their turn: about 0.15 ms. */
export const UNITS_PER_PIECE = 64;

/** The least units that a millisecond counts as: some JSON takes longer to check than its size suggests. */
const UNITS_PER_MS = 512;

/** The units that are read in a turn before the next is requested, so that a quiet server requests none. */
const UNNOTICED_UNITS = UNITS_PER_TURN / 4;

/**
 * The most bytes that may wait for their turn when a connection that sends much is read on: enough for a
 * few turns. More would only take memory.
 */
const MAX_QUEUED_BYTES = 8 * 1024 * 1024;

/** The most bytes that a connection can bring at once: no runtime reads more. */
const BYTES_PER_GRANT = 512 * 1024;

/**
 * The bytes that may be admitted for each byte that is read, however much is queued. So the wait for
 * admission has a bound, and the queue shrinks all the same.
 */
const LENT_SHARE = 1 / 4;

/** The bytes of one unit, as a binary shift. */
const UNIT_SHIFT = 10;

/** Preferred items get this many times as many units as the others. */
const PREFERENCE = 3;

/**
 * Two queues, one of which is preferred. While both have items, the other one still gets a quarter of the
 * units.
 */
class TwoQueues<Item> {
  readonly preferred = new Fifo<Item>();
  readonly others = new Fifo<Item>();
  /** The units that the others may still have while a preferred item waits. */
  #credit = 0;
  /** True if the last item that was taken is preferred, and others wait meanwhile. */
  #earnsCredit = false;
  /** True if it is one of the others, and a preferred item waits meanwhile. */
  #isOnCredit = false;

  get isEmpty(): boolean {
    return this.preferred.size === 0 && this.others.size === 0;
  }

  /** Takes the next item. Call {@linkcode spend} for each. */
  take(): Item | undefined {
    const isContended = this.preferred.size > 0 && this.others.size > 0;
    this.#isOnCredit = isContended && this.#credit >= UNITS_PER_PIECE;
    this.#earnsCredit = isContended && !this.#isOnCredit;
    return this.#isOnCredit ? this.others.shift() : this.preferred.shift() ?? this.others.shift();
  }

  /** Counts the units that were read for the last item that was taken. */
  spend(units: number): void {
    if (this.#isOnCredit) this.#credit -= units;
    else if (this.#earnsCredit) this.#credit += units / PREFERENCE;
  }
}

/** The waiting connections of one address. Those with little to read are preferred. */
class Flow extends TwoQueues<ReadTask> {
  readonly site: string;

  constructor(site: string) {
    super();
    this.site = site;
  }
}

/**
 * Shares the loop's time for reading among addresses, and among the connections of each address, so that
 * a thousand publishers that send without a pause delay another client's message by milliseconds only.
 * While there is time enough, bytes are read as they arrive and don't come here.
 *
 * A new address comes before those that have waited longer, and within an address connections with little
 * to read come before those with much; the others still get a quarter of the turns. So a client that sends
 * little never waits for a backlog. (The scheme is that of FQ-CoDel, RFC 8290, section 4.1, with addresses
 * for queues.)
 */
export class FairReader {
  /** The units left of the present piece. The connection that reads counts them down. */
  unitsLeft = 0;
  /** Connections that send much wait here until less is queued. */
  readonly admission: ReadAdmission = new ReadAdmission();
  /** The number of turns so far. */
  turn = 0;
  readonly #runtime: Runtime;
  readonly #readMs: () => number;
  readonly #flows = new Map<string, Flow>();
  /** The waiting addresses. New ones are preferred. */
  readonly #waiting = new TwoQueues<Flow>();
  #unitsOfTurn = UNITS_PER_TURN;
  #isTurnAsked = false;
  #queuedBytes = 0;
  /** The number of connections that sent much and were read on since the loop last turned. */
  #grants = 0;
  /** The bytes that waiting connections may bring, however much is queued. */
  #lentBytes = 0;

  /** @param readMs A monotonic clock, in milliseconds. */
  constructor(runtime: Runtime, readMs: () => number) {
    this.#runtime = runtime;
    this.#readMs = readMs;
  }

  /** True if arriving bytes may be read at once. */
  get isFree(): boolean {
    return this.#unitsOfTurn > 0 && this.#flows.size === 0;
  }

  /** True if anything waits to be read. */
  get isBusy(): boolean {
    return this.#flows.size > 0;
  }

  /**
   * Begins a piece of at most `units`, which are counted down in {@linkcode unitsLeft} until
   * {@linkcode endPiece}.
   */
  beginPiece(units: number): void {
    this.unitsLeft = units;
  }

  /**
   * Ends a piece.
   *
   * @param units The units that it was begun with.
   * @param bytes The bytes that were read.
   */
  endPiece(units: number, bytes: number): void {
    // Frames count units; the bytes of an incomplete frame cost time as well.
    this.#unitsOfTurn -= Math.max(units - this.unitsLeft, bytes >> UNIT_SHIFT, 1);
    this.#lentBytes = Math.min(this.#lentBytes + bytes * LENT_SHARE, BYTES_PER_GRANT);
    if (this.#unitsOfTurn < UNITS_PER_TURN - UNNOTICED_UNITS) this.#askTurn();
  }

  /** Counts a frame of the present piece. */
  countFrame(bytes: number): void {
    this.unitsLeft -= 1 + (bytes >> UNIT_SHIFT);
  }

  /** Changes the number of bytes that wait for their turn. */
  countQueued(bytes: number): void {
    this.#queuedBytes += bytes;
  }

  /** True if a connection that sends much may be read on; otherwise it must wait for its admission. */
  grant(): boolean {
    if (this.admission.isEmpty && this.#takeGrant()) return true;
    this.#askTurn();
    return false;
  }

  /** Gives a connection turns until it has read what has arrived. Call it once until then. */
  queue(task: ReadTask): void {
    const { site } = task;
    let flow = this.#flows.get(site);
    if (flow === undefined) {
      flow = new Flow(site);
      this.#flows.set(site, flow);
      this.#waiting.preferred.push(flow);
    }
    (task.isSmall ? flow.preferred : flow.others).push(task);
    this.#askTurn();
  }

  #takeGrant(): boolean {
    if (this.#queuedBytes + this.#grants * BYTES_PER_GRANT > MAX_QUEUED_BYTES) return false;
    this.#grants++;
    return true;
  }

  #askTurn(): void {
    if (this.#isTurnAsked) return;
    this.#isTurnAsked = true;
    this.#runtime.nextTurn(this.#turn);
  }

  readonly #turn = (): void => {
    this.#isTurnAsked = false;
    this.turn++;
    this.#unitsOfTurn = UNITS_PER_TURN;
    this.#grants = 0;
    this.#readPieces();
    this.#admit();
    // An admitted connection may bring nothing, so check for room again each turn.
    if (!this.admission.isEmpty) this.#askTurn();
  };

  #admit(): void {
    const { admission } = this;
    while (!admission.isEmpty && this.#takeGrant()) admission.take()?.resume();
    while (!admission.isEmpty) {
      const bytes = Math.min(admission.nextBytes, BYTES_PER_GRANT);
      if (bytes > this.#lentBytes) return;
      this.#lentBytes -= bytes;
      this.#grants++;
      admission.take()?.resume();
    }
  }

  #readPieces(): void {
    let nowMs = this.#readMs();
    while (this.#unitsOfTurn > 0) {
      const flow = this.#waiting.take();
      if (flow === undefined) return;
      const task = flow.take();
      const before = this.#unitsOfTurn;
      try {
        if (task?.readPiece()) (task.isSmall ? flow.preferred : flow.others).push(task);
      } finally {
        const beganMs = nowMs;
        nowMs = this.#readMs();
        const units = Math.max(before - this.#unitsOfTurn, (nowMs - beganMs) * UNITS_PER_MS);
        this.#unitsOfTurn = before - units;
        flow.spend(units);
        this.#waiting.spend(units);
        if (flow.isEmpty) this.#flows.delete(flow.site);
        else this.#waiting.others.push(flow);
        if (this.#flows.size > 0) this.#askTurn();
      }
    }
  }
}
