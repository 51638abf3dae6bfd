import { EnvironmentError } from "../../cli/command_line.ts";
import { readFacts } from "../../host/facts.ts";
import { remedyLines } from "../../host/finding.ts";
import type { Runtime } from "../../runtime/types.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { RampUpProgress } from "../fleet/ramp_up.ts";
import { environmentReport } from "../results/environment.ts";
import { startLocalFleet } from "../run/local_fleet.ts";
import type { Finding } from "../run/preflight.ts";
import { type DialRule, findTarget } from "../run/target.ts";
import { FrameError } from "./frames.ts";
import type { Call, Job, Prepared } from "./words.ts";

/** An agent's part of one run. */
export class JobRun {
  readonly #runtime: Runtime;
  readonly #rule: DialRule;
  #isPrepared = false;
  #fleet: Fleet | null = null;
  #isOver = false;

  /** @param rule The addresses that the bots may connect to. */
  constructor(runtime: Runtime, rule: DialRule) {
    this.#runtime = runtime;
    this.#rule = rule;
  }

  /**
   * Finds the server, checks this machine and starts the processes. Call it once.
   *
   * @throws {EnvironmentError} (rejects) if the bots can't be started.
   */
  async prepare(job: Job): Promise<Prepared> {
    if (this.#isPrepared) throw new FrameError("a second job");
    this.#isPrepared = true;
    const facts = readFacts();
    const target = await findTarget(this.#runtime, job, facts.portRange, this.#rule);
    const found: Finding[] = [];
    const plan = { ...job, resumption: null };
    const fleet = await startLocalFleet(this.#runtime, plan, target, facts, (findings) => {
      found.push(...findings);
      const fatal = findings.filter(({ isFatal }) => isFatal);
      if (fatal.length > 0) throw new EnvironmentError(fatal.map(textOf).join("; "));
    });
    if (this.#isOver) {
      fleet.abandon();
      throw new EnvironmentError("the leader is gone");
    }
    this.#fleet = fleet;
    return {
      processes: fleet.processes,
      addresses: target.addresses,
      environment: environmentReport(this.#runtime, facts, []),
      notes: found.map(textOf),
    };
  }

  /**
   * Takes the bots through one phase.
   *
   * @param onProgress Receives the bots' progress on the way to a subscription.
   * @throws {EnvironmentError} (rejects) if a process of bots dies.
   */
  async answer(
    call: Exclude<Call, "prepare">,
    onProgress: (progress: RampUpProgress) => void,
  ): Promise<unknown> {
    const fleet = this.#fleet;
    if (fleet === null) throw new FrameError(`${call} without a job`);
    if (call === "setUp" || call === "gather") return await fleet[call](onProgress);
    return await fleet[call]();
  }

  /** Drops all connections and ends the processes. May be called more than once. */
  abandon(): void {
    this.#isOver = true;
    this.#fleet?.abandon();
  }
}

function textOf(finding: Finding): string {
  return [finding.says, ...remedyLines(finding)].join("; ");
}
