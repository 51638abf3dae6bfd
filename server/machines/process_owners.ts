import { FrameFault } from "./wire/frames.ts";
import { MAX_FORMER_PROCESSES } from "./wire/limits.ts";

/**
 * The machines of processes that have ended lately, whose siblings may still lack what they had published; and of the
 * processes of this machine.
 */
export class ProcessOwners {
  readonly #machines = new Map<string, string>();

  /** Notes the machine that a process is part of. */
  note(origin: string, machine: string): void {
    this.#machines.set(origin, machine);
    const [oldest] = this.#machines.keys();
    if (this.#machines.size > MAX_FORMER_PROCESSES) this.#machines.delete(oldest!);
  }

  /** The machine that a process is part of, if that is known. */
  machineOf(origin: string): string | undefined {
    return this.#machines.get(origin);
  }

  /**
   * Checks that a process which has ended is a machine's. If that isn't known, it is the one's that names it first.
   *
   * @throws {FrameFault} if it is another machine's.
   */
  demand(origin: string, machine: string): void {
    const owner = this.#machines.get(origin);
    if (owner === undefined) this.note(origin, machine);
    else if (owner !== machine) throw new FrameFault("the end of another machine's process");
  }
}
