import { Random } from "../../harness/random.ts";
import {
  type Attack,
  type AttackTally,
  endedByServer,
  type Field,
  pause,
  type Proof,
  type Tally,
} from "./assailant.ts";
import { CROWD_ATTACKS } from "./connection_floods.ts";
import { FRAME_ATTACKS } from "./frame_attacks.ts";
import { INPUT_FLOODS, STOP_ATTACK } from "./input_floods.ts";
import { LOCK_ATTACKS } from "./auth_attacks.ts";
import { READER_ATTACKS } from "./reader_attacks.ts";

/** What a soak does to every server. */
const ATTACKS: readonly Attack[] = [
  ...FRAME_ATTACKS,
  ...INPUT_FLOODS,
  ...CROWD_ATTACKS,
  ...READER_ATTACKS,
];

/** The longest pause of one that has ended an attack, before it begins the next. */
const MAX_PAUSE_MS = 1_000;

/** What came of one kind of attack. */
export interface AttackRecord {
  /** How often it began. */
  runs: number;
  /** How often it came to its own end: the end of the load cuts others off. */
  completed: number;
  /** In how many of those it showed that it attacked. */
  proven: number;
  connected: number;
  greeted: number;
  /** Bytes that the kernel took of it. */
  sent_bytes: number;
  /** Frames that the server sent it beyond greetings. */
  answers: number;
  readonly ends: Tally;
}

/** What every attack of a siege works with. */
export type Battlefield = Omit<Field, "tally" | "random" | "signal">;

/**
 * Attacks a server, several attacks at once, in an order drawn anew each time all have been; so that
 * every stretch of time has some of everything.
 */
export class Siege {
  readonly records: Record<string, AttackRecord> = {};
  readonly #field: Battlefield;
  readonly #random: Random;
  readonly #stop = new AbortController();
  readonly #columns: Promise<void>[] = [];
  readonly #attacks: readonly Attack[];
  #deck: Attack[] = [];

  /**
   * @param random For the order, and what each attack draws.
   * @param only Attacks whose names have this; all where it is empty.
   */
  constructor(field: Battlefield, random: Random, only: string) {
    this.#field = field;
    this.#random = random;
    this.#attacks = attacksOn(field.keys !== null).filter(({ name }) => name.includes(only));
    for (const { name } of this.#attacks) {
      this.records[name] = {
        runs: 0,
        completed: 0,
        proven: 0,
        connected: 0,
        greeted: 0,
        sent_bytes: 0,
        answers: 0,
        ends: {},
      };
    }
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
    while (!signal.aborted && this.#attacks.length > 0) {
      if (this.#deck.length === 0) this.#deck = this.#random.shuffled(this.#attacks);
      const attack = this.#deck.pop()!;
      const record = this.records[attack.name]!;
      record.runs++;
      const tally = await runAttack(attack, this.#field, new Random(this.#random.next()), signal);
      add(record, tally);
      if (!signal.aborted) {
        record.completed++;
        if (isProven(tally, attack.proof)) record.proven++;
      }
      await pause(this.#random.below(MAX_PAUSE_MS), signal);
    }
  }
}

/** Names of all attacks, and of those on a server behind TLS and keys. */
export function attacksOn(isLocked: boolean): readonly Attack[] {
  return isLocked ? [...ATTACKS, ...LOCK_ATTACKS] : ATTACKS;
}

/**
 * Attacks with what is the hardest to stop under, until the signal.
 *
 * @returns (resolves) when its connections are gone.
 */
export async function attackWhileStopping(
  field: Battlefield,
  random: Random,
  signal: AbortSignal,
): Promise<void> {
  await runAttack(STOP_ATTACK, field, random, signal);
}

/** Whether a run did, and saw the server do, what shows that it attacked. */
export function isProven(tally: AttackTally, proof: Proof): boolean {
  const { connected = 0, greeted = 0, sentBytes = 0, answers = 0, ended = 0 } = proof;
  return tally.connected >= connected && tally.greeted >= greeted && tally.sentBytes >= sentBytes &&
    tally.answers >= answers && endedByServer(tally) >= ended;
}

async function runAttack(
  attack: Attack,
  field: Battlefield,
  random: Random,
  signal: AbortSignal,
): Promise<AttackTally> {
  const tally: AttackTally = { connected: 0, greeted: 0, sentBytes: 0, answers: 0, ends: {} };
  await attack.run({ ...field, random, signal, tally });
  return tally;
}

function add(
  record: AttackRecord,
  { connected, greeted, sentBytes, answers, ends }: AttackTally,
): void {
  record.connected += connected;
  record.greeted += greeted;
  record.sent_bytes += sentBytes;
  record.answers += answers;
  for (const [how, count] of Object.entries(ends)) {
    record.ends[how] = (record.ends[how] ?? 0) + count;
  }
}
