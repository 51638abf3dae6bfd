/**
 * The report of a run, as `--json` writes it.
 *
 * @module
 */

import type { Tally } from "../measures/tally.ts";

/** The version of the format. Members may be added to it; anything else makes a new version. */
export const SCHEMA = "hotwheels-bots/1";

/**
 * The result of a run. All times are milliseconds with fractions, all counts are bots unless the comment
 * says otherwise, and `null` stands for what couldn't be found out.
 */
export interface BotsReport {
  /** {@linkcode SCHEMA}. */
  schema: typeof SCHEMA;
  /** The moment at which the run began, by the system's clock, in ISO 8601. */
  started_at: string;
  target: {
    host: string;
    port: number;
    /** The IP addresses that the bots connected to. */
    addresses: string[];
    /** The protocol's name. */
    dialect: string;
    /**
     * The side that put the timestamps in. With `publisher`, `latency_ms` doesn't depend on the server's
     * clock.
     */
    stamped_by: "server" | "publisher";
  };
  /** The run's options. */
  options: {
    rounds: number;
    topic: string;
    /** The bytes of the message's `data`, in UTF-8. */
    data_bytes: number;
    timeout_ms: number;
  };
  n: number;
  /** Bots that were good in every round. */
  good: number;
  bad: number;
  /** From the first connect to the last subscription. */
  setup_ms: number;
  /** From the first publish until all connections were closed. */
  run_ms: number;
  /** Bots that lost their subscription and got another one later, with `--retries forever`. */
  came_back: number;
  setup: {
    subscribed: number;
    /** Bots that never subscribed, after all attempts. */
    given_up: number;
    /** Failed attempts (not bots) by reason; most were repeated with success. */
    failed_attempts: Tally;
    /** Bots that the server refused, by the code that it gave. */
    refusals: Tally;
    /** The server's words for not accepting all bots; `null` if it accepted all, or said nothing. */
    refusal: string | null;
    /** The pause before the first publish. */
    settle_ms: number;
    /** True if at the end of that pause nothing arrived any more and the bots' event loops were idle. */
    settled: boolean;
  };
  rounds: RoundReport[];
  /** The median over the valid rounds (over all where none is) of each quantile. */
  medians: {
    latency_ms: QuantilesReport | null;
    end_to_end_ms: QuantilesReport | null;
  };
  /**
   * True if the run measures the server with n subscribers. False if the bots themselves held messages
   * up, or if a bot never subscribed.
   */
  valid: boolean;
  /** The reasons why the run isn't valid, for people. */
  invalid_because: string[];
  /**
   * The bounty's question: within which time the last of n bots had the message, by the worst round's
   * `end_to_end_ms.max`, to which an error of the clocks is added. Also `neither` if not all bots had it, and if the run is invalid.
   */
  verdict: "under_1_s" | "under_2_s" | "neither";
  /**
   * The limit of `--slo` and whether it held; `null` without the flag. It never holds in an invalid run.
   */
  slo: { limit_ms: number; held: boolean } | null;
  /** The bots' processes, with the address of their agent if they have one. */
  processes: { pid: number; bots: number; agent?: string }[];
  /** The load of each process over all rounds: CPU on the whole, delays of the worst round. */
  load: LoadReport[];
  /** With `--agents`, the machines that had the bots; `null` if this one had them. */
  agents: AgentReport[] | null;
  /** With `--agents`, how far latencies may be wrong; `null` if one machine's clock takes all times. */
  clock_error: ClockErrorReport | null;
  environment: EnvironmentReport;
}

/** An agent, and its part of the bots. */
export interface AgentReport {
  /** Its address, as it was given. */
  agent: string;
  bots: number;
  /** Bots that were good in every round. */
  good: number;
  bad: number;
  /** When the last of its good bots had the message, in the worst round; `null` without a good bot. */
  last_ms: number | null;
  /** True if its processes held no message up by more than is allowed. */
  fit: boolean;
  unfit_because: string[];
  /** Each of its processes' clocks. */
  clocks: ClockReport[];
  /** The IP addresses that its bots connected to. */
  addresses: string[];
  environment: EnvironmentReport;
}

