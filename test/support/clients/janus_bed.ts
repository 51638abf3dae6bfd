/**
 * A server in this process, and the clients that a test connects to it.
 *
 * @module
 */

import { detectRuntime } from "../../../runtime/detect.ts";
import type { TransportError } from "../../../runtime/types.ts";
import type { AccessOptions } from "../../../server/access/access.ts";
import type { EndReason } from "../../../server/counters.ts";
import type { SessionEnd } from "../../../server/session/session_end.ts";
import type { Limits } from "../../../server/limits.ts";
import { completeLimits } from "../../../server/serve.ts";
import { Server } from "../../../server/server.ts";
import { type ClientOptions, JanusClient, type Target } from "./janus_client.ts";
import { until } from "../until.ts";

/** Connections that a test's server allows: more than any test makes. */
const MAX_CONNECTIONS = 5_000;

/** A running server, what it told, and who is connected. */
export class JanusBed implements Target {
  readonly hostname = "127.0.0.1";
  readonly port: number;
  readonly server: Server;
  readonly ended: SessionEnd[];
  /** The slowed clients, each with its messages a second. */
  readonly throttled: string[];
  readonly #clients: JanusClient[] = [];

  private constructor(port: number, server: Server, ended: SessionEnd[], throttled: string[]) {
    this.throttled = throttled;
    this.port = port;
    this.server = server;
    this.ended = ended;
  }

  /** Starts a server on a port that the system chooses. */
  static async start(
    limits: Partial<Limits> = {},
    access: AccessOptions = {},
  ): Promise<JanusBed> {
    const ended: SessionEnd[] = [];
    const throttled: string[] = [];
    const server = new Server(
      await detectRuntime(),
      completeLimits({ maxConnections: MAX_CONNECTIONS, ...limits }),
      {
        onSessionEnd: (end) => void ended.push(end),
        onThrottled: (address, _port, rate) => void throttled.push(`${address} at ${rate}`),
        onAcceptError: (error: TransportError) => console.error(error),
      },
      { access },
    );
    const address = await server.listen({ transport: "tcp", hostname: "127.0.0.1", port: 0 });
    if (address.transport !== "tcp") throw new TypeError("the server isn't on TCP");
    return new JanusBed(address.port, server, ended, throttled);
  }

  /**
   * Opens a port for WebSockets.
   *
   * @returns The port, which the system chooses.
   */
  async openWebSockets(origins?: readonly string[]): Promise<number> {
    const options = { transport: "tcp", hostname: "127.0.0.1", port: 0 } as const;
    const address = await this.server.listenForWebSockets(options, origins);
    return address.transport === "tcp" ? address.port : NaN;
  }

  /** Connects a client, which the bed disposes of. */
  async open(options?: ClientOptions): Promise<JanusClient> {
    const client = this.begin(options);
    await client.connected();
    return client;
  }

  /** Begins to connect a client, which the bed disposes of. */
  begin(options?: ClientOptions): JanusClient {
    const client = new JanusClient(this, options);
    this.#clients.push(client);
    return client;
  }

  /** Connects a client and takes its greeting. */
  async greeted(options?: ClientOptions): Promise<JanusClient> {
    const client = await this.open(options);
    await client.greeting();
    return client;
  }

  /** Connects a client that is subscribed to the topics. */
  async subscribed(...topics: string[]): Promise<JanusClient> {
    const client = await this.greeted();
    for (const topic of topics) await client.subscribe(topic);
    return client;
  }

  /** Waits until the server has ended as many sessions for this reason. */
  async untilEnded(reason: EndReason, count = 1): Promise<void> {
    const { ended } = this.server.counters;
    await until(`${count} sessions ended with ${reason}`, () => ended[reason] >= count, 30_000);
  }

  /** Disposes of the clients, then of the server. */
  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.dispose()));
    await this.server.stop();
  }
}

/** Runs a test with a server of its own. */
export async function withServer(
  limits: Partial<Limits>,
  test: (bed: JanusBed) => Promise<void>,
  access: AccessOptions = {},
): Promise<void> {
  const bed = await JanusBed.start(limits, access);
  try {
    await test(bed);
  } finally {
    await bed.stop();
  }
}
