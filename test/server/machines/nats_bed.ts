import { setTimeout as sleep } from "node:timers/promises";
import type { RuntimeName } from "../../../cli/program.ts";
import { JanusClient, message, publish, type Target } from "../../support/clients/janus_client.ts";
import { NatsServer } from "../../support/processes/nats_server.ts";
import { ServerCommand } from "../../support/processes/server_command.ts";
import { until } from "../../support/until.ts";

/** A machine of a cluster: a server with its admin port. */
export class MachineServer {
  readonly server: ServerCommand;

  constructor(server: ServerCommand) {
    this.server = server;
  }

  static async start(
    runtime: RuntimeName,
    nats: NatsServer,
    flags: readonly string[] = [],
  ): Promise<MachineServer> {
    const cluster = flags.includes("--cluster") ? [] : ["--cluster", nats.url];
    const server = await ServerCommand.listening(runtime, [
      "--admin",
      ":0",
      // The subscribers answer no PING, and may wait for long on a busy machine.
      "--ping-after",
      "10m",
      ...cluster,
      ...flags,
    ]);
    return new MachineServer(server);
  }

  get adminUrl(): string {
    return /admin on (http:\/\/[^\s,)]+)/.exec(this.server.stdout)![1]!;
  }

  async status(): Promise<ServerStatus> {
    return await (await fetch(`${this.adminUrl}/status.json`)).json() as ServerStatus;
  }

  async readiness(): Promise<{ readonly code: number; readonly status: string }> {
    const response = await fetch(`${this.adminUrl}/readyz`);
    const { status } = await response.json() as { readonly status: string };
    return { code: response.status, status };
  }

  /** Waits until so many other machines are heard. */
  async sees(members: number): Promise<void> {
    await this.becomes(`it sees ${members} other machines`, ({ cluster }) => {
      return cluster.is_connected &&
        cluster.members.filter(({ is_there }) => is_there).length === members;
    });
  }

  /** Waits until its status is so. */
  async becomes(what: string, isSo: (status: ServerStatus) => boolean): Promise<ServerStatus> {
    for (let tries = 0;; tries++) {
      const status = await this.status();
      if (isSo(status)) return status;
      if (tries === 150) throw new Error(`in vain: ${what}: ${JSON.stringify(status.cluster)}`);
      await sleep(200);
    }
  }
}

/** The parts of `/status.json` that tests look at. */
export interface ServerStatus {
  readonly cluster: {
    readonly is_connected: boolean;
    readonly holder: string | null;
    readonly counts: Readonly<Record<string, number>>;
    readonly members: readonly {
      readonly machine: string;
      readonly address: string;
      readonly release: string;
      readonly is_there: boolean;
      readonly workers: number;
      readonly lag_ms: number;
      readonly gaps: number;
      readonly refills: number;
      readonly holes: number;
    }[];
  };
  readonly workers: readonly {
    readonly name: string;
    readonly process: { readonly pid: number };
  }[];
}

/** The flags of a machine, which may depend on NATS's port. */
export type MachineFlags = readonly string[] | ((natsPort: string) => readonly string[]);

/** Runs NATS and some machines while `body` does. */
export async function withMachines(
  runtime: RuntimeName,
  flags: readonly MachineFlags[],
  body: (machines: readonly MachineServer[], nats: NatsServer) => Promise<void>,
  settings = "",
): Promise<void> {
  const nats = await NatsServer.start(settings);
  const machines: MachineServer[] = [];
  try {
    for (const own of flags) {
      const given = typeof own === "function" ? own(String(nats.port)) : own;
      machines.push(await MachineServer.start(runtime, nats, given));
    }
    for (const machine of machines) await machine.sees(machines.length - 1);
    await body(machines, nats);
  } finally {
    for (const { server } of machines) if (!server.hasExited) server.signal("SIGTERM");
    await Promise.all(machines.map(({ server }) => server.exited().catch(() => server.dispose())));
    await nats.dispose();
  }
}

/** Publishes numbers at a machine until it is stopped. */
export class NumberPublisher {
  count = 0;
  readonly #client: JanusClient;
  readonly #timer: ReturnType<typeof setInterval>;

  private constructor(client: JanusClient, topic: string, intervalMs: number) {
    this.#client = client;
    this.#timer = setInterval(() => {
      if (client.ended === null) client.send(publish(message(topic, this.count++)));
    }, intervalMs);
  }

  /** @param intervalMs Milliseconds between two numbers. */
  static async start(
    { server }: { readonly server: Target },
    intervalMs = 2,
    topic = "t",
  ): Promise<NumberPublisher> {
    return new NumberPublisher(await JanusClient.greeted(server), topic, intervalMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  close(): void {
    this.stop();
    this.#client.close();
  }
}

/** The numbers that a subscriber has got. */
export function numbersOf(client: JanusClient): number[] {
  return client.frames.map((frame) => (JSON.parse(frame) as { readonly data: number }).data);
}

/** Waits until a subscriber has all numbers below `count`, and checks that it has each once, in order. */
export async function hasAll(client: JanusClient, count: number): Promise<void> {
  await until("all has come", () => client.frames.length >= count, 30_000).catch(() => {});
  const wrong = numbersOf(client).findIndex((number, at) => number !== at);
  if (wrong !== -1) throw new Error(`number ${numbersOf(client)[wrong]} stands at ${wrong}`);
  if (client.frames.length < count) {
    throw new Error(`only ${client.frames.length} of ${count} messages have come`);
  }
}
