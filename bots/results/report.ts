/**
 * The report of a run, as `--json` writes it.
 *
 * @module
 */

import type { Tally } from "../measures/tally.ts";

/** The version of the format. Members may be added to it; anything else makes a new version. */
export const SCHEMA = "hotwheels-bots/1";

/**
 * What a run found. All times are milliseconds with fractions, all counts are bots unless it says
 * otherwise, and `null` stands for what couldn't be known.
 */
export interface BotsReport {
  /** {@linkcode SCHEMA}. */
  schema: typeof SCHEMA;
  /** When the run began, by the system's clock, in ISO 8601. */
  started_at: string;
  target: {
    host: string;
    port: number;
    /** The IP addresses that the bots connected to. */
    addresses: string[];
    /** The protocol. */
    dialect: string;
    /** Who put the timestamps in: for `publisher`, `latency_ms` has nothing of the server's clock. */
    stamped_by: "server" | "publisher";
  };
  /** What was asked for. */
  options: {
    rounds: number;
    topic: string;
    /** The bytes of the message's `data`, in UTF-8. */
    data_bytes: number;
    timeout_ms: number;
  };
  n: number;
  /** Good in every round. */
  good: number;
  bad: number;
  /** From the first connect to the last subscription. */
  setup_ms: number;
  /** From the first publish until all connections were closed. */
  run_ms: number;
  /** Bots that lost their subscription and had another later, with `--retries forever`. */
  came_back: number;
  setup: {
    subscribed: number;
    /** Never subscribed, after all attempts. */
    given_up: number;
    /** Attempts (not bots) that failed, by reason; most were made again with success. */
    failed_attempts: Tally;
    /** Whom the server refused, by the code it gave. */
    refusals: Tally;
    /** Why the server didn't take all bots, in its own words; `null` where it did, or said nothing. */
    refusal: string | null;
    /** The pause before the first publish. */
    settle_ms: number;
    /** Whether nothing arrived any more and the bots' event loops were idle at its end. */
    settled: boolean;
  };
  rounds: RoundReport[];
  /** The median over the valid rounds (over all where none is) of each quantile. */
  medians: {
    latency_ms: QuantilesReport | null;
    end_to_end_ms: QuantilesReport | null;
  };
  /**
   * Whether the run is a measure of the server with n subscribers. False where the bots themselves held
   * messages up, and where a bot never subscribed.
   */
  valid: boolean;
  /** Why it isn't, in words for people. */
  invalid_because: string[];
  /**
   * The bounty's question, answered by the worst round's `end_to_end_ms.max`: within which time the last
   * of n had the message. `neither` also where not all had it, and where the run is invalid.
   */
  verdict: "under_1_s" | "under_2_s" | "neither";
  /** What `--slo` asked for; `null` without it. An invalid run doesn't hold it. */
  slo: { limit_ms: number; held: boolean } | null;
  /** The bots' processes. */
  processes: { pid: number; bots: number }[];
  /** The load of each process over all rounds: CPU on the whole, delays of the worst round. */
  load: LoadReport[];
  environment: EnvironmentReport;
}

/** One message, published once. */
export interface RoundReport {
  /** 1 for the first. */
  round: number;
  /** Received the message within the limit, once, and nothing else. */
  good: number;
  bad: number;
  /** Neither received the message within the limit, nor a damaged copy. */
  missing: number;
  /** Received it more than once. */
  duplicate: number;
  /** Received a damaged copy, or what is no frame of the protocol. */
  corrupt: number;
  /** Received it, and besides a message that these bots didn't publish. */
  foreign: number;
  /** Received it, or an earlier round's message, past the limit. */
  late: number;
  /** Had no connection at its end. */
  disconnected: number;
  /** Whose connection the server ended, by the code it gave. */
  refusals: Tally;
  /** From the publish until the last bot had the message, or else until the limit had passed. */
  run_ms: number;
  /** The server's timestamp in microseconds since the Unix epoch. */
  server_timestamp_us: number | null;
  /** From the server's timestamp to the arrival, of the good bots. Needs both clocks to agree. */
  latency_ms: QuantilesReport | null;
  /** From the publish to the arrival, of the good bots; one machine's clock. */
  end_to_end_ms: QuantilesReport | null;
  /** `latency_ms` counted: each row is what lies above the row before, up to and with `up_to_ms`. */
  histogram: { up_to_ms: number; count: number }[];
  /** Whether the bots themselves held the message up no longer than a measure allows. */
  valid: boolean;
  invalid_because: string[];
  /** The load of each of the bots' processes, from just before the publish to its last message. */
  load: LoadReport[];
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
  /** How long the windows were. */
  wall_ms: number;
  /** CPU time over wall time; 1 is one core. */
  cpu_share: number;
  /** How late the event loop ran a timer that was due. */
  loop_lag_ms: DelayReport;
  /** How long a byte that had arrived waited to be read. */
  read_delay_ms: DelayReport | null;
}

/** How long something waited. */
export interface DelayReport {
  p99: number;
  max: number;
}

/** Where the bots ran. */
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
  /** What followed the script's name. */
  arguments: string[];
}
