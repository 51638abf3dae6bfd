/**
 * An agent, as its leader sees it.
 *
 * @module
 */

import { EnvironmentError } from "../../cli/command_line.ts";
import { type Runtime, TransportError } from "../../runtime/types.ts";
import type { RampUpProgress } from "../fleet/ramp_up.ts";
import type { AgentPlace, LeaderOptions } from "../run/agent_options.ts";
import { resolve } from "../run/target.ts";
import { FrameError, type Members } from "./frames.ts";
import { AGENTS_VERSION, PROOF_PATIENCE_MS } from "./limits.ts";
import { Link, type LinkOwner } from "./link.ts";
import { isNonce, isProof, newNonce, type Nonces, proofOf } from "./proof.ts";
import type { Call, Job } from "./words.ts";

/** Milliseconds to connect to one address. */
const CONNECT_PATIENCE_MS = 3_000;

interface PendingCall {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** A link to an agent that has proved that it knows the key, as this leader has. */
export class RemoteAgent implements LinkOwner {
  /** Its address, as it was given. */
  readonly name: string;
  readonly #key: string;
  readonly #isSecure: boolean;
  readonly #nonce = newNonce();
  readonly #proven = Promise.withResolvers<void>();
  readonly #calls = new Map<number, PendingCall>();
  /** Set by the function that accepts the connection, before anything else happens. */
  #link!: Link;
  #nonces: Nonces | null = null;
  #isProven = false;
  #lastId = 0;
  #failure: Error | null = null;
  /**
   * The agent's part of the run, such as `500 of 1000 bots`, once it has one. From then on a lost agent is
   * the end of a run, not of its beginning.
   */
  role: string | null = null;
  /** Receives the progress of the agent's bots. */
  onProgress: (progress: RampUpProgress) => void = () => {};

  private constructor({ name }: AgentPlace, { key, tls }: LeaderOptions) {
    this.name = name;
    this.#key = key;
    this.#isSecure = tls !== null;
    // A failure belongs to the caller that awaits it, even if it happens before that.
    this.#proven.promise.catch(() => {});
  }

  /**
   * Connects to an agent, and proves the key.
   *
   * @throws {EnvironmentError} (rejects) if there is none, if it has another key, or if it is busy.
   */
  static async connect(
    runtime: Runtime,
    place: AgentPlace,
    leader: LeaderOptions,
  ): Promise<RemoteAgent> {
    const agent = new RemoteAgent(place, leader);
    await agent.#dial(runtime, place, leader.tls);
    const timer = setTimeout(
      () => agent.#fail(agent.#mute()),
      CONNECT_PATIENCE_MS + PROOF_PATIENCE_MS,
    );
    await agent.#proven.promise.finally(() => clearTimeout(timer));
    return agent;
  }

  async #dial(
    runtime: Runtime,
    { host, port, name }: AgentPlace,
    tls: LeaderOptions["tls"],
  ): Promise<void> {
    let failure: TransportError | undefined;
    for (const hostname of await resolve(host)) {
      const to = { transport: "tcp", hostname, port, timeoutMs: CONNECT_PATIENCE_MS } as const;
      try {
        await runtime.connect(
          tls === null ? to : { ...to, tls: { ...tls, serverName: host } },
          (connection) => this.#link = new Link(connection, this),
        );
        return;
      } catch (error) {
        if (!(error instanceof TransportError)) throw error;
        failure ??= error;
      }
    }
    const remedy = failure?.code === "handshake_failed"
      ? `--agents-tls is for agents with --tls-cert, whose certificate is for ${host} and vouched for ` +
        "by --agents-ca FILE"
      : `start one there: hotwheels bots --agent ${port} --key-file FILE`;
    throw new EnvironmentError(
      `no agent answers at ${name} (${failure?.message ?? "no address"}); ${remedy}`,
      { cause: failure },
    );
  }

  #mute(how = ""): string {
    return `what listens at ${this.name} doesn't speak as an agent does${how}` +
      (this.#isSecure ? "" : "; --agents-tls is for one with --tls-cert");
  }

  /**
   * Makes a call.
   *
   * @throws {EnvironmentError} (rejects) if the agent can't do it, or is lost.
   */
  call(call: Call, job?: Job): Promise<unknown> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#link.send(job === undefined ? { id, call } : { id, call, job });
    });
  }

  /**
   * Gives the agent up: it makes no sense.
   *
   * @throws {EnvironmentError} always.
   */
  distrust(error: unknown): never {
    if (error instanceof FrameError) {
      this.onEnd(`it sent what makes no sense here: ${error.message}`);
    }
    throw this.#failure ?? error;
  }

  /** Ends the link, and with it the agent's bots. May be called more than once. */
  end(): void {
    this.#link.end();
    this.#giveUp(`the link to the agent at ${this.name} is closed`);
  }

  onFrame(members: Members): void {
    if (!this.#isProven) return this.#onGreeting(members);
    const { id, value, failed, progress } = members;
    if (progress !== undefined) return this.onProgress(progress as RampUpProgress);
    const call = this.#calls.get(Number(id));
    this.#calls.delete(Number(id));
    if (typeof failed === "string") {
      call?.reject(new EnvironmentError(`the agent at ${this.name}: ${failed}`));
    } else call?.resolve(value);
  }

  #onGreeting({ hotwheels_agents, nonce, refused, busy, proof }: Members): void {
    if (refused === "key") {
      return this.#fail(`the agent at ${this.name} has another key: give it and this the same one`);
    }
    if (hotwheels_agents !== undefined && hotwheels_agents !== AGENTS_VERSION) {
      return this.#fail(
        `the agent at ${this.name} is of another version of Hotwheels: install the same on both`,
      );
    }
    if (this.#nonces === null) {
      if (!isNonce(nonce)) return this.#fail(this.#mute());
      this.#nonces = { agent: nonce, leader: this.#nonce };
      return this.#link.send({
        hotwheels_agents: AGENTS_VERSION,
        nonce: this.#nonce,
        proof: proofOf(this.#key, "leader", this.#nonces),
      });
    }
    if (!isProof(proof, proofOf(this.#key, "agent", this.#nonces))) {
      return this.#fail(
        `what listens at ${this.name} doesn't know the key, so it's told nothing: is it your agent?`,
      );
    }
    if (busy === true) {
      return this.#fail(
        `the agent at ${this.name} is busy with another leader's run; wait until that is over`,
      );
    }
    this.#isProven = true;
    this.#link.trust();
    this.#proven.resolve();
  }

  onEnd(how: string): void {
    if (!this.#isProven) return this.#fail(this.#mute(`: ${how}`));
    this.#fail(
      this.role === null
        ? `the agent at ${this.name} is lost: ${how}`
        : `INVALID: the agent at ${this.name} with ${this.role} is lost: ${how}; the run is void`,
    );
  }

  #fail(message: string): void {
    this.#link.drop();
    this.#giveUp(message);
  }

  #giveUp(message: string): void {
    this.#failure ??= new EnvironmentError(message);
    this.#proven.reject(this.#failure);
    for (const { reject } of this.#calls.values()) reject(this.#failure);
    this.#calls.clear();
  }
}
