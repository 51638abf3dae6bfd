import { buildReport, type RunContext } from "../../../bots/results/build_report.ts";
import type { LoopReading } from "../../../bots/measures/loop_meter.ts";
import type { BotsReport } from "../../../bots/results/report.ts";
import type { RunRecord } from "../../../bots/run/run.ts";
import type { GroupRound } from "../../../bots/fleet/group.ts";
import { OPTIONS } from "../run/scripted_run.ts";

export const calm: LoopReading = {
  wallMs: 1270,
  cpuShare: 0.314,
  timerLagMs: { p99: 4.25, max: 6.5 },
  readDelayMs: { p99: 1.25, max: 2 },
};

export const SETUP = {
  greeted: 0,
  subscribed: 0,
  failedAttempts: {},
  givenUp: 0,
  refusals: {},
  firstRefusal: null,
  beganAtMs: 1_000_000,
  endedAtMs: 1_005_055.7,
};

export const PUBLISHED_AT_MS = 1_100_000;

/** A round in which bots got the message so many milliseconds after the server's timestamp. */
export function groupRound(latencies: number[], other: Partial<GroupRound> = {}): GroupRound {
  return {
    stampMicros: (PUBLISHED_AT_MS + 0.25) * 1000,
    receivedAtMs: latencies.map((ms) => ms === 0 ? 0 : PUBLISHED_AT_MS + 0.25 + ms),
    marks: [],
    refusals: {},
    disconnected: 0,
    cameBack: 0,
    load: calm,
    ...other,
  };
}

export function context(n: number, options: Partial<RunContext["options"]> = {}): RunContext {
  return {
    options: { ...OPTIONS, n, port: 8081, ...options },
    startedAt: new Date(1_795_435_717_985),
    addresses: ["127.0.0.1"],
    dialect: { name: "janus", stampedBy: "server" },
    processes: [{ pid: 4711, bots: n }],
    environment: {
      runtime: "bun",
      runtime_version: "1.4.5",
      hotwheels_version: "0.1.0",
      os: "Linux",
      os_release: null,
      architecture: "x64",
      cpu_model: null,
      cores: 2,
      descriptor_limit: 20_000,
      port_range: null,
      max_backlog: null,
      arguments: [],
    },
    agents: null,
  };
}

export function report(
  rounds: GroupRound[],
  options: Partial<RunContext["options"]> = {},
  setups: RunRecord["setups"] = [SETUP],
): BotsReport {
  const record: RunRecord = {
    setups,
    clocks: null,
    refusal: null,
    settle: { settledMs: 201.4, isQuiet: true },
    rounds: rounds.map((group) => ({ publishedAtMs: PUBLISHED_AT_MS, groups: [group] })),
    closedAtMs: PUBLISHED_AT_MS + 7524.29,
  };
  return buildReport(record, context(rounds[0]!.receivedAtMs.length, options));
}

/** As many bots in each half second as in the notes of 2009. */
export const SAMPLE = [
  1.869,
  ...Array<number>(2124).fill(400),
  ...Array<number>(5010).fill(900),
  ...Array<number>(2864).fill(1100),
  1269.785,
];
