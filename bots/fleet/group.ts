/**
 * A group: the bots of one process, as the process that leads the run sees them. All times are
 * milliseconds since the Unix epoch with fractions, by `clockMs`: one clock for all processes of a
 * machine.
 *
 * @module
 */

import type { TlsTrust } from "../../runtime/types.ts";
import type { DialectName } from "../dialects/dialects.ts";
import type { RampUpProgress } from "./ramp_up.ts";
import type { LoopReading } from "../measures/loop_meter.ts";
import type { Tally } from "../measures/tally.ts";
import type { GroupStorm, StormProgress } from "./reconnection.ts";
import type { ResumptionPlan } from "./resumption.ts";

/** The plan of a group. Plain JSON, because it crosses process boundaries. */
export interface GroupPlan {
  readonly size: number;
  /** IP addresses of the server. Bot i connects to address number i modulo their count. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** The certificates to accept; `null` for a server without TLS. */
  readonly tls: TlsTrust | null;
  readonly dialect: DialectName;
  /** The keys to authenticate with; none for a client of 2009. */
  readonly keys: readonly string[];
  readonly topic: string;
  readonly data: string;
  /** The most bots that may be between connecting and the greeting. */
  readonly maxConnecting: number;
  /**
   * The number of times that a bot which can't get subscribed tries again; with `"forever"` also a bot
   * that lost its subscription.
   */
  readonly retries: number | "forever";
  /** The messages published to bots that come back with their positions; `null` if they come without. */
  readonly resumption: ResumptionPlan | null;
}

/** The result of connecting and subscribing. */
export interface SetupOutcome extends RampUpProgress {
  /** Bots that never subscribed. */
  readonly givenUp: number;
  /** The server's refusals, counted by reason. */
  readonly refusals: Tally;
  /** The first refusal in full; `null` if there was none, or none with words. */
  readonly firstRefusal: string | null;
  /** The moment at which the first bot began to connect. */
  readonly beganAtMs: number;
  /** The moment at which the last bot was subscribed. */
  readonly endedAtMs: number;
}

/** The result of waiting for quiet. */
export interface SettleOutcome {
  readonly settledMs: number;
  /** False if it didn't become quiet within the time limit. */
  readonly isQuiet: boolean;
}

/** The faults of a bot in a round. Bits, so that one number holds several. */
export const Mark = {
  /** The right message arrived more than once. */
  duplicate: 1,
  /** A frame arrived that the server must never send. */
  damaged: 2,
  /** A well-formed message arrived that isn't the published one. */
  different: 4,
  /** An earlier round's message arrived in this round. */
  late: 8,
} as const;

/** The messages that a group's bots received in one round. */
export interface GroupRound {
  /**
   * The server's timestamp in microseconds since the Unix epoch; `null` if no bot received the message.
   */
  readonly stampMicros: number | null;
  /** The moment at which each bot had the message; 0 for never. */
  readonly receivedAtMs: readonly number[];
  /** The {@linkcode Mark}s of each bot that has any. */
  readonly marks: readonly (readonly [index: number, marks: number])[];
  /** The server's refusals since the last round, counted by reason. */
  readonly refusals: Tally;
  /** Bots without a connection at the round's end, including those that never had one. */
  readonly disconnected: number;
  /** Bots that lost their subscription so far and got another one later. */
  readonly cameBack: number;
  /** The process's load from the round's beginning to its last message. */
  readonly load: LoopReading;
}

/**
 * The bots of one process. Call the methods in the order in which they stand here; those of a round, once
 * for each round.
 */
export interface BotGroup {
  /** The number of bots. */
  readonly size: number;
  /** The ID of their process. */
  readonly pid: number;
  /** Connects and subscribes all bots, as far as the server accepts them. */
  setUp(onProgress: (progress: RampUpProgress) => void): Promise<SetupOutcome>;
  /**
   * With `"forever"`, waits until each bot that lost its subscription has another one; else resolves at
   * once. Resolves with the number of bots that it waited for.
   */
  gather(onProgress: (progress: RampUpProgress) => void): Promise<number>;
  /** Waits until nothing has arrived for a while and the event loop is idle. */
  settle(): Promise<SettleOutcome>;
  /** The time now on the clock by which the group takes its times. */
  readClock(): Promise<number>;
  /** Begins a round: from now on bots expect the message. */
  begin(): Promise<void>;
  /** Resolves when every connected bot has the message. */
  received(): Promise<void>;
  /** Ends the round. Messages that arrive later count in the next round. */
  collect(): Promise<GroupRound>;
  /** Begins a storm in place of rounds: from now on bots that lose their connection come back. */
  startStorm(): Promise<void>;
  /** Breaks the connections of all bots, at once. */
  cut(): Promise<void>;
  stormProgress(): Promise<StormProgress>;
  /** Ends the storm: from now on bots stay away. */
  endStorm(): Promise<GroupStorm>;
  /** Unsubscribes and closes all connections. Resolves when they are closed. */
  leave(): Promise<void>;
  /** Drops all connections. May be called at any time, more than once. */
  abandon(): void;
}
