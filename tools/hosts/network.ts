/**
 * Network namespaces with wires between them.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import process from "node:process";
import { EnvironmentError } from "../../cli/command_line.ts";
import { childEnvironment } from "../../cli/program.ts";
import type { LinkOptions } from "./options.ts";
import {
  allOf,
  type Hosts,
  linkCommands,
  parseCores,
  planHosts,
  runOf,
  type Size,
} from "./plan.ts";

/** Milliseconds for one command that only reads or sets something. */
const COMMAND_PATIENCE_MS = 10_000;

/** Milliseconds that processes have to end after SIGTERM. */
const END_PATIENCE_MS = 3000;

/** The programs that are needed, and the packages that contain them. */
const PACKAGES = { ip: "iproute2", tc: "iproute2", taskset: "util-linux" } as const;

type Program = keyof typeof PACKAGES;

/** The hosts of this run. They exist until they're removed. */
export class HostsNetwork {
  readonly hosts: Hosts;

  private constructor(hosts: Hosts) {
    this.hosts = hosts;
  }

  /**
   * Makes the hosts and their wires, and removes what earlier, killed runs left behind. From the first
   * moment on, the end of this process removes the hosts, however it ends; only SIGKILL prevents that.
   *
   * @throws {EnvironmentError} if this system or user can't make them; nothing is left behind then.
   */
  static create(size: Size, link: LinkOptions): HostsNetwork {
    if (process.platform !== "linux") {
      throw new EnvironmentError(
        `several hosts on one machine need Linux's network namespaces, and this is ${process.platform}`,
      );
    }
    removeLeftovers();
    const cores = parseCores(demand("taskset", ["-pc", String(process.pid)]));
    const network = new HostsNetwork(planHosts(process.pid, cores, size));
    process.once("exit", () => network.remove());
    try {
      for (const { name } of allOf(network.hosts)) demand("ip", ["netns", "add", name]);
      for (const [program, ...args] of linkCommands(network.hosts, link)) {
        demand(program as Program, args);
      }
    } catch (error) {
      network.remove();
      throw error;
    }
    return network;
  }

  /**
   * Ends the processes on the hosts, and removes the hosts. May be called more than once, and doesn't
   * throw.
   */
  remove(): void {
    removeNamespaces(allOf(this.hosts).map(({ name }) => name));
  }
}

/** Removes the namespaces of runs that have ended. */
function removeLeftovers(): void {
  const names = listNamespaces().filter((name) => {
    const run = runOf(name);
    return run !== null && !isAlive(run);
  });
  if (names.length > 0) {
    console.error(`hosts: removing what an earlier run left behind: ${names.join(", ")}`);
  }
  removeNamespaces(names);
}

function removeNamespaces(names: readonly string[]): void {
  const existing = new Set(listNamespaces());
  const ours = names.filter((name) => existing.has(name));
  endProcesses(ours);
  for (const name of ours) run("ip", ["netns", "delete", name]);
}

/** Asks every process in the namespaces to end, and kills those that don't. */
function endProcesses(names: readonly string[]): void {
  const deadline = performance.now() + END_PATIENCE_MS;
  for (const pid of processesIn(names)) signal(pid, "SIGTERM");
  while (processesIn(names).length > 0 && performance.now() < deadline) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }
  for (const pid of processesIn(names)) signal(pid, "SIGKILL");
}

function listNamespaces(): string[] {
  return run("ip", ["netns", "list"]).stdout.split("\n")
    .map((line) => line.split(" ", 1)[0]!).filter((name) => name !== "");
}

function processesIn(names: readonly string[]): number[] {
  return names.flatMap((name) => run("ip", ["netns", "pids", name]).stdout.split("\n"))
    .filter((line) => /^\d+$/.test(line)).map(Number);
}

function signal(pid: number, name: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code !== "ESRCH";
  }
}

/** Runs a command that must succeed, and returns its output. */
function demand(program: Program, args: readonly string[]): string {
  const { problem, stdout } = run(program, args);
  if (problem === null) return stdout;
  const remedy = /permi/i.test(problem)
    ? "run this as root (sudo), on a system that lets root make network namespaces"
    : args.includes("netem")
    ? "this kernel may lack netem: try sudo modprobe sch_netem, or leave --delay out"
    : "";
  const command = [program, ...args].join(" ");
  throw new EnvironmentError(
    `can't make several hosts here: ${command}: ${problem}` + (remedy === "" ? "" : `; ${remedy}`),
  );
}

function run(program: Program, args: readonly string[]) {
  const result = spawnSync(program, args, {
    env: childEnvironment(),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: COMMAND_PATIENCE_MS,
  });
  if ((result.error as { code?: string } | undefined)?.code === "ENOENT") {
    throw new EnvironmentError(
      `${program} isn't installed; sudo apt-get install -y ${PACKAGES[program]}, or sudo dnf ` +
        `install -y ${PACKAGES[program]}`,
    );
  }
  const problem = result.error !== undefined
    ? result.error.message
    : result.status === 0
    ? null
    : (result.stderr.trim().split("\n")[0] || `status ${result.status}`);
  return { problem, stdout: result.stdout ?? "" };
}
