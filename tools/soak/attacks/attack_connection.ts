import { encodeAuthenticate } from "../../../protocol/client_encoder.ts";
import { SERVER_TERMINATOR } from "../../../protocol/framing/frames.ts";
import type { Random } from "../../harness/random.ts";
import type { Tally } from "../../../bots/measures/tally.ts";
import type { Keys } from "../clients/healthy_client.ts";
import { hasLoopbackAddresses, Peer, type PeerEnd, type PeerTarget } from "../clients/peer.ts";

/** The actions of an attack's connections, and the server's answers. */
export interface AttackTally {
  /** Connections that the server accepted; with TLS, that completed the handshake. */
  connected: number;
  /** Connections that received a first frame from the server. */
  greeted: number;
  /** Bytes of writes that the kernel took completely. */
  sentBytes: number;
  /** Frames that the server sent beyond its greetings. */
  answers: number;
  /**
   * The ends of an attack's connections, counted: by the server with the code of its error frame, or
   * without a word (`fin`, `reset`); not connected at all (`refused`); or closed by the attack itself
   * (`left`).
   */
  readonly ends: Tally;
}

/** The least counts by which a run proves that it attacked. Absent members aren't checked. */
export interface Proof {
  readonly connected?: number;
  readonly greeted?: number;
  readonly sentBytes?: number;
  readonly answers?: number;
  /** Connections that the server ended. */
  readonly ended?: number;
}

/** The context of one run of an attack. */
export interface AttackContext {
  readonly target: PeerTarget;
  /** The keys that clients need; `null` if they need none. Attacks also come from clients with a key. */
  readonly keys: Keys | null;
  readonly random: Random;
  /** Aborted when the attack must end at once. */
  readonly signal: AbortSignal;
  /** A topic with many bytes a second, for subscribers that don't keep up. */
  readonly busyTopic: string;
  /** Topics of healthy subscribers. */
  readonly topics: readonly string[];
  /** The counts of this run. */
  readonly tally: AttackTally;
}

/** One kind of attack. `run` resolves when it is over, within about 15 s. */
export interface Attack {
  readonly name: string;
  /** The counts by which a run proves that it attacked. */
  readonly proof: Proof;
  run(context: AttackContext): Promise<void>;
}

/** The bytes kept of the server's last words: more than any error frame has. */
const KEPT_BYTES = 512;

/** Ends that the server didn't cause. */
const OWN_ENDS = ["left", "refused"];

/** The number of an attack's connections that the server ended. */
export function endedByServer({ ends }: AttackTally): number {
  return Object.entries(ends).reduce(
    (sum, [how, count]) => OWN_ENDS.includes(how) ? sum : sum + count,
    0,
  );
}

/** One connection of an attack. */
export class AttackConnection {
  readonly peer: Peer;
  /** Resolves when the connection is over. */
  readonly ended: Promise<void>;
  readonly #context: AttackContext;
  #kept = "";
  #isOver = false;
  #isGreeted = false;
  readonly #answered = Promise.withResolvers<void>();
  readonly #connected: Promise<void>;
  #onDrain: () => void = () => {};

  /**
   * Begins to connect.
   *
   * @param from The loopback address to connect from; a random one by default. For a server on another
   * machine, this machine's address is used.
   */
  constructor(context: AttackContext, from: string = anyAddress(context.random)) {
    this.#context = context;
    const { tally } = context;
    const connected = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    this.#connected = connected.promise;
    this.ended = ended.promise;
    this.peer = new Peer(context.target, {
      onConnect: () => {
        tally.connected++;
        connected.resolve();
      },
      onDrain: () => this.#onDrain(),
      onData: (chunk) => {
        const text = Array.from(chunk.subarray(-KEPT_BYTES), (byte) => String.fromCharCode(byte));
        this.#kept = (this.#kept + text.join("")).slice(-KEPT_BYTES);
        this.#countAnswers(chunk);
      },
      onEnd: (how) => {
        this.#isOver = true;
        context.signal.removeEventListener("abort", this.#abort);
        const end = this.#endOf(how);
        tally.ends[end] = (tally.ends[end] ?? 0) + 1;
        connected.resolve();
        this.#onDrain();
        ended.resolve();
      },
    }, hasLoopbackAddresses(context.target) ? from : undefined);
    context.signal.addEventListener("abort", this.#abort);
    if (context.signal.aborted) this.#abort();
  }

  /** True if the server ended the connection, or the attack did. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Resolves when it is connected, or over. */
  connected(): Promise<void> {
    return this.#connected;
  }

  /** Resolves when it is connected and has sent its keys, or is over. */
  async entered(): Promise<void> {
    await this.connected();
    const { keys } = this.#context;
    if (keys === null) return;
    await this.send(encodeAuthenticate(keys.publish));
    await this.send(encodeAuthenticate(keys.subscribe));
  }

  /** Sends bytes. Resolves when more may be sent, or when the connection is over. */
  send(bytes: Uint8Array | string): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    const { tally } = this.#context;
    const mayGoOn = this.peer.write(bytes, () => tally.sentBytes += bytes.length);
    if (mayGoOn) return Promise.resolve();
    return new Promise((resolve) => this.#onDrain = resolve);
  }

  /** Waits until the server has sent more than its greeting, or ended the connection; at most `limitMs` milliseconds. */
  async answered(limitMs: number): Promise<void> {
    await Promise.race([this.#answered.promise, this.ended, pause(limitMs, this.#context.signal)]);
  }

  /** Waits until the server ends the connection, at most `limitMs` milliseconds; then aborts it. */
  async outlast(limitMs: number): Promise<void> {
    await Promise.race([this.ended, pause(limitMs, this.#context.signal)]);
    this.abort();
  }

  /** Aborts with RST. */
  abort(): void {
    if (!this.#isOver) this.peer.reset();
  }

  readonly #abort = () => this.peer.reset();

  #countAnswers(chunk: Uint8Array): void {
    for (let at = 0; (at = chunk.indexOf(SERVER_TERMINATOR, at) + 1) > 0;) {
      this.#context.tally[this.#isGreeted ? "answers" : "greeted"]++;
      if (this.#isGreeted) this.#answered.resolve();
      this.#isGreeted = true;
    }
  }

  #endOf(how: PeerEnd): string {
    const code = /"error":\{"code":"(\w+)"/.exec(this.#kept)?.[1];
    return how === "fin" || how === "reset" ? code ?? how : how;
  }
}

/** A random loopback address, which a server takes for a client of its own. */
export function anyAddress(random: Random): string {
  return `127.0.${1 + random.below(250)}.${1 + random.below(250)}`;
}

/** Resolves after `ms` milliseconds, or at once when the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const onAbort = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
