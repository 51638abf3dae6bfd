import type { RuntimeName } from "../../../cli/program.ts";
import { ClientProcess } from "../clients/client_process.ts";
import type { Faults } from "../checks/faults.ts";
import { type AttackRecord, attacksOn, type SharedAttackContext } from "./attack_rotation.ts";

/** The order for the attackers' process. */
export interface AttackOrder {
  readonly context: SharedAttackContext;
  readonly seed: number;
  /** Only attacks whose names contain this text; empty for all. */
  readonly only: string;
  /** The number of attacks that run at once. */
  readonly concurrency: number;
}

/** The message that the process sends at the end. */
export interface AttackNote {
  readonly records: AttackRecords;
}

/** Records by an attack's name. */
export type AttackRecords = Readonly<Record<string, AttackRecord>>;

/** The least share of an attack's runs that must prove that they attacked. */
const MIN_PROVEN_SHARE = 0.5;

/**
 * An attack with fewer runs isn't judged: a worker that hangs or ends may destroy the proof of a single
 * run.
 */
const MIN_JUDGED = 2;

/**
 * Milliseconds for all attacks to end. They stop at once, but on a busy machine their connections take a
 * moment.
 */
const END_PATIENCE_MS = 30_000;

/** Attacks a server from a process of its own, so that the attacks don't delay the healthy clients. */
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

  /** Ends all attacks. Resolves with their records when their connections are gone. */
  async stop(): Promise<AttackRecords> {
    this.#process.finish();
    const timer = setTimeout(() => this.#process.kill(), END_PATIENCE_MS);
    const records = await this.#records.promise;
    clearTimeout(timer);
    this.#process.kill();
    return records;
  }
}

/**
 * Reports a fault for each attack that didn't prove that it attacked.
 *
 * @param hadTime True if there was time for every attack: then an attack that never began is a fault.
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
