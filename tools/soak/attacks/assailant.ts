import { encodeAuthenticate } from "../../../protocol/client_encoder.ts";
import { SERVER_TERMINATOR } from "../../../protocol/framing/frames.ts";
import type { Random } from "../../harness/random.ts";
import type { Keys } from "../clients/member.ts";
import { hasLoopbackAddresses, Peer, type PeerEnd, type PeerTarget } from "../clients/peer.ts";

/**
 * How an attack's connection ended: by the server with the code of its error frame, or without a word
 * (`fin`, `reset`); there was none (`refused`); or the attack had done what it wanted (`left`).
 */
export type Tally = Record<string, number>;

/** What the connections of one kind of attack did, and what the server did to them. */
export interface AttackTally {
  /** Connections that the server accepted; behind TLS with their handshake. */
  connected: number;
  /** Connections that got a first frame from the server. */
  greeted: number;
  /** Bytes that the kernel took from whole writes. */
  sentBytes: number;
  /** Frames that the server sent beyond its greetings. */
  answers: number;
  readonly ends: Tally;
}

/**
 * The least that the connections of one run do, or see the server do, where the attack takes place; what
 * isn't named isn't asked for.
 */
export interface Proof {
  readonly connected?: number;
  readonly greeted?: number;
  readonly sentBytes?: number;
  readonly answers?: number;
  /** Connections that the server has ended. */
  readonly ended?: number;
}

/** What an attack works with. */
export interface Field {
  readonly target: PeerTarget;
  /** What the server wants to see before anything else, if it does; attacks come from inside as well. */
  readonly keys: Keys | null;
  readonly random: Random;
  /** Aborted when the attack shall end at once. */
  readonly signal: AbortSignal;
  /** A topic of many bytes a second, for those who don't keep up. */
  readonly busyTopic: string;
  /** Topics of healthy subscribers. */
  readonly topics: readonly string[];
  /** What comes of the attack. */
  readonly tally: AttackTally;
}

/** One kind of attack; resolves when it is over, within about a quarter of a minute. */
export interface Attack {
  readonly name: string;
  /** By which a run shows that it attacked. */
  readonly proof: Proof;
  run(field: Field): Promise<void>;
}

/** Longer than any error frame. */
const KEPT_BYTES = 512;

/** Ends that aren't the server's doing. */
const OWN_ENDS = ["left", "refused"];

/** How many of an attack's connections the server has ended. */
export function endedByServer({ ends }: AttackTally): number {
  return Object.entries(ends).reduce(
    (sum, [how, count]) => OWN_ENDS.includes(how) ? sum : sum + count,
    0,
  );
}

/** A connection of an attack's. */
export class Assailant {
  readonly peer: Peer;
  /** Resolves when it is over. */
  readonly ended: Promise<void>;
  readonly #field: Field;
  #kept = "";
  #isOver = false;
  #isGreeted = false;
  readonly #connected: Promise<void>;
  #onDrain: () => void = () => {};

  /**
   * Begins to connect.
   *
   * @param from The loopback address to come from; each has its own without it. Where the server is
   * elsewhere, all come from this machine's.
   */
  constructor(field: Field, from: string = anyAddress(field.random)) {
    this.#field = field;
    const { tally } = field;
    const connected = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    this.#connected = connected.promise;
    this.ended = ended.promise;
    this.peer = new Peer(field.target, {
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
        field.signal.removeEventListener("abort", this.#abort);
        const how_ = this.#endOf(how);
        tally.ends[how_] = (tally.ends[how_] ?? 0) + 1;
        connected.resolve();
        this.#onDrain();
        ended.resolve();
      },
    }, hasLoopbackAddresses(field.target) ? from : undefined);
    field.signal.addEventListener("abort", this.#abort);
    if (field.signal.aborted) this.#abort();
  }

  /** The server has ended it, or it left. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Resolves when it is connected, or is over. */
  connected(): Promise<void> {
    return this.#connected;
  }

  /** Resolves when it is connected and has shown its keys, or is over. */
  async entered(): Promise<void> {
    await this.connected();
    const { keys } = this.#field;
    if (keys === null) return;
    await this.send(encodeAuthenticate(keys.publish));
    await this.send(encodeAuthenticate(keys.subscribe));
  }

  /** Sends, and resolves when more may be sent, or it is over. */
  send(bytes: Uint8Array | string): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    const { tally } = this.#field;
    const mayGoOn = this.peer.write(bytes, () => tally.sentBytes += bytes.length);
    if (mayGoOn) return Promise.resolve();
    return new Promise((resolve) => this.#onDrain = resolve);
  }

  /** Resolves when the server has ended it, or that has taken too long; then it leaves. */
  async outlast(limitMs: number): Promise<void> {
    await Promise.race([this.ended, pause(limitMs, this.#field.signal)]);
    this.abort();
  }

  /** Aborts with RST. */
  abort(): void {
    if (!this.#isOver) this.peer.reset();
  }

  readonly #abort = () => this.peer.reset();

  #countAnswers(chunk: Uint8Array): void {
    for (let at = 0; (at = chunk.indexOf(SERVER_TERMINATOR, at) + 1) > 0;) {
      this.#field.tally[this.#isGreeted ? "answers" : "greeted"]++;
      this.#isGreeted = true;
    }
  }

  #endOf(how: PeerEnd): string {
    const code = /"error":\{"code":"(\w+)"/.exec(this.#kept)?.[1];
    return how === "fin" || how === "reset" ? code ?? how : how;
  }
}

/** A loopback address of which a server may think that it's a client of its own. */
export function anyAddress(random: Random): string {
  return `127.0.${1 + random.below(250)}.${1 + random.below(250)}`;
}

/** Resolves after so long, or at once when the signal is aborted. */
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