/** The clock of a process, less the leader's. */
export interface ClockReport {
  pid: number;
  /** By so much latencies were corrected. */
  offset_ms: number;
  /** The offset is wrong by so much at most. */
  error_ms: number;
  /** Measured before the first message, by the exchange with the least round trip. */
  before: { offset_ms: number; error_ms: number };
  /** Measured after the last message. */
  after: { offset_ms: number; error_ms: number };
}

/** The exactness with which the clocks of all agents are known. */
export interface ClockErrorReport {
  /** The error of the worst: each latency is right to within so much, by the leader's clock. */
  error_ms: number;
  /** The error divided by the last arrival of the worst round; `null` without a good bot. */
  part_of_last: number | null;
  /** True if that is 5 % at most. */
  small: boolean;
}

/** One message, published once. */
export interface RoundReport {
  /** 1 for the first. */
  round: number;
  /** Bots that received the message within the limit, once, and nothing else. */
  good: number;
  bad: number;
  /** Bots that received neither the message within the limit nor a damaged copy. */
  missing: number;
  /** Bots that received it more than once. */
  duplicate: number;
  /** Bots that received a damaged copy, or bytes that are no frame of the protocol. */
  corrupt: number;
  /** Bots that received it, and also a message that these bots didn't publish. */
  foreign: number;
  /** Bots that received it, or an earlier round's message, after the limit. */
  late: number;
  /** Bots without a connection at the round's end. */
  disconnected: number;
  /** Bots whose connection the server ended, by the code that it gave. */
  refusals: Tally;
  /** From the publish until the last bot had the message, or else until the limit had passed. */
  run_ms: number;
  /** The server's timestamp in microseconds since the Unix epoch. */
  server_timestamp_us: number | null;
  /** From the server's timestamp to the arrival, of the good bots. Needs both clocks to agree. */
  latency_ms: QuantilesReport | null;
  /** From the publish to the arrival, of the good bots; one machine's clock, or see `clock_error`. */
  end_to_end_ms: QuantilesReport | null;
  /**
   * `latency_ms` in bins: each row counts the samples above the row before, up to and including
   * `up_to_ms`.
   */
  histogram: { up_to_ms: number; count: number }[];
  /** True if the bots themselves held the message up by no more than is allowed. */
  valid: boolean;
  invalid_because: string[];
  /** The load of each of the bots' processes, from just before the publish to its last message. */
  load: LoadReport[];
  /** With `--agents`, each agent's part, in the order of the report's `agents`; `null` without. */
  agents: AgentRoundReport[] | null;
}

/** An agent's part of a round. */
export interface AgentRoundReport {
  /** Its address, as it was given. */
  agent: string;
  good: number;
  bad: number;
  /** When the last of its good bots had the message, after the publish; `null` without a good bot. */
  last_ms: number | null;
}

/** Quantiles by nearest rank over all samples. */
export interface QuantilesReport {
  min: number;
  p50: number;
  p90: number;
  p99: number;
  p99_9: number;
  max: number;
}

/** One process's load, in the measured windows only. */
export interface LoadReport {
  pid: number;
  /** The address of the agent that started it; absent on this machine. */
  agent?: string;
  /** The length of all windows together. */
  wall_ms: number;
  /** CPU time over wall time; 1 is one core. */
  cpu_share: number;
  /** The delay of timers that were due. */
  loop_lag_ms: DelayReport;
  /** The time that an arrived byte waited to be read. */
  read_delay_ms: DelayReport | null;
}

/** Delays in milliseconds. */
export interface DelayReport {
  p99: number;
  max: number;
}

/** The machine and the runtime of the bots. */
export interface EnvironmentReport {
  runtime: string;
  runtime_version: string;
  hotwheels_version: string;
  os: string;
  os_release: string | null;
  architecture: string;
  cpu_model: string | null;
  cores: number;
  descriptor_limit: number | null;
  port_range: { first: number; last: number } | null;
  max_backlog: number | null;
  /** The command line without the script's name, with stars in place of keys. */
  arguments: string[];
}
