import { Random } from "../compare/random.ts";
import { type Attack, type Field, pause, type Tally } from "./attacks/assailant.ts";
import { CROWD_ATTACKS } from "./attacks/crowds.ts";
import { FRAME_ATTACKS } from "./attacks/frames.ts";
import { LOCK_ATTACKS } from "./attacks/locks.ts";
import { READER_ATTACKS } from "./attacks/readers.ts";

/** What a soak does to every server. */
const ATTACKS: readonly Attack[] = [...FRAME_ATTACKS, ...CROWD_ATTACKS, ...READER_ATTACKS];

/** The longest pause of one that has ended an attack, before it begins the next. */
const MAX_PAUSE_MS = 1_000;

/** What came of one kind of attack. */
export interface AttackRecord {
  runs: number;
  readonly ends: Tally;
}

/**
 * Attacks a server, several attacks at once, in an order drawn anew each time all have been; so that
 * every stretch of time has some of everything.
 */
export class Siege {
  readonly records: Record<string, AttackRecord> = {};
  readonly #field: Omit<Field, "ends" | "random" | "signal">;
  readonly #random: Random;
  readonly #stop = new AbortController();
  readonly #columns: Promise<void>[] = [];
  readonly #attacks: readonly Attack[];
  #deck: Attack[] = [];

  /** @param random For the order, and what each attack draws. */
  constructor(field: Omit<Field, "ends" | "random" | "signal">, random: Random) {
    this.#field = field;
    this.#random = random;
    this.#attacks = field.keys === null ? ATTACKS : [...ATTACKS, ...LOCK_ATTACKS];
    for (const { name } of this.#attacks) this.records[name] = { runs: 0, ends: {} };
  }

  /** Begins. @param columns How many attacks run at once. */
  start(columns: number): void {
    for (let at = 0; at < columns; at++) this.#columns.push(this.#march());
  }

  /** Ends all attacks at once, and resolves when their connections are gone. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#columns);
  }

  async #march(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      if (this.#deck.length === 0) this.#deck = this.#random.shuffled(this.#attacks);
      const attack = this.#deck.pop()!;
      const record = this.records[attack.name]!;
      record.runs++;
      const random = new Random(this.#random.next());
      await attack.run({ ...this.#field, random, signal, ends: record.ends });
      await pause(this.#random.below(MAX_PAUSE_MS), signal);
    }
  }
}
