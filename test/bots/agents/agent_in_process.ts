import { connect, type Socket } from "node:net";
import { Agent, type AgentOptions } from "../../../bots/agents/agent.ts";
import { parseDialRule } from "../../../bots/agents/dial_rule.ts";
import { encodeFrame, FrameDecoder, type Members } from "../../../bots/agents/frames.ts";
import { MAX_FRAME_BYTES } from "../../../bots/agents/limits.ts";
import { newNonce, proofOf } from "../../../bots/agents/proof.ts";
import { RemoteAgent } from "../../../bots/agents/remote_agent.ts";
import { detectRuntime } from "../../../runtime/detect.ts";
import { until } from "../../support/until.ts";

export const KEY = "6f1d2a9e0c3b48577a8e9d0c1b2a3f4e";

export const runtime = await detectRuntime();

/** An agent in this process, and what it says. */
export interface Bed {
  readonly agent: Agent;
  readonly port: number;
  readonly said: string[];
}

export async function withAgent(
  options: Partial<AgentOptions>,
  test: (bed: Bed) => Promise<void>,
): Promise<void> {
  const said: string[] = [];
  const agent = await Agent.start(runtime, {
    hostname: "127.0.0.1",
    port: 0,
    identity: null,
    key: KEY,
    rule: parseDialRule(undefined),
    say: (line) => said.push(line),
    ...options,
  });
  try {
    const { address } = agent;
    if (address.transport === "tcp") await test({ agent, port: address.port, said });
  } finally {
    await agent.close();
  }
}

/** A leader as it should be. */
export function lead(
  port: number,
  key = KEY,
  tls: { ca?: string } | null = null,
): Promise<RemoteAgent> {
  const place = { host: "localhost", port, name: `localhost:${port}` };
  return RemoteAgent.connect(runtime, place, { places: [place], key, tls });
}

/** Someone who speaks with an agent as the test wants it to. */
export class Peer {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder(MAX_FRAME_BYTES);
  readonly frames: Members[] = [];
  isOver = false;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.#socket.on("data", (chunk: Uint8Array) => {
      this.#decoder.push(chunk, (members) => this.frames.push(members) > 0);
    });
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.isOver = true);
    this.#socket.on("end", () => this.isOver = true);
  }

  /** Connects, and has the agent's random number. */
  static async greeted(port: number): Promise<Peer> {
    const peer = new Peer(port);
    await until("the agent greets", () => peer.frames.length > 0);
    return peer;
  }

  /** Connects, and proves the key. */
  static async proven(port: number): Promise<Peer> {
    const peer = await Peer.greeted(port);
    peer.send(peer.proof(KEY));
    await until("the agent proves itself", () => peer.frames.length > 1);
    return peer;
  }

  get nonce(): string {
    return String(this.frames[0]!["nonce"]);
  }

  proof(key: string, leader = newNonce()): Members {
    const nonces = { agent: this.nonce, leader };
    return { hotwheels_agents: 1, nonce: leader, proof: proofOf(key, "leader", nonces) };
  }

  send(members: object): void {
    this.write(encodeFrame(members));
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Waits until the agent has closed; whether it said anything besides its greeting. */
  async closed(): Promise<Members | undefined> {
    await until("the agent closes", () => this.isOver);
    this.close();
    return this.frames[1];
  }
}
