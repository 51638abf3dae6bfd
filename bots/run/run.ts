/**
 * The phases of a run: connect and subscribe, barrier, settle, publish and receive, close.
 *
 * @module
 */

import { counted } from "../../cli/counted.ts";
import { EnvironmentError } from "../../cli/command_line.ts";
import type { Runtime } from "../../runtime/types.ts";
import type { BotFleet } from "../fleet/bot_fleet.ts";
import type { Dialect } from "../dialects/dialect.ts";
import type { RampUpProgress } from "../fleet/ramp_up.ts";
import type { BotsOptions } from "./options.ts";
import { ask } from "../client/inquiry.ts";
import { BotsPublisher } from "../client/publisher.ts";
import { RefusalError, remedyFor } from "../client/refusal.ts";
import { checkSetup } from "./setup_check.ts";
import type { GroupRound, SettleOutcome, SetupOutcome } from "../fleet/group.ts";
import { clockMs } from "../measures/clock.ts";
import { type ClockComparison, compared } from "../measures/clock_offset.ts";
import type { BotsTarget } from "./target.ts";

/** The raw record of a run. Times are milliseconds by this process's {@linkcode clockMs}. */
export interface RunRecord {
  /**
   * The groups' clocks against this process's, by which their times are corrected; `null` if they have the
   * clock of this machine.
   */
  readonly clocks: readonly ClockComparison[] | null;
  readonly setups: readonly SetupOutcome[];
  /** The server's words for not accepting all bots; `null` if it accepted all, or said nothing. */
  readonly refusal: string | null;
  /** The pause before the first publish. */
  readonly settle: SettleOutcome;
  readonly rounds: readonly RoundRecord[];
  /** The moment at which all connections were closed. */
  readonly closedAtMs: number;
}

/** One round, group by group. */
export interface RoundRecord {
  /** The moment before the first byte of the message was sent. */
  readonly publishedAtMs: number;
  readonly groups: readonly GroupRound[];
}

/** The plan of a run. */
export interface RunPlan {
  readonly runtime: Runtime;
  readonly dialect: Dialect;
  readonly fleet: BotFleet;
  readonly target: BotsTarget;
  readonly options: Pick<BotsOptions, "n" | "port" | "tls" | "rounds" | "timeoutMs">;
  /** Receives the bots' progress on the way to a subscription, whether their first or a later one. */
  readonly onProgress: (progress: RampUpProgress) => void;
  /** Setting up has ended, with success or without. */
  readonly onSetUp: () => void;
  /** All bots are subscribed or given up. The run goes on when the promise resolves. */
  readonly onSubscribed: () => Promise<void>;
}

/** Milliseconds to go on after the limit, so that messages that arrived in time are read. */
const GRACE_MS = 100;

/**
 * Takes the fleet through all phases of a run.
 *
 * @throws {EnvironmentError} (rejects) when no bot could subscribe, when the server refuses the publisher
 * or its message, or when a process of bots dies.
 */
export async function run(plan: RunPlan): Promise<RunRecord> {
  const { fleet, options } = plan;
  const setups = await fleet.setUp(plan.onProgress).finally(plan.onSetUp);
  const refusal = await checkSetup(setups, plan);
  await plan.onSubscribed();
  const before = await fleet.compareClocks();
  let settle = await fleet.settle();
  const rounds: RoundRecord[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const settledAgain = await gather(plan);
    if (round === 0) settle = settledAgain ?? settle;
    rounds.push(await playRound(plan, setups));
  }
  const after = await fleet.compareClocks();
  await fleet.leave();
  const record = { clocks: null, setups, refusal, settle, rounds, closedAtMs: clockMs() };
  if (before === null || after === null) return record;
  return corrected(record, before.map((offset, at) => compared(offset, after[at]!)));
}

/** The most milliseconds by which the times of a record may be wrong; 0 if all are by one clock. */
export function clockErrorMs({ clocks }: Pick<RunRecord, "clocks">): number {
  return Math.max(0, ...(clocks ?? []).map(({ errorMs }) => errorMs));
}

/** The same record with the times of all groups by this process's clock. */
function corrected(record: RunRecord, clocks: readonly ClockComparison[]): RunRecord {
  const { setups, rounds } = record;
  return {
    ...record,
    clocks,
    setups: setups.map((setup, at) => ({
      ...setup,
      beganAtMs: setup.beganAtMs - clocks[at]!.offsetMs,
      endedAtMs: setup.endedAtMs - clocks[at]!.offsetMs,
    })),
    rounds: rounds.map((round) => ({
      ...round,
      groups: round.groups.map((group, at) => ({
        ...group,
        receivedAtMs: group.receivedAtMs.map((ms) => ms === 0 ? 0 : ms - clocks[at]!.offsetMs),
      })),
    })),
  };
}

/**
 * The barrier: waits for bots that come back. Returns how the fleet became quiet after that; `null` if
 * there was nothing to wait for.
 */
async function gather({ fleet, onProgress }: RunPlan): Promise<SettleOutcome | null> {
  let settle: SettleOutcome | null = null;
  while (await fleet.gather(onProgress) > 0) settle = await fleet.settle();
  return settle;
}

async function playRound(
  plan: RunPlan,
  setups: readonly SetupOutcome[],
): Promise<RoundRecord> {
  const { fleet, options } = plan;
  const publisher = await connectPublisher(plan, setups);
  try {
    await fleet.begin();
    const publishedAtMs = publisher.publish();
    const isDone = Promise.race([fleet.received(), publisher.refused]);
    await within(isDone, options.timeoutMs + GRACE_MS);
    // Nothing more may come when all have the message. Give it time to arrive if it does.
    await fleet.settle();
    const groups = await fleet.collect();
    await checkPublish(plan, publisher, groups);
    return { publishedAtMs, groups };
  } finally {
    publisher.release();
  }
}

async function connectPublisher(
  { runtime, dialect, target, options }: RunPlan,
  setups: readonly SetupOutcome[],
): Promise<BotsPublisher> {
  try {
    return await BotsPublisher.connect(runtime, dialect, target.addresses[0]!, options);
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
 * Checks whether a message that reached no bot was refused.
 *
 * @throws {EnvironmentError} (rejects) with the server's words if it was.
 */
async function checkPublish(
  { runtime, dialect, target, options }: RunPlan,
  publisher: BotsPublisher,
  groups: readonly GroupRound[],
): Promise<void> {
  if (groups.some(({ stampMicros }) => stampMicros !== null)) return;
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
