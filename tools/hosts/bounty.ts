/**
 * One run: a server with its bots, or a cluster of servers with theirs.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BotsReport } from "../../bots/results/report.ts";
import type { ProcessGroup } from "../../cli/process_group.ts";
import { findProgram, type RuntimeName } from "../../cli/program.ts";
import { runBots } from "../harness/bots_process.ts";
import { NatsProcess } from "../harness/nats_process.ts";
import { ServerProcess } from "../harness/server_process.ts";
import { startAgent } from "./agent_process.ts";
import type { HostsOptions } from "./options.ts";
import { type Hosts, type Machine, natsAddress, onHost } from "./plan.ts";

/** Milliseconds for one run of bots, far more than any takes, even with many rounds. */
const BOTS_LIMIT_MS = 30 * 60_000;

/** The ports of a host are free: nothing else runs in its network. */
const SERVER_PORT = 8081;
const NATS_PORT = 4222;
const AGENT_PORT = 9090;

/** The circumstances of a run. */
export interface BountyContext {
  readonly hosts: Hosts;
  readonly options: HostsOptions;
  /** Receives text for people. */
  readonly say: (text: string) => void;
}

/**
 * Plays the bounty, and ends everything that it started.
 *
 * @throws {EnvironmentError} (rejects) if a server, NATS or the bots can't be run.
 */
export function playBounty(runtime: RuntimeName, context: BountyContext): Promise<BotsReport> {
  return context.hosts.nats === null ? playOnOne(runtime, context) : playOnAll(runtime, context);
}

/** Starts the server of a machine. @param flags Further flags. */
export function startServer(
  runtime: RuntimeName,
  { server }: Machine,
  { workers }: Pick<HostsOptions, "workers">,
  flags: readonly string[] = [],
): Promise<ServerProcess> {
  const own = ["--host", server.address, "--log-level", "warning", "--workers", String(workers)];
  return ServerProcess.start(runtime, findProgram(runtime), [...own, ...flags], onHost(server));
}

async function playOnOne(
  runtime: RuntimeName,
  { hosts, options, say }: BountyContext,
): Promise<BotsReport> {
  const [machine] = hosts.machines;
  const server = await startServer(runtime, machine, options);
  try {
    return await runOn(machine, options, say, [
      ...[options.n, machine.server.address, server.port],
    ]);
  } finally {
    await server.stopped();
  }
}

async function playOnAll(
  runtime: RuntimeName,
  { hosts: { machines, nats }, options, say }: BountyContext,
): Promise<BotsReport> {
  const servers: ServerProcess[] = [];
  const agents: ProcessGroup[] = [];
  const folder = mkdtempSync(join(tmpdir(), "hotwheels-hosts-"));
  const keyFile = join(folder, "agents.key");
  writeFileSync(keyFile, randomBytes(32).toString("hex"), { mode: 0o600 });
  let engine: NatsProcess | undefined;
  try {
    engine = await NatsProcess.start({ hostname: "0.0.0.0", port: NATS_PORT }, onHost(nats!));
    for (const [at, machine] of machines.entries()) {
      const cluster = ["--cluster", `nats://${natsAddress(at)}:${NATS_PORT}`];
      const flags = ["--port", String(SERVER_PORT), ...cluster];
      servers.push(await startServer(runtime, machine, options, flags));
    }
    const { botsRuntime } = options;
    const addresses = machines.map(({ botsAddress }, at) =>
      `${at === 0 ? "127.0.0.1" : botsAddress}:${AGENT_PORT}`
    );
    for (const [at, { bots, server }] of machines.entries()) {
      agents.push(
        await startAgent({
          runtime: botsRuntime,
          program: findProgram(botsRuntime),
          prefix: onHost(bots),
          address: addresses[at]!,
          keyFile,
          mayDial: server.address,
        }),
      );
    }
    const [first] = machines;
    return await runOn(first, options, say, [
      ...[options.n * machines.length, first.server.address, SERVER_PORT],
      ...["--agents", addresses.join(","), "--key-file", keyFile],
    ]);
  } finally {
    rmSync(folder, { recursive: true });
    for (const agent of agents) agent.signal("SIGTERM");
    await Promise.all([
      ...servers.map((server) => server.stopped()),
      ...agents.map(({ gone }) => gone),
    ]);
    await engine?.kill();
  }
}

function runOn(
  { bots }: Machine,
  { botsRuntime, rounds, sloMs }: HostsOptions,
  say: (text: string) => void,
  args: readonly (string | number)[],
): Promise<BotsReport> {
  return runBots({
    runtime: botsRuntime,
    program: findProgram(botsRuntime),
    prefix: onHost(bots),
    args: [...args, "--rounds", rounds, "--slo", `${sloMs}ms`],
    limitMs: BOTS_LIMIT_MS,
    say,
  });
}
