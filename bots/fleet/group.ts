/**
 * Bots that share one process, as the one who leads the run sees them. All times are milliseconds
 * since the Unix epoch, fractions included, by `clockMs`: one clock for all processes of a
 * machine.
 *
 * @module
 */

import type { TlsTrust } from "../../runtime/types.ts";
import type { DialectName } from "../dialects/dialects.ts";
import type { EnlistmentProgress } from "./ramp_up.ts";
import type { LoopReading } from "../measures/loop_meter.ts";
import type { Tally } from "../measures/tally.ts";
import type { SquadStorm, StormProgress } from "./reconnection.ts";

/** What a squad needs to know. Plain JSON: it crosses process boundaries. */
export interface SquadPlan {
  readonly size: number;
  /** IP addresses; bot number i goes to the (i modulo their number)-th. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** Whom to believe, where the server speaks TLS. */
  readonly tls: TlsTrust | null;
  readonly dialect: DialectName;
  /** What to show the server. */
  readonly keys: readonly string[];
  readonly topic: string;
  readonly data: string;
  /** How many of the bots may be between connecting and the greeting. */
  readonly maxConnecting: number;
  /** How often a bot tries again to get subscribed; `"forever"` also when it loses its subscription. */
  readonly retries: number | "forever";
}

/** How setting up went. */
export interface SetupOutcome extends EnlistmentProgress {
  /** Bots that never subscribed. */
  readonly givenUp: number;
  /** What the server said to those it refused. */
  readonly refusals: Tally;
  /** What it said to the first of them, in full; `null` where it refused none, or none with words. */
  readonly firstRefusal: string | null;
  /** When the first bot began to connect. */
  readonly beganAtMs: number;
  /** When the last bot was subscribed. */
  readonly endedAtMs: number;
}

/** How a pause went. */
export interface SettleOutcome {
  readonly settledMs: number;
  /** Whether it did become quiet before patience ran out. */
  readonly isQuiet: boolean;
}

/** What befell a bot in a round; bits, so that one number holds them all. */
export const Mark = {
  /** The right message came again. */
  duplicate: 1,
  /** Something came that the server may never send. */
  damaged: 2,
  /** A well-formed message came that isn't the right one. */
  different: 4,
  /** An earlier round's message came only now. */
  late: 8,
} as const;

/** What a squad's bots received in one round. */
export interface SquadRound {
  /** The message's timestamp in microseconds, as the server gave it; `null` if it came to nobody. */
  readonly stampMicros: number | null;
  /** When each bot had the message; 0 for never. */
  readonly receivedAtMs: readonly number[];
  /** {@linkcode Mark}s by bot, for those that have any. */
  readonly marks: readonly (readonly [index: number, marks: number])[];
  /** What the server said to those whose connection it ended since the last round. */
  readonly refusals: Tally;
  /** Bots without a connection at the round's end, those included that never had one. */
  readonly disconnected: number;
  /** Bots that have lost their subscription so far, and had another later. */
  readonly cameBack: number;
  /** The process's load from the round's beginning to the last message. */
  readonly load: LoopReading;
}

/** The bots of one process. The methods are called in the order in which they stand here, round by round. */
export interface Squad {
  /** How many bots. */
  readonly size: number;
  /** The process that they are in. */
  readonly pid: number;
  /** Connects and subscribes everyone, as far as the server lets it. */
  setUp(onProgress: (progress: EnlistmentProgress) => void): Promise<SetupOutcome>;
  /**
   * Waits until those have another subscription that lost theirs, where bots try for ever; otherwise for
   * nothing. Resolves with how many it had to wait for.
   */
  gather(onProgress: (progress: EnlistmentProgress) => void): Promise<number>;
  /** Waits until nothing has arrived for a while and the event loop is idle. */
  settle(): Promise<SettleOutcome>;
  /** Begins a round: from now on the message is expected. */
  begin(): Promise<void>;
  /** Resolves when everyone who is connected has the message. */
  received(): Promise<void>;
  /** Ends the round; what still comes counts in the next. */
  collect(): Promise<SquadRound>;
  /** From now on, in place of rounds, bots that lose their connection come back. */
  startStorm(): Promise<void>;
  stormProgress(): Promise<StormProgress>;
  /** Nobody comes back any more. */
  endStorm(): Promise<SquadStorm>;
  /** Unsubscribes and closes all. Resolves when they are closed. */
  disband(): Promise<void>;
  /** Drops everything, at any time; idempotent. */
  dismiss(): void;
}
