/**
 * The phases of a run: connect and subscribe, barrier, settle, publish and receive, close.
 *
 * @module
 */

import { counted } from "../../cli/counted.ts";
import { EnvironmentError } from "../../cli/command_line.ts";
import type { Runtime } from "../../runtime/types.ts";
import type { Crew } from "../fleet/fleet.ts";
import type { Dialect } from "../dialects/dialect.ts";
import type { EnlistmentProgress } from "../fleet/ramp_up.ts";
import type { BotsOptions } from "./options.ts";
import { ask } from "../client/inquiry.ts";
import { Publisher } from "../client/publisher.ts";
import { RefusalError, remedyFor } from "../client/refusal.ts";
import { checkSetup } from "./setup_check.ts";
import type { SettleOutcome, SetupOutcome, SquadRound } from "../fleet/group.ts";
import { clockMs } from "../measures/clock.ts";
import type { Target } from "./target.ts";

/** What happened, unjudged. Times are by {@linkcode clockMs}. */
export interface RunRecord {
  readonly setups: readonly SetupOutcome[];
  /** Why the server didn't take all bots, in its words; `null` where it did, or said nothing. */
  readonly refusal: string | null;
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
  readonly options: Pick<BotsOptions, "n" | "port" | "tls" | "rounds" | "timeoutMs">;
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
 * @throws {EnvironmentError} (rejects) when nobody could subscribe, when the server refuses the publisher
 * or its message, or when a process of bots dies.
 */
export async function run(plan: RunPlan): Promise<RunRecord> {
  const { crew, options } = plan;
  const setups = await crew.setUp(plan.onProgress).finally(plan.onSetUp);
  const refusal = await checkSetup(setups, plan);
  await plan.onSubscribed();
  let settle = await crew.settle();
  const rounds: RoundRecord[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const settledAgain = await gather(plan);
    if (round === 0) settle = settledAgain ?? settle;
    rounds.push(await playRound(plan, setups));
  }
  await crew.disband();
  return { setups, refusal, settle, rounds, closedAtMs: clockMs() };
}

/** The barrier: waits for those who come back. Says how it became quiet after that, where it had to. */
async function gather({ crew, onProgress }: RunPlan): Promise<SettleOutcome | null> {
  let settle: SettleOutcome | null = null;
  while (await crew.gather(onProgress) > 0) settle = await crew.settle();
  return settle;
}

async function playRound(
  plan: RunPlan,
  setups: readonly SetupOutcome[],
): Promise<RoundRecord> {
  const { crew, options } = plan;
  const publisher = await connectPublisher(plan, setups);
  try {
    await crew.begin();
    const publishedAtMs = publisher.publish();
    const isDone = Promise.race([crew.received(), publisher.refused]);
    await within(isDone, options.timeoutMs + GRACE_MS);
    // What comes when all have the message must not come: give it time to.
    await crew.settle();
    const squads = await crew.collect();
    await checkPublish(plan, publisher, squads);
    return { publishedAtMs, squads };
  } finally {
    publisher.release();
  }
}

async function connectPublisher(
  { runtime, dialect, target, options }: RunPlan,
  setups: readonly SetupOutcome[],
): Promise<Publisher> {
  try {
    return await Publisher.connect(runtime, dialect, target.addresses[0]!, options);
  } catch (error) {
    if (!(error instanceof EnvironmentError && error.cause instanceof RefusalError)) throw error;
    const givenUp = setups.reduce((sum, setup) => sum + setup.givenUp, 0);
    const others = givenUp === 0
      ? ""
      : `; ${givenUp} of ${counted(options.n, "bot")} were refused before it`;
    const remedy = remedyFor(error.cause.message, options.n);
    throw new EnvironmentError(`${error.message}${others}${remedy}`, { cause: error });
  }
}

/**
 * Sees to it that a message which reached no bot wasn't refused.
 *
 * @throws {EnvironmentError} (rejects) with the server's words if it was.
 */
async function checkPublish(
  { runtime, dialect, target, options }: RunPlan,
  publisher: Publisher,
  squads: readonly SquadRound[],
): Promise<void> {
  if (squads.some(({ stampMicros }) => stampMicros !== null)) return;
  const [address] = target.addresses;
  const refusal = publisher.refusal ?? await ask(runtime, dialect, address!, options, "publish");
  if (refusal === null) return;
  throw new EnvironmentError(
    `the server at ${address}:${options.port} refuses the message: ${refusal}` +
      remedyFor(refusal, options.n),
  );
}

async function within(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<void>((resolve) => timer = setTimeout(resolve, limitMs));
  await Promise.race([work, limit]).finally(() => clearTimeout(timer));
}
