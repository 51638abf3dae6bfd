/**
 * Reports of bots for tests of the comparison.
 *
 * @module
 */

import type { BotsReport, QuantilesReport, RoundReport } from "../../../bots/results/report.ts";

/** Quantiles that all follow from the greatest. */
function quantilesTo(max: number): QuantilesReport {
  return { min: 1, p50: max / 2, p90: max * 0.9, p99: max * 0.99, p99_9: max * 0.999, max };
}

/** A round in which all of ten bots were good. */
export function round(at: number, max: number, more: Partial<RoundReport> = {}): RoundReport {
  return {
    round: at + 1,
    good: 10,
    bad: 0,
    missing: 0,
    duplicate: 0,
    corrupt: 0,
    foreign: 0,
    late: 0,
    disconnected: 0,
    refusals: {},
    run_ms: max,
    server_timestamp_us: 1,
    latency_ms: quantilesTo(max),
    end_to_end_ms: quantilesTo(max),
    histogram: [],
    valid: true,
    invalid_because: [],
    load: [],
    agents: null,
    ...more,
  };
}

/** A run of ten bots in which all was well. */
export function botsReport(
  rounds: readonly RoundReport[],
  more: Partial<BotsReport> = {},
): BotsReport {
  return {
    schema: "hotwheels-bots/1",
    started_at: "2026-11-23T12:00:00.000Z",
    target: {
      host: "127.0.0.1",
      port: 8081,
      addresses: ["127.0.0.1"],
      dialect: "janus",
      stamped_by: "server",
    },
    options: { rounds: rounds.length, topic: "events", data_bytes: 4, timeout_ms: 5000 },
    n: 10,
    good: 10,
    bad: 0,
    setup_ms: 12,
    run_ms: 100,
    came_back: 0,
    setup: {
      subscribed: 10,
      given_up: 0,
      failed_attempts: {},
      refusals: {},
      refusal: null,
      settle_ms: 200,
      settled: true,
    },
    rounds: [...rounds],
    medians: { latency_ms: null, end_to_end_ms: null },
    valid: true,
    invalid_because: [],
    verdict: "under_1_s",
    slo: null,
    processes: [{ pid: 1, bots: 10 }],
    load: [],
    agents: null,
    clock_error: null,
    environment: {
      runtime: "bun",
      runtime_version: "1.4.5",
      hotwheels_version: "0.1.0",
      os: "Linux",
      os_release: "6.1",
      architecture: "x64",
      cpu_model: "a CPU",
      cores: 2,
      descriptor_limit: 20_000,
      port_range: null,
      max_backlog: 4096,
      arguments: [],
    },
    ...more,
  };
}
