/**
 * The servers that are measured, and how each is started.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { connect } from "node:net";
import { delimiter, join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { findProgram, type RuntimeName } from "../../../cli/program.ts";
import { lastingPort } from "../../../tools/harness/lasting_port.ts";
import { ServerProcess } from "../../../tools/harness/server_process.ts";
import { EnvironmentError, quote, UsageError, wholeNumber } from "../../../cli/command_line.ts";
import { ProcessGroup } from "../../../cli/process_group.ts";
import type { WireName } from "./wires.ts";
import type { Workload } from "./workload.ts";

/** Milliseconds for a rival to listen. */
const START_PATIENCE_MS = 10_000;

/** The server's default limits for one connection. */
const DEFAULT_MAX_TOPICS = 128;

/** A server that runs. */
export interface RunningServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** A server to be measured. */
export interface Contestant {
  /** As the table names it. */
  readonly name: string;
  readonly wire: WireName;
  /** Starts it fresh; with default settings, but for what the workload can't do without. */
  start(workload: Workload): Promise<RunningServer>;
}

/** Those that the figures are set in relation to. */
export function isRival({ wire }: Contestant): boolean {
  return wire !== "janus";
}

/**
 * Reads the value of `--servers`.
 *
 * @param onMissing Gets what isn't installed, and so left out.
 */
export function parseContestants(
  list: string,
  onMissing: (program: string) => void,
): Contestant[] {
  return list.split(",").flatMap((item) => {
    const [, name = "", workers] = /^([a-z]+)(?::(.*))?$/.exec(item) ?? [];
    if (name === "deno" || name === "bun") {
      return [hotwheels(name, wholeNumber(workers ?? "1", "the workers in --servers", 1, 64))];
    }
    const rival = RIVALS.find((rival) => rival.wire === name);
    if (rival === undefined || workers !== undefined) {
      throw new UsageError(
        `--servers takes deno, bun, deno:2 for two workers, redis and nats, not ${quote(item)}`,
      );
    }
    const path = findOnPath(rival.program);
    if (path !== undefined) return [contestantOf(rival, path)];
    onMissing(rival.program);
    return [];
  });
}

function hotwheels(runtime: RuntimeName, workers: number): Contestant {
  const called = runtime === "bun" ? "Bun" : "Deno";
  return {
    name: `${called} ${workers}`,
    wire: "janus",
    async start({ topicsEach }) {
      const flags = ["--host", "127.0.0.1", "--workers", String(workers), "--log-level", "error"];
      if (topicsEach >= DEFAULT_MAX_TOPICS) flags.push("--max-topics", String(topicsEach + 1));
      const server = await ServerProcess.start(runtime, findProgram(runtime), flags);
      return { port: server.port, stop: async () => void await server.stopped() };
    },
  };
}

interface Rival {
  readonly name: string;
  readonly wire: "redis" | "nats";
  readonly program: string;
  flags(port: number): readonly string[];
}

const RIVALS: readonly Rival[] = [
  {
    name: "Redis",
    wire: "redis",
    program: "redis-server",
    flags: (port) =>
      ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        // Its own default is below the largest workload.
        .concat("--maxclients", "19900"),
  },
  {
    name: "NATS",
    wire: "nats",
    program: "nats-server",
    flags: (port) => ["-a", "127.0.0.1", "-p", String(port)],
  },
];

function contestantOf({ name, wire, flags }: Rival, path: string): Contestant {
  return {
    name,
    wire,
    async start() {
      const port = await lastingPort();
      const group = ProcessGroup.spawn([path, ...flags(port)], { stdio: "ignore", cwd: "/tmp" });
      const stop = async () => {
        group.signal("SIGTERM");
        await group.gone;
      };
      if (await listens(port, group)) return { port, stop };
      group.signal("SIGKILL");
      throw new EnvironmentError(`${path} didn't listen within ${START_PATIENCE_MS / 1000} s`);
    },
  };
}

function findOnPath(program: string): string | undefined {
  // Debian's place for NATS isn't on everybody's PATH.
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"];
  return folders.filter((folder) => folder !== "")
    .map((folder) => join(folder, program)).find((path) => existsSync(path));
}

async function listens(port: number, { child }: ProcessGroup): Promise<boolean> {
  const endMs = performance.now() + START_PATIENCE_MS;
  while (child.exitCode === null && performance.now() < endMs) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (isOpen) return true;
    await sleep(50);
  }
  return false;
}
