/**
 * One connection to an agent.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { counted } from "../../cli/counted.ts";
import { EnvironmentError } from "../../cli/command_line.ts";
import { type Connection, TransportError } from "../../runtime/types.ts";
import { FrameError, type Members } from "./frames.ts";
import type { JobRun } from "./job.ts";
import { AGENTS_VERSION, MAX_PENDING_CALLS } from "./limits.ts";
import { Link, type LinkOwner } from "./link.ts";
import { isNonce, isProof, newNonce, proofOf } from "./proof.ts";
import type { WrongProofs } from "./wrong_proofs.ts";
import { type Call, CALLS, type Job, readJob } from "./words.ts";

/** The agent, as its sessions see it. */
export interface Host {
  readonly key: string;
  /** Milliseconds that a stranger has to prove the key. */
  readonly proofPatienceMs: number;
  /** Milliseconds of silence after which a leader is gone. */
  readonly silenceMs: number;
  readonly wrongProofs: WrongProofs;
  /** Gives a proven leader the agent; `null` if another leader has it. */
  admit(session: Session): JobRun | null;
  /** The session has ended, or its run is over: the agent is free if it was this session's. */
  release(session: Session): void;
  /** Tells the user who runs the agent. */
  say(line: string): void;
}

/** A connection that may be a leader's. */
export class Session implements LinkOwner {
  readonly link: Link;
  readonly #host: Host;
  readonly #nonce = newNonce();
  readonly #patience: ReturnType<typeof setTimeout>;
  #isProving = false;
  #isOver = false;
  #run: JobRun | null = null;
  #pending = 0;

  constructor(connection: Connection, host: Host) {
    this.#host = host;
    this.link = new Link(connection, this, host.silenceMs);
    this.link.send({ hotwheels_agents: AGENTS_VERSION, nonce: this.#nonce });
    this.#patience = setTimeout(() => this.drop(), host.proofPatienceMs);
  }

  /** Drops the connection, and the bots if they were its own. May be called more than once. */
  drop(): void {
    this.link.drop();
    this.#close();
  }

  /** The same, after what was sent has gone out. */
  #end(): void {
    this.link.end();
    this.#close();
  }

  onFrame(members: Members): void {
    if (this.#run !== null) return this.#onCall(members, this.#run);
    // A leader says nothing more until its proof is answered.
    if (this.#isProving) return this.drop();
    this.#isProving = true;
    clearTimeout(this.#patience);
    this.#prove(members).catch((error) => this.#onDefect(error));
  }

  async #prove({ hotwheels_agents, nonce, proof }: Members): Promise<void> {
    const { key, wrongProofs } = this.#host;
    if (!isNonce(nonce)) return this.drop();
    if (hotwheels_agents !== AGENTS_VERSION) return this.#refuse("version");
    const delayMs = wrongProofs.delayMs(performance.now());
    if (delayMs > 0) await sleep(delayMs);
    if (this.#isOver) return;
    const nonces = { agent: this.#nonce, leader: nonce };
    if (!isProof(proof, proofOf(key, "leader", nonces))) {
      if (wrongProofs.add(performance.now())) {
        this.#host.say(`${this.link.remoteAddress} doesn't know the key`);
      }
      return this.#refuse("key");
    }
    this.#run = this.#host.admit(this);
    const ours = { proof: proofOf(key, "agent", nonces) };
    if (this.#run === null) {
      this.link.send({ ...ours, busy: true });
      return this.#end();
    }
    this.link.send(ours);
    this.link.trust();
  }

  #refuse(why: "version" | "key"): void {
    this.link.send({ refused: why, hotwheels_agents: AGENTS_VERSION });
    this.#end();
  }

  #onCall({ id, call, job }: Members, run: JobRun): void {
    const name = CALLS.find((name) => name === call);
    if (typeof id !== "number" || name === undefined || this.#pending >= MAX_PENDING_CALLS) {
      return this.#onNonsense("a call that there isn't, or too many at once");
    }
    this.#pending++;
    this.#answer(name, job, run).then(
      (value) => this.#onAnswer(name, { id, value: value ?? null }),
      (error) => this.#onFailure(id, error),
    ).finally(() => this.#pending--);
  }

  async #answer(call: Call, members: unknown, run: JobRun): Promise<unknown> {
    if (call === "prepare") {
      const job = readJob(members);
      this.#tellOf(job);
      return await run.prepare(job);
    }
    return await run.answer(call, (progress) => this.link.sendNews({ progress }));
  }

  #onAnswer(call: Call, answer: object): void {
    if (call === "leave") {
      // The agent is free before the leader hears so, and may send the next one.
      this.#host.release(this);
      this.#host.say("the run is over");
    }
    this.link.send(answer);
    if (call === "leave") this.#end();
  }

  #tellOf({ n, host, port }: Job): void {
    this.#host.say(
      `the leader at ${this.link.remoteAddress} measures ${host}:${port} with ${counted(n, "bot")}`,
    );
  }

  #onFailure(id: number, error: unknown): void {
    if (error instanceof FrameError) return this.#onNonsense(error.message);
    if (!(error instanceof EnvironmentError || error instanceof TransportError)) {
      return this.#onDefect(error);
    }
    this.#host.say(`told the leader: ${error.message}`);
    this.link.send({ id, failed: error.message });
  }

  #onNonsense(why: string): void {
    this.#host.say(`${this.link.remoteAddress} sent what makes no sense here: ${why}`);
    this.drop();
  }

  /** The agent goes on, and its log says where the defect is. */
  #onDefect(error: unknown): void {
    this.#host.say(error instanceof Error ? error.stack ?? error.message : String(error));
    this.drop();
  }

  onEnd(how: string): void {
    if (this.#run !== null) {
      this.#host.say(`the leader at ${this.link.remoteAddress} is gone: ${how}`);
    }
    this.#close();
  }

  #close(): void {
    this.#isOver = true;
    clearTimeout(this.#patience);
    this.#run?.abandon();
    this.#host.release(this);
  }
}
