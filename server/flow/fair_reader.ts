import type { Runtime } from "../../runtime/types.ts";
import { Fifo } from "../timing/fifo.ts";
import { ReadAdmission } from "./read_admission.ts";

/** A connection whose bytes wait to be read. */
export interface ReadTask {
  /** The address that it shares its turns with. */
  readonly site: string;
  /**
   * Whether little waits, of a client that has shown that it sends whole messages, and doesn't send them
   * without a pause.
   */
  readonly isSmall: boolean;
  /**
   * Reads a piece, of no more than {@linkcode FairReader.unitsLeft}. Nothing where nothing waits any
   * more.
   *
   * @returns Whether it should have another turn.
   */
  readPiece(): boolean;
}

/**
 * What is read of all connections in a turn of the loop, in units: one is a small frame, or a KiB of a
 * large one, some 2 us. A turn then takes some 2 ms for reading.
 */
const UNITS_PER_TURN = 1_024;

/** What is read of one connection before others have their turn, some 0.15 ms. */
export const UNITS_PER_PIECE = 64;

/** What a millisecond counts as at least: some JSON takes longer to check than its bytes tell. */
const UNITS_PER_MS = 512;

/** What is read in a turn before the next one is asked for, so that a quiet server asks for none. */
const UNNOTICED_UNITS = UNITS_PER_TURN / 4;

/**
 * Bytes that may wait for their turn before connections which send much are read on: enough for some
 * turns. More would only be memory.
 */
const MAX_QUEUED_BYTES = 8 * 1024 * 1024;

/** What one more connection may bring at once: no runtime reads more. */
const BYTES_PER_GRANT = 512 * 1024;

/**
 * For a byte that is read so much may be admitted, however much is queued: so the wait for it has a bound,
 * and what is queued falls all the same.
 */
const LENT_SHARE = 1 / 4;

/** Bytes that count as one unit, as a binary shift. */
const UNIT_SHIFT = 10;

/** How much more is read of those preferred than of the others. */
const PREFERENCE = 3;

/**
 * Two queues, one of which is preferred as long as the other gets a quarter of what is read while both
 * have something.
 */
class TwoQueues<Item> {
  readonly preferred = new Fifo<Item>();
  readonly others = new Fifo<Item>();
  /** Units that the others may still have although something preferred waits. */
  #credit = 0;
  /** Whether the item that was taken last is preferred, and others wait meanwhile. */
  #earnsCredit = false;
  /** Whether it's one of the others, and something preferred waits meanwhile. */
  #isOnCredit = false;

  get isEmpty(): boolean {
    return this.preferred.size === 0 && this.others.size === 0;
  }

  /** Takes the item that is next. Each is answered by {@linkcode spend}. */
  take(): Item | undefined {
    const isContended = this.preferred.size > 0 && this.others.size > 0;
    this.#isOnCredit = isContended && this.#credit >= UNITS_PER_PIECE;
    this.#earnsCredit = isContended && !this.#isOnCredit;
    return this.#isOnCredit ? this.others.shift() : this.preferred.shift() ?? this.others.shift();
  }

  /** Tells what was read for the item that was taken last. */
  spend(units: number): void {
    if (this.#isOnCredit) this.#credit -= units;
    else if (this.#earnsCredit) this.#credit += units / PREFERENCE;
  }
}

/** The connections of one address that wait; those for which little waits are preferred. */
class Flow extends TwoQueues<ReadTask> {
  readonly site: string;

  constructor(site: string) {
    super();
    this.site = site;
  }
}

/**
 * Shares the loop's time for reading among addresses, and among the connections of each, so that a
 * thousand publishers which send without a pause delay a message of somebody else's by some
 * milliseconds. While there is time enough, what arrives is read at once and never comes here.
 *
 * An address that begins to wait comes before those that are at it already, and of one address the
 * connections for which little waits before those for which much does, as long as the others get a
 * quarter of the turns: so a client that says little waits for nobody's backlog. (The scheme is that of
 * FQ-CoDel, RFC 8290, section 4.1, with addresses for queues.)
 */
export class FairReader {
  /** Units left of the piece that is being read; whoever reads counts them down. */
  unitsLeft = 0;
  /** Where connections that send much wait until less is queued. */
  readonly admission: ReadAdmission = new ReadAdmission();
  /** Turns so far. */
  turn = 0;
  readonly #runtime: Runtime;
  readonly #readMs: () => number;
  readonly #flows = new Map<string, Flow>();
  /** Those that have begun to wait are preferred. */
  readonly #waiting = new TwoQueues<Flow>();
  #unitsOfTurn = UNITS_PER_TURN;
  #isTurnAsked = false;
  #queuedBytes = 0;
  /** Connections that were given leave to send much since the loop last turned. */
  #grants = 0;
  /** What those that wait for their admission may bring, however much is queued. */
  #lentBytes = 0;

  /** @param readMs A monotonic clock, in milliseconds. */
  constructor(runtime: Runtime, readMs: () => number) {
    this.#runtime = runtime;
    this.#readMs = readMs;
  }

  /** Whether what arrives now may be read at once. */
  get isFree(): boolean {
    return this.#unitsOfTurn > 0 && this.#flows.size === 0;
  }

  /** Whether anything waits to be read. */
  get isBusy(): boolean {
    return this.#flows.size > 0;
  }

  /**
   * Begins a piece of no more than so many units. What is read is counted down from
   * {@linkcode unitsLeft} until {@linkcode endPiece}.
   */
  beginPiece(units: number): void {
    this.unitsLeft = units;
  }

  /**
   * Ends a piece.
   *
   * @param units What it was begun with.
   * @param bytes What was read.
   */
  endPiece(units: number, bytes: number): void {
    // Units are counted for frames; a frame that isn't complete costs for its bytes all the same.
    this.#unitsOfTurn -= Math.max(units - this.unitsLeft, bytes >> UNIT_SHIFT, 1);
    this.#lentBytes = Math.min(this.#lentBytes + bytes * LENT_SHARE, BYTES_PER_GRANT);
    if (this.#unitsOfTurn < UNITS_PER_TURN - UNNOTICED_UNITS) this.#askTurn();
  }

  /** Counts a frame of the piece that is being read. */
  countFrame(bytes: number): void {
    this.unitsLeft -= 1 + (bytes >> UNIT_SHIFT);
  }

  /** Counts bytes that wait for their turn, more than before or less. */
  countQueued(bytes: number): void {
    this.#queuedBytes += bytes;
  }

  /** Whether a connection that sends much may be read on; if not, it should wait for its admission. */
  grant(): boolean {
    if (this.admission.isEmpty && this.#takeGrant()) return true;
    this.#askTurn();
    return false;
  }

  /** Gives a connection a turn to read what has arrived. To be called once until it has none more. */
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
    // What was granted may bring nothing: so whether there is room is looked at again each turn.
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
