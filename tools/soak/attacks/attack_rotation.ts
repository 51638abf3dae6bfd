import type { Tally } from "../../../bots/measures/tally.ts";
import { Random } from "../../harness/random.ts";
import {
  type Attack,
  type AttackContext,
  type AttackTally,
  endedByServer,
  pause,
  type Proof,
} from "./attack_connection.ts";
import { CONNECTION_FLOODS } from "./connection_floods.ts";
import { FRAME_ATTACKS } from "./frame_attacks.ts";
import { INPUT_FLOODS, STOP_ATTACK } from "./input_floods.ts";
import { AUTH_ATTACKS } from "./auth_attacks.ts";
import { READER_ATTACKS } from "./reader_attacks.ts";

/** The attacks on every server. */
const ATTACKS: readonly Attack[] = [
  ...FRAME_ATTACKS,
  ...INPUT_FLOODS,
  ...CONNECTION_FLOODS,
  ...READER_ATTACKS,
];

/** The longest pause in milliseconds between one attack and the next. */
const MAX_PAUSE_MS = 1_000;

/** The record of one kind of attack. */
export interface AttackRecord {
  /** The number of runs that began. */
  runs: number;
  /** The number of runs that weren't cut off by the end of the load. */
  completed: number;
  /** The number of completed runs that proved that they attacked. */
  proven: number;
  connected: number;
  greeted: number;
  /** Bytes of its writes that the kernel took. */
  sent_bytes: number;
  /** Frames that the server sent beyond its greetings. */
  answers: number;
  readonly ends: Tally;
}

/** The part of the context that all attacks share. */
export type SharedAttackContext = Omit<AttackContext, "tally" | "random" | "signal">;

/**
 * Runs several attacks at once, in an order that is drawn anew each time all have run. So every part of
 * the soak has attacks of all kinds.
 */
export class AttackRotation {
  readonly records: Record<string, AttackRecord> = {};
  readonly #context: SharedAttackContext;
  readonly #random: Random;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>[] = [];
  readonly #attacks: readonly Attack[];
  #deck: Attack[] = [];

  /**
   * @param random Draws the order, and the choices of each attack.
   * @param only Only attacks whose names contain this text; empty for all.
   */
  constructor(context: SharedAttackContext, random: Random, only: string) {
    this.#context = context;
    this.#random = random;
    this.#attacks = attacksOn(context.keys !== null).filter(({ name }) => name.includes(only));
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

  /** Begins. `concurrency` attacks run at once. */
  start(concurrency: number): void {
    for (let at = 0; at < concurrency; at++) this.#running.push(this.#runAttacks());
  }

  /** Ends all attacks at once. Resolves when their connections are gone. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  async #runAttacks(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && this.#attacks.length > 0) {
      if (this.#deck.length === 0) this.#deck = this.#random.shuffled(this.#attacks);
      const attack = this.#deck.pop()!;
      const record = this.records[attack.name]!;
      record.runs++;
      const tally = await runAttack(attack, this.#context, new Random(this.#random.next()), signal);
      add(record, tally);
      if (!signal.aborted) {
        record.completed++;
        if (isProven(tally, attack.proof)) record.proven++;
      }
      await pause(this.#random.below(MAX_PAUSE_MS), signal);
    }
  }
}

/** All attacks on a server, including those on TLS and keys if it is locked. */
export function attacksOn(isLocked: boolean): readonly Attack[] {
  return isLocked ? [...ATTACKS, ...AUTH_ATTACKS] : ATTACKS;
}

/**
 * Runs the attack under which it is hardest to stop, until the signal.
 *
 * @returns (resolves) when the attack's connections are gone.
 */
export async function attackWhileStopping(
  context: SharedAttackContext,
  random: Random,
  signal: AbortSignal,
): Promise<void> {
  await runAttack(STOP_ATTACK, context, random, signal);
}

/** True if a run's counts prove that it attacked. */
export function isProven(tally: AttackTally, proof: Proof): boolean {
  const { connected = 0, greeted = 0, sentBytes = 0, answers = 0, ended = 0 } = proof;
  return tally.connected >= connected && tally.greeted >= greeted && tally.sentBytes >= sentBytes &&
    tally.answers >= answers && endedByServer(tally) >= ended;
}

async function runAttack(
  attack: Attack,
  context: SharedAttackContext,
  random: Random,
  signal: AbortSignal,
): Promise<AttackTally> {
  const tally: AttackTally = { connected: 0, greeted: 0, sentBytes: 0, answers: 0, ends: {} };
  await attack.run({ ...context, random, signal, tally });
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
