import type {
  Address,
  Connection,
  ConnectionHandler,
  Listener,
  Runtime,
  TlsIdentity,
} from "../../runtime/types.ts";
import type { DialRule } from "../run/target.ts";
import { JobRun } from "./job.ts";
import { MAX_UNPROVEN, MAX_UNPROVEN_OF_ADDRESS, PROOF_PATIENCE_MS, SILENCE_MS } from "./limits.ts";
import { type Host, Session } from "./session.ts";
import { WrongProofs } from "./wrong_proofs.ts";

/** The options of an agent. */
export interface AgentOptions {
  readonly hostname: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** The certificate with which it speaks TLS; `null` for plain TCP. */
  readonly identity: TlsIdentity | null;
  /** The key that leaders have to know. */
  readonly key: string;
  /** The addresses that its bots may connect to. */
  readonly rule: DialRule;
  /** Milliseconds that a stranger has to prove the key; absent for the usual time. */
  readonly proofPatienceMs?: number;
  /** Milliseconds of silence after which a leader is gone; absent for the usual time. */
  readonly silenceMs?: number;
  /** Receives a line for the user who runs the agent. */
  readonly say: (line: string) => void;
}

/** Runs bots for a leader on another machine, one job at a time. */
export class Agent implements Host {
  readonly key: string;
  readonly wrongProofs = new WrongProofs();
  readonly proofPatienceMs: number;
  readonly silenceMs: number;
  readonly say: (line: string) => void;
  readonly #runtime: Runtime;
  readonly #rule: DialRule;
  readonly #unproven = new Set<Session>();
  #leader: Session | null = null;
  #listener: Listener | null = null;

  private constructor(runtime: Runtime, options: AgentOptions) {
    this.key = options.key;
    this.proofPatienceMs = options.proofPatienceMs ?? PROOF_PATIENCE_MS;
    this.silenceMs = options.silenceMs ?? SILENCE_MS;
    this.say = options.say;
    this.#runtime = runtime;
    this.#rule = options.rule;
  }

  /**
   * Listens for leaders.
   *
   * @throws {TransportError} (rejects) if it can't listen there.
   */
  static async start(runtime: Runtime, options: AgentOptions): Promise<Agent> {
    const { hostname, port, identity } = options;
    const agent = new Agent(runtime, options);
    const tls = identity === null ? {} : { tls: identity };
    agent.#listener = await runtime.listen(
      { transport: "tcp", hostname, port, ...tls },
      (connection) => agent.#accept(connection),
    );
    return agent;
  }

  /** The address that it listens on. */
  get address(): Address {
    return this.#listener!.address;
  }

  /** Ends the bots and all connections, and stops listening. */
  async close(): Promise<void> {
    for (const session of this.#unproven) session.drop();
    this.#leader?.drop();
    await this.#listener!.close();
  }

  #accept(connection: Connection): ConnectionHandler {
    this.#makeRoomFor(connection.remoteAddress);
    const session = new Session(connection, this);
    this.#unproven.add(session);
    return session.link;
  }

  /** Strangers that only connect give way to those who come later. */
  #makeRoomFor(address: string): void {
    const [oldest] = this.#unproven;
    const [oldestThere, ...others] = [...this.#unproven]
      .filter(({ link }) => link.remoteAddress === address);
    if (others.length + 1 >= MAX_UNPROVEN_OF_ADDRESS) oldestThere!.drop();
    else if (this.#unproven.size >= MAX_UNPROVEN) oldest!.drop();
  }

  admit(session: Session): JobRun | null {
    this.#unproven.delete(session);
    if (this.#leader !== null) return null;
    this.#leader = session;
    return new JobRun(this.#runtime, this.#rule);
  }

  release(session: Session): void {
    this.#unproven.delete(session);
    if (this.#leader === session) this.#leader = null;
  }
}
