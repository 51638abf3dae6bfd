import { counted } from "../../cli/counted.ts";
import type { Runtime } from "../../runtime/types.ts";
import { type BotFleet, type FleetProcess, settledAll } from "../fleet/bot_fleet.ts";
import type { GroupRound, SettleOutcome, SetupOutcome } from "../fleet/group.ts";
import { shares, summingUp } from "../fleet/progress_sum.ts";
import { MAX_CONNECTING, type RampUpProgress } from "../fleet/ramp_up.ts";
import { type ClockOffset, measureOffsets } from "../measures/clock_offset.ts";
import type { LeaderOptions } from "../run/agent_options.ts";
import type { BotsOptions } from "../run/options.ts";
import { RemoteAgent } from "./remote_agent.ts";
import { type Call, listOf, type Prepared, readPrepared } from "./words.ts";

/** An agent with its part of the run. */
export interface Member extends Prepared {
  readonly agent: RemoteAgent;
  readonly bots: number;
}

/** The bots of agents on other machines. */
export class AgentsFleet implements BotFleet {
  /** The agents, in the order of the processes. */
  readonly members: readonly Member[];
  readonly processes: readonly FleetProcess[];

  private constructor(members: readonly Member[]) {
    this.members = members;
    this.processes = members.flatMap(({ agent, processes }) =>
      processes.map(({ pid, bots }) => ({ pid, bots, agent: agent.name }))
    );
  }

  /**
   * Connects to the agents, and shares the bots among them.
   *
   * @throws {EnvironmentError} (rejects) if one of them can't take its part.
   */
  static async start(
    runtime: Runtime,
    options: BotsOptions,
    leader: LeaderOptions,
  ): Promise<AgentsFleet> {
    const { places } = leader;
    const agents = await allOrNone(
      places.map((place) => RemoteAgent.connect(runtime, place, leader)),
      (agent) => agent.end(),
    );
    try {
      const { n } = options;
      const maxConnecting = Math.max(Math.floor(MAX_CONNECTING / places.length), 1);
      const members = await Promise.all(
        shares(n, places.length).map(async (bots, at) => {
          const agent = agents[at]!;
          const { dialect, host, port, tls, keys, topic, data, retries, processes, spread } =
            options;
          const prepared = await agent.call("prepare", {
            ...{ n: bots, maxConnecting, dialect, host, port, tls, keys, topic, data },
            ...{ retries, processes, spread },
          });
          agent.role = `${bots} of ${counted(n, "bot")}`;
          return { agent, bots, ...checked(agent, () => readPrepared(prepared, bots)) };
        }),
      );
      return new AgentsFleet(members);
    } catch (error) {
      for (const agent of agents) agent.end();
      throw error;
    }
  }

  setUp(onProgress: (progress: RampUpProgress) => void): Promise<SetupOutcome[]> {
    this.#report(onProgress);
    return this.#perProcess("setUp");
  }

  async gather(onProgress: (progress: RampUpProgress) => void): Promise<number> {
    this.#report(onProgress);
    const missing = await this.#each("gather");
    return missing.reduce<number>((sum, one) => sum + Number(one), 0);
  }

  async settle(): Promise<SettleOutcome> {
    return settledAll(await this.#each("settle") as SettleOutcome[]);
  }

  async compareClocks(): Promise<ClockOffset[]> {
    const offsets = await Promise.all(
      this.members.map(({ agent, processes }) =>
        measureOffsets(async () => {
          const shown = await agent.call("readClocks");
          return checked(agent, () => listOf(shown, "the clocks", processes.length).map(Number));
        })
      ),
    );
    return offsets.flat();
  }

  async begin(): Promise<void> {
    await this.#each("begin");
  }

  async received(): Promise<void> {
    await this.#each("received");
  }

  async collect(): Promise<GroupRound[]> {
    const rounds = await this.#perProcess<GroupRound>("collect");
    rounds.forEach(({ receivedAtMs }, at) => {
      const { bots, agent } = this.processes[at]!;
      const { agent: remote } = this.members.find((member) => member.agent.name === agent)!;
      checked(remote, () => listOf(receivedAtMs, "the arrivals", bots));
    });
    return rounds;
  }

  async leave(): Promise<void> {
    await this.#each("leave");
  }

  abandon(): void {
    for (const { agent } of this.members) agent.end();
  }

  #report(onProgress: (progress: RampUpProgress) => void): void {
    const ofAgent = summingUp(this.members.length, onProgress);
    this.members.forEach(({ agent }, at) => agent.onProgress = ofAgent[at]!);
  }

  #each(call: Call): Promise<unknown[]> {
    return Promise.all(this.members.map(({ agent }) => agent.call(call)));
  }

  /** A call that each process of bots answers for itself. */
  async #perProcess<Outcome>(call: Call): Promise<Outcome[]> {
    const answers = await this.#each(call);
    return this.members.flatMap(({ agent, processes }, at) =>
      checked(agent, () => listOf(answers[at], `the answer to ${call}`, processes.length))
    ) as Outcome[];
  }
}

/** Resolves when all do. If one rejects, it undoes the others, those that come later too. */
async function allOrNone<T>(work: readonly Promise<T>[], undo: (done: T) => void): Promise<T[]> {
  try {
    return await Promise.all(work);
  } catch (error) {
    for (const one of work) one.then(undo, () => {});
    throw error;
  }
}

function checked<T>(agent: RemoteAgent, read: () => T): T {
  try {
    return read();
  } catch (error) {
    return agent.distrust(error);
  }
}
