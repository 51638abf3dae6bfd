/**
 * The phases of a run: connect and subscribe, barrier, settle, publish and receive, close.
 *
 * @module
 */

import { EnvironmentError } from "../runtime/command_line.ts";
import type { Runtime } from "../runtime/types.ts";
import type { Crew } from "./crew.ts";
import type { Dialect } from "./dialect.ts";
import type { EnlistmentProgress } from "./enlistment.ts";
import type { BotsOptions } from "./options.ts";
import { Publisher } from "./publisher.ts";
import { clockMs, type SettleOutcome, type SetupOutcome, type SquadRound } from "./squad.ts";
import type { Target } from "./target.ts";

/** What happened, unjudged. Times are by {@linkcode clockMs}. */
export interface RunRecord {
  readonly setups: readonly SetupOutcome[];
  /** The pause before the first publish. */
  readonly settle: SettleOutcome;
  readonly rounds: readonly RoundRecord[];
  /** When all connections were closed. */
  readonly closedAtMs: number;
}

/** One round, squad by squad. */
export interface RoundRecord {
  /** The moment before the publish's first byte left. */
  readonly publishedAtMs: number;
  readonly squads: readonly SquadRound[];
}

/** What a run needs. */
export interface RunPlan {
  readonly runtime: Runtime;
  readonly dialect: Dialect;
  readonly crew: Crew;
  readonly target: Target;
  readonly options: Pick<BotsOptions, "port" | "tls" | "rounds" | "timeoutMs">;
  /** How far the bots are on their way to a subscription, the first or another. */
  readonly onProgress: (progress: EnlistmentProgress) => void;
  /** Setting up has ended, well or not. */
  readonly onSetUp: () => void;
  /** Everyone who ever will be is subscribed; the run goes on when it resolves. */
  readonly onSubscribed: () => Promise<void>;
}

/** Goes on after the limit for so long, so that what came within it is read. */
const GRACE_MS = 100;

/**
 * Takes the crew through all phases.
 *
 * @throws {EnvironmentError} (rejects) when nobody could subscribe, when the publisher isn't let in, or
 * when a process of bots dies.
 */
export async function run(plan: RunPlan): Promise<RunRecord> {
  const { crew, options } = plan;
  const setups = await crew.setUp(plan.onProgress).finally(plan.onSetUp);
  checkSetup(setups, plan);
  await plan.onSubscribed();
  let settle = await crew.settle();
  const rounds: RoundRecord[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const settledAgain = await gather(plan);
    if (round === 0) settle = settledAgain ?? settle;
    rounds.push(await playRound(plan));
  }
  await crew.disband();
  return { setups, settle, rounds, closedAtMs: clockMs() };
}

/** The barrier: waits for those who come back. Says how it became quiet after that, where it had to. */
async function gather({ crew, onProgress }: RunPlan): Promise<SettleOutcome | null> {
  let settle: SettleOutcome | null = null;
  while (await crew.gather(onProgress) > 0) settle = await crew.settle();
  return settle;
}

async function playRound({ runtime, dialect, crew, target, options }: RunPlan) {
  const [address] = target.addresses;
  const publisher = await Publisher.connect(runtime, dialect, address!, options);
  try {
    await crew.begin();
    const publishedAtMs = publisher.publish();
    await within(crew.received(), options.timeoutMs + GRACE_MS);
    // What comes when all have the message must not come: give it time to.
    await crew.settle();
    return { publishedAtMs, squads: await crew.collect() };
  } finally {
    publisher.release();
  }
}

async function within(work: Promise<void>, limitMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<void>((resolve) => timer = setTimeout(resolve, limitMs));
  await Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

/**
 * Sees to it that somebody is subscribed.
 *
 * @throws {EnvironmentError} with the reason if nobody is.
 */
export function checkSetup(
  setups: readonly SetupOutcome[],
  { target, options, dialect }: {
    readonly target: Target;
    readonly options: { readonly port: number };
    readonly dialect: Dialect;
  },
): void {
  if (setups.some(({ subscribed }) => subscribed > 0)) return;
  const where = `${target.addresses[0]}:${options.port}`;
  const refusals = setups.flatMap((setup) => Object.keys(setup.refusals));
  const failures = setups.flatMap((setup) => Object.keys(setup.failedAttempts));
  const isIt = `; does it speak ${dialect.name}?`;
  const isGreeted = setups.some(({ greeted }) => greeted > 0);
  if (refusals.length > 0) {
    throw new EnvironmentError(`the server at ${where} refuses every bot: ${refusals[0]}`);
  }
  if (failures.length > 0) {
    throw new EnvironmentError(
      `no bot could subscribe at ${where}: ${failures.join(", ")}${isIt}`,
    );
  }
  throw new EnvironmentError(
    `the server at ${where} accepts connections but ` +
      (isGreeted ? "acknowledges no subscription" : "greets nobody") + isIt,
  );
}
