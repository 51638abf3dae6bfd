/**
 * A server process under attack, its own counts, and bystanders that the attack must not harm.
 *
 * @module
 */

import { assertLess, assertMatch } from "@std/assert";
import type { Counters, EndReason } from "../../../server/counters.ts";
import { Bystander } from "./bystander.ts";
import { Fixture } from "../processes/fixture.ts";
import {
  type ClientOptions,
  JanusClient,
  subscribe,
  type Target,
} from "../clients/janus_client.ts";
import { quiet, until } from "../until.ts";

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** A server's own counts. */
export interface ServerState {
  readonly counters: Counters;
  readonly heldBytes: number;
  /** The most that it ever held. */
  readonly peakHeldBytes: number;
  /** The most memory that its process ever had. */
  readonly peakRssBytes: number;
  readonly topicCount: number;
}

/** Milliseconds. Attacks once held up a bystander's messages for as long as they went on, or for ever. */
const ATTACK_MS = 1_000;

/** The options of a bed. */
export interface BedOptions {
  /** Descriptors that the server's process may have. */
  readonly descriptors?: number;
  /** The topic of the bystanders; one that no attack is on unless given. */
  readonly topic?: string;
  /** The address from which the bystanders come; 127.0.0.1 unless given. */
  readonly from?: string;
  /** The server's address, 127.0.0.1 by default. */
  readonly host?: string;
}

/** Clients that connect at once, so that no backlog overflows. */
const AT_ONCE = 100;

/** A server process, and the clients that attack it. */
export class AttackBed implements Target {
  readonly hostname: string;
  readonly port: number;
  /** The port for WebSockets; `NaN` without the flag for one. */
  readonly webSocketPort: number;
  readonly #process: Fixture;
  readonly #clients: JanusClient[] = [];
  /** Fails unless the bystanders have had their messages so far, and get some more. */
  confirm: () => Promise<void> = () => Promise.resolve();

  private constructor(process: Fixture, hostname: string, ports: readonly number[]) {
    this.#process = process;
    this.hostname = hostname;
    [this.port = NaN, this.webSocketPort = NaN] = ports;
  }

  static async start(flags: readonly string[], options: BedOptions): Promise<AttackBed> {
    const { descriptors, host = "127.0.0.1" } = options;
    const script = new URL("attacked_server.ts", import.meta.url).pathname;
    const args = ["--host", host, "--port", "0", ...flags];
    const process = new Fixture(script, args, descriptors);
    const hostname = host === "0.0.0.0" ? "127.0.0.1" : host;
    return new AttackBed(process, hostname, (await process.line()).split(" ").map(Number));
  }

  /** The server's log. */
  get log(): string {
    return this.#process.errors;
  }

  /** Begins to connect a client, which the bed disposes of. */
  begin(options?: ClientOptions): JanusClient {
    const client = new JanusClient(this, options);
    this.#clients.push(client);
    return client;
  }

  /** Connects clients, which the bed disposes of. */
  async open(count: number, options?: ClientOptions): Promise<JanusClient[]> {
    const clients: JanusClient[] = [];
    while (clients.length < count) {
      const some = Math.min(AT_ONCE, count - clients.length);
      const opened = Array.from({ length: some }, () => this.begin(options));
      await Promise.all(opened.map((client) => client.connected()));
      clients.push(...opened);
    }
    return clients;
  }

  /** Connects a client, and takes its greeting. */
  async greeted(options?: ClientOptions): Promise<JanusClient> {
    const client = this.begin(options);
    await client.greeting();
    return client;
  }

  /** Connects a client that never reads, and subscribes it. */
  async deaf(...topics: string[]): Promise<JanusClient> {
    const before = (await this.state()).counters.subscriptions;
    const client = this.begin({ deaf: true });
    await client.connected();
    for (const topic of topics) client.send(subscribe(topic));
    await this.untilState(
      "it is subscribed",
      ({ counters }) => counters.subscriptions >= before + topics.length,
    );
    return client;
  }

  /**
   * Attacks from a process of its own, during which the bystanders must have their messages.
   *
   * @param mode The attack's name in `attacker.ts`.
   * @param isFelt True once the server has had enough of the attack: before that it proves nothing, however long
   * it takes on a busy machine.
   */
  async attack(
    mode: string,
    clients: number,
    isFelt: (state: ServerState) => boolean,
  ): Promise<void> {
    const attacker = startAttacker(this, mode, clients);
    try {
      await quiet(ATTACK_MS);
      await this.untilState(`it feels ${mode}`, isFelt);
      await this.confirm();
      await attacker.finished();
    } finally {
      await attacker.stop();
    }
  }

  /** Asks the server how it is. */
  async state(): Promise<ServerState> {
    this.#process.send("state");
    return JSON.parse(await this.#process.line()) as ServerState;
  }

  /** Asks the server until what it says satisfies. */
  async untilState(what: string, holds: (state: ServerState) => boolean): Promise<ServerState> {
    const deadlineMs = performance.now() + 30_000;
    for (;;) {
      const state = await this.state();
      if (holds(state)) return state;
      if (performance.now() > deadlineMs) {
        throw new Error(`waited in vain until ${what}: ${JSON.stringify(state)}\n${this.log}`);
      }
      await quiet(10);
    }
  }

  /** Waits until the server has counted as many sessions that ended for this reason. */
  untilEnded(reason: EndReason, count: number): Promise<ServerState> {
    return this.untilState(
      `${count} ended with ${reason}`,
      ({ counters }) => counters.ended[reason] >= count,
    );
  }

  /** Waits until a line of the log matches. */
  async untilLogged(line: RegExp): Promise<void> {
    await until(`the log has ${line}`, () => line.test(this.log)).catch(() =>
      assertMatch(this.log, line)
    );
  }

  /** Fails where the server's process ever had more memory. */
  async assertPeakBelow(bytes: number): Promise<void> {
    assertLess((await this.state()).peakRssBytes / MIB, bytes / MIB);
  }

  /** Disposes of the clients that attack. */
  async disband(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.dispose()));
  }

  /** Disposes of the clients and of the server, which must still be there. */
  async stop(): Promise<void> {
    await this.disband();
    await this.#process.finished();
  }

  /** Frees everything, whatever has happened. */
  async dispose(): Promise<void> {
    await this.disband();
    await this.#process.stop();
  }
}

/**
 * Begins to attack from a process of its own, until its input ends.
 *
 * @param mode The attack's name in `attacker.ts`.
 */
export function startAttacker({ hostname, port }: Target, mode: string, clients: number): Fixture {
  const script = new URL("attacker.ts", import.meta.url).pathname;
  return new Fixture(script, [hostname, String(port), mode, String(clients)]);
}

/**
 * Attacks a server of its own, with bystanders whose messages must all come; the server must be
 * there in the end.
 */
export async function underAttack(
  flags: readonly string[],
  attack: (bed: AttackBed) => Promise<void>,
  options: BedOptions = {},
): Promise<void> {
  const bed = await AttackBed.start(flags, options);
  try {
    const { topic = "calm", from } = options;
    const bystander = await Bystander.arrive(bed, topic, from === undefined ? {} : { from });
    bed.confirm = () => bystander.confirm();
    try {
      await bed.confirm();
      await attack(bed);
      await bed.confirm();
    } finally {
      await bystander.leave();
    }
    await bed.disband();
    // What was published last is held until the next pass has stored it.
    await bed.untilState(
      "all have gone, and what they held",
      ({ counters, heldBytes }) => counters.connections === 0 && heldBytes === 0,
    );
    await bed.stop();
  } finally {
    await bed.dispose();
  }
}
