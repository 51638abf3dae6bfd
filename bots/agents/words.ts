/**
 * What a leader and its agents say to each other.
 *
 * The agent greets each connection with a random number. The leader answers with one of its own and its
 * proof, the agent with its proof. Then the leader makes calls, one for each phase of a run, and the agent
 * answers them; the first is `prepare`, with the job. Nothing here is sent before both have proved the key.
 *
 * @module
 */

import type { TlsTrust } from "../../runtime/types.ts";
import type { EnvironmentReport } from "../results/report.ts";
import { DEFAULT_PORTS, type DialectName } from "../dialects/dialects.ts";
import { MAX_CONNECTING } from "../fleet/ramp_up.ts";
import { topicProblem } from "../../protocol/topic.ts";
import {
  MAX_AGENTS_DATA_BYTES,
  MAX_BOTS,
  MAX_PROCESSES,
  MAX_RETRIES,
  MAX_SPREAD,
} from "../run/limits.ts";
import type { BotsOptions } from "../run/options.ts";
import { FrameError, type Members } from "./frames.ts";

/** A phase of a run. */
export const CALLS = [
  "prepare",
  "setUp",
  "gather",
  "settle",
  "readClocks",
  "begin",
  "received",
  "collect",
  "leave",
] as const;

/** A phase's name. */
export type Call = typeof CALLS[number];

/** An agent's part of a run. */
export type Job =
  & Pick<
    BotsOptions,
    | "n"
    | "dialect"
    | "host"
    | "port"
    | "tls"
    | "keys"
    | "topic"
    | "data"
    | "retries"
    | "processes"
    | "spread"
  >
  & {
    /** The most bots that may be between connecting and the greeting. */
    readonly maxConnecting: number;
  };

/** The answer to `prepare`. */
export interface Prepared {
  readonly processes: readonly { readonly pid: number; readonly bots: number }[];
  /** The addresses that the bots connect to. */
  readonly addresses: readonly string[];
  readonly environment: EnvironmentReport;
  /** The shortages of the agent's machine, a line each. */
  readonly notes: readonly string[];
}

/**
 * Reads the job of a leader.
 *
 * @throws {FrameError} if it is none, or if a count in it is out of bounds.
 */
export function readJob(members: unknown): Job {
  const job = objectOf(members, "a job");
  const { dialect, topic, data, host, tls, keys } = job;
  if (typeof dialect !== "string" || !Object.hasOwn(DEFAULT_PORTS, dialect)) fail("dialect");
  if (typeof topic !== "string" || topicProblem(topic) !== undefined) fail("topic");
  if (typeof data !== "string" || data.length > MAX_AGENTS_DATA_BYTES) fail("data");
  if (typeof host !== "string" || !/^[^\s/]{1,255}$/.test(host)) fail("host");
  if (!Array.isArray(keys) || keys.length > 8 || !keys.every((key) => typeof key === "string")) {
    fail("keys");
  }
  return {
    n: count(job, "n", 1, MAX_BOTS),
    maxConnecting: count(job, "maxConnecting", 1, MAX_CONNECTING),
    dialect: dialect as DialectName,
    host,
    port: count(job, "port", 1, 65_535),
    tls: tls === null ? null : readTrust(objectOf(tls, "tls")),
    keys,
    topic,
    data,
    retries: job["retries"] === "forever" ? "forever" : count(job, "retries", 0, MAX_RETRIES),
    processes: job["processes"] === "auto" ? "auto" : count(job, "processes", 1, MAX_PROCESSES),
    spread: job["spread"] === "auto" ? "auto" : count(job, "spread", 1, MAX_SPREAD),
  };
}

function readTrust({ serverName, ca }: Members): TlsTrust {
  if (typeof serverName !== "string") fail("serverName");
  if (ca === undefined) return { serverName };
  return typeof ca === "string" ? { serverName, ca } : fail("ca");
}

/**
 * Reads the answer to `prepare`.
 *
 * @param n The number of the agent's bots.
 * @throws {FrameError} if it is none.
 */
export function readPrepared(value: unknown, n: number): Prepared {
  const { processes, addresses, environment, notes } = objectOf(value, "an answer");
  const ofProcesses = listOf(processes, "processes").map((one) => {
    const process = objectOf(one, "a process");
    return { pid: count(process, "pid", 1, Infinity), bots: count(process, "bots", 1, n) };
  });
  if (ofProcesses.reduce((sum, { bots }) => sum + bots, 0) !== n) fail("processes");
  return {
    processes: ofProcesses,
    addresses: listOf(addresses, "addresses").map(String),
    environment: objectOf(environment, "environment") as unknown as EnvironmentReport,
    notes: listOf(notes, "notes").map(String),
  };
}

/**
 * A list with one entry for each process.
 *
 * @throws {FrameError} if it's another.
 */
export function listOf(value: unknown, name: string, length?: number): unknown[] {
  if (!Array.isArray(value) || (length !== undefined && value.length !== length)) fail(name);
  return value;
}

function objectOf(value: unknown, name: string): Members {
  return typeof value === "object" && value !== null ? value as Members : fail(name);
}

function count(members: Members, name: string, min: number, max: number): number {
  const value = members[name];
  if (Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max) {
    return Number(value);
  }
  return fail(name);
}

function fail(name: string): never {
  throw new FrameError(`${name} is missing, or out of bounds`);
}
