import type { RuntimeName } from "../../../cli/program.ts";
import { ClientProcess } from "../clients/client_process.ts";
import type { Faults } from "../checks/faults.ts";
import { type AttackRecord, attacksOn, type Battlefield } from "./siege.ts";

/** What the attackers' process gets. */
export interface AttackOrder {
  readonly field: Battlefield;
  readonly seed: number;
  /** Attacks whose names have this; all where it is empty. */
  readonly only: string;
  /** How many attacks run at once. */
  readonly columns: number;
}

/** What it tells in the end. */
export interface AttackNote {
  readonly records: AttackRecords;
}

/** By an attack's name. */
export type AttackRecords = Readonly<Record<string, AttackRecord>>;

/** An attack that shows itself in fewer of its runs than this has not attacked. */
const MIN_PROVEN_SHARE = 0.5;

/** A worker that hangs or ends may take the proof of a single run with it. */
const MIN_JUDGED = 2;

/** Attacks end at once; on a busy machine their connections take a moment. */
const END_PATIENCE_MS = 30_000;

/** Attacks a server from a process of its own, so that those who keep the rules aren't late themselves. */
export class AttackRunner {
  readonly #process: ClientProcess;
  readonly #records = Promise.withResolvers<AttackRecords>();

  constructor(runtime: RuntimeName, order: AttackOrder, faults: Faults) {
    const script = import.meta.resolve("./attack_client.ts");
    this.#process = new ClientProcess(runtime, script, order, (note) => {
      this.#records.resolve((note as AttackNote).records);
    });
    let isOver = false;
    this.#records.promise.then(() => isOver = true);
    this.#process.ended.then((how) => {
      if (!isOver) faults.add("idle_attack", `the attackers' process ended with ${how}`);
      this.#records.resolve({});
    });
  }

  /** Ends all attacks; resolves with what came of them when their connections are gone. */
  async stop(): Promise<AttackRecords> {
    this.#process.conclude();
    const timer = setTimeout(() => this.#process.kill(), END_PATIENCE_MS);
    const records = await this.#records.promise;
    clearTimeout(timer);
    this.#process.kill();
    return records;
  }
}

/**
 * Counts the attacks that didn't show that they attacked.
 *
 * @param hadTime Whether there was time for every attack: then one that didn't begin is a fault.
 */
export function judgeAttacks(records: AttackRecords, faults: Faults, hadTime: boolean): void {
  for (const { name, proof } of attacksOn(true)) {
    const record = records[name];
    if (record === undefined) continue;
    const { runs, completed, proven, connected, greeted, sent_bytes, answers } = record;
    if (hadTime && runs === 0) faults.add("idle_attack", `${name}: it never began`);
    if (completed < MIN_JUDGED || proven >= completed * MIN_PROVEN_SHARE) continue;
    faults.add(
      "idle_attack",
      `${name}: ${completed - proven} of ${completed} runs showed less than ` +
        `${JSON.stringify(proof)}; all together ${connected} connected, ${greeted} greeted, ` +
        `${sent_bytes} bytes sent, ${answers} answers`,
    );
  }
}
