import { encodeAuthenticate, PING, PONG } from "../../../protocol/client_encoder.ts";
import { ServerDecoder } from "../../../protocol/server_decoder.ts";
import type { Random } from "../../harness/random.ts";
import type { Faults } from "../checks/faults.ts";
import type { StrikeHistory } from "../checks/strike_history.ts";
import type { OwnPace } from "./own_pace.ts";
import { Peer, type PeerEnd, type PeerTarget } from "./peer.ts";

/** The keys that a server's clients need. */
export interface Keys {
  readonly publish: string;
  readonly subscribe: string;
}

/** The state that all healthy clients of a soak share. */
export interface ClientContext {
  readonly target: PeerTarget;
  /** `null` if every client may publish and subscribe. */
  readonly keys: Keys | null;
  readonly faults: Faults;
  readonly strikes: StrikeHistory;
  readonly pace: OwnPace;
  /** Connections that ended because this process didn't read as fast as a healthy client does. */
  lostToOwnPace: number;
  /** Connections that ended with a worker that was killed or asked to end, or with a certificate. */
  lostToStrikes: number;
}

/** The events of a healthy client. */
export interface HealthyClientEvents {
  /** The server has greeted the client and accepted its key, if any. Comes again after each reconnect. */
  onReady(): void;
  /**
   * The server has dropped stored messages that the client was to get, and closes it. Returns true if the client
   * waited for such messages; whether the server had to is judged elsewhere.
   */
  mayBeOvertaken?(): boolean;
  /** A frame that is no greeting, heartbeat or error. */
  onFrame(frame: string): void;
  /** The client may write again. */
  onDrain?(): void;
  /** The connection is gone after it was ready, and this side didn't close it. */
  onGone(): void;
}

/** Milliseconds for the server to greet. Under floods, on few cores, some seconds are in order. */
const GREETING_PATIENCE_MS = 20_000;

/** The most milliseconds of the random pause before a client comes back. */
const MAX_RETURN_MS = 500;

/** The server's own limit is 64 KiB. */
const MAX_FRAME_BYTES = 1024 * 1024;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A client that keeps all the rules, so that the server must treat it well. */
export class HealthyClient {
  readonly #context: ClientContext;
  readonly #name: string;
  readonly #key: string | null;
  readonly #events: HealthyClientEvents;
  readonly #random: Random;
  #peer: Peer | undefined;
  #decoder = new ServerDecoder();
  #isGreeted = false;
  #setOutMs = 0;
  #greetedMs = 0;
  #isReady = false;
  /** Its worker said goodbye. */
  #isDismissed = false;
  /** The server said that it reads or writes too slowly, and it does. */
  #isSlow = false;
  #hasRetired = false;
  /** The fault that will end this connection is counted already. */
  #isFaulted = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param name The client's name in faults.
   * @param key The key to authenticate with; `null` for none.
   */
  constructor(
    context: ClientContext,
    name: string,
    key: string | null,
    random: Random,
    events: HealthyClientEvents,
  ) {
    this.#context = context;
    this.#name = name;
    this.#key = key;
    this.#random = random;
    this.#events = events;
  }

  /** Connects, and comes back after every loss of its connection. */
  join(): void {
    this.#hasRetired = false;
    this.#decoder = new ServerDecoder({ maxFrameBytes: MAX_FRAME_BYTES });
    this.#isGreeted = this.#isReady = false;
    this.#isDismissed = this.#isFaulted = this.#isSlow = false;
    this.#setOutMs = performance.now();
    const peer: Peer = new Peer(this.#context.target, {
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => this.#events.onDrain?.(),
      onEnd: (how) => this.#onEnd(peer, how),
    });
    this.#peer = peer;
    this.#timer = setTimeout(() => {
      // A member that starts again takes long to accept clients on a busy machine.
      if (this.#context.strikes.explainsNoGreetingSince(this.#setOutMs)) {
        this.#context.lostToStrikes++;
      } else this.#fault("not_connected", `no greeting within ${GREETING_PATIENCE_MS / 1000} s`);
      peer.drop();
      this.#comeBack();
    }, GREETING_PATIENCE_MS);
  }

  /** Closes in order, and stays away. */
  retire(): void {
    this.#hasRetired = true;
    clearTimeout(this.#timer);
    this.#peer?.leave();
    this.#peer = undefined;
    this.#isGreeted = this.#isReady = false;
  }

  /** Closes in order, and comes back as a new client. */
  returnAnew(): void {
    this.retire();
    this.#comeBack();
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Sends bytes. Returns false if the caller must wait for `onDrain`. Only a ready client may send. */
  write(bytes: Uint8Array | string): boolean {
    return this.#peer?.write(bytes) ?? false;
  }

  #onData(chunk: Uint8Array): void {
    try {
      this.#decoder.push(chunk, (frame) => this.#onFrame(utf8.decode(frame)));
    } catch (error) {
      this.#fault("damaged", `the stream can't be read: ${(error as Error).message}`);
      this.returnAnew();
    }
  }

  #onFrame(frame: string): void {
    if (this.#hasRetired) return;
    if (!this.#isGreeted) {
      if (!/^\{"timestamp":\[\d+,\d+,\d+\],"token":"[\da-f]{32}"\}$/.test(frame)) {
        const { strikes } = this.#context;
        if (
          isGoodbye(frame) && strikes.explainsRefusal ||
          saysNoRoom(frame) && strikes.explainsNoRoom(0, null)
        ) {
          this.#isDismissed = true;
          return;
        }
        // An error in place of the greeting says why the server closes; it counts as not connected.
        return this.#fault("not_connected", frame.slice(0, 200));
      }
      clearTimeout(this.#timer);
      this.#isGreeted = true;
      this.#greetedMs = performance.now();
      // Send one complete frame, so that the server doesn't take a client that has nothing to say yet for
      // a silent one. With the marker in its place it would be a client of 2009, which is never told that
      // the server stops.
      this.write(PING);
      if (this.#key === null) this.#becomeReady();
      else this.write(encodeAuthenticate(this.#key));
    } else if (frame === "PING") this.write(PONG);
    else if (/^\{"timestamp":\[\d+,\d+,\d+\],"error":/.test(frame)) this.#onError(frame);
    else if (this.#isReady) this.#events.onFrame(frame);
    else if (frame === "ACK") this.#becomeReady();
    else this.#fault("foreign", `it isn't in yet and gets ${frame.slice(0, 200)}`);
  }

  #becomeReady(): void {
    this.#isReady = true;
    this.#events.onReady();
  }

  #onError(frame: string): void {
    const { strikes } = this.#context;
    const port = this.#peer?.localPort ?? 0;
    if (
      isGoodbye(frame) && strikes.explainsGoodbye(port, this.#greetedMs) ||
      saysNoRoom(frame) && strikes.explainsNoRoom(port, this.#greetedMs)
    ) {
      this.#isDismissed = true;
    } else if (isOvertaken(frame) && this.#events.mayBeOvertaken?.() === true) {
      this.#isDismissed = true;
    } else if (this.#isTooSlow(frame)) {
      this.#isSlow = true;
    } else this.#fault("cut", frame);
  }

  /** True if this process is so slow just now that an error of the server is right. */
  #isTooSlow(frame: string): boolean {
    const { pace } = this.#context;
    const says = (code: string) => frame.includes(`"error":{"code":"${code}"`);
    return (says("slow_consumer") || says("idle_timeout")) && pace.isTooSlowToRead ||
      says("frame_too_large") && pace.isTooSlowToWrite;
  }

  #onEnd(peer: Peer, how: PeerEnd): void {
    if (peer !== this.#peer) return;
    clearTimeout(this.#timer);
    const { strikes } = this.#context;
    const wasGreeted = this.#isGreeted;
    const wasReady = this.#isReady;
    const byStrike = this.#isDismissed ||
      (wasGreeted
        ? strikes.explainsLoss(peer.localPort, this.#greetedMs)
        : strikes.explainsNoGreetingSince(this.#setOutMs));
    this.#isGreeted = this.#isReady = false;
    this.#peer = undefined;
    if (byStrike) this.#context.lostToStrikes++;
    // A server ends a connection without a word if the client takes nothing: Bun by a reset, Deno by FIN.
    else if (this.#isSlow || wasReady && this.#context.pace.isTooSlowToRead) {
      this.#context.lostToOwnPace++;
    } else if (!this.#isFaulted) {
      // Use the clock of the strikes' records.
      const nowMs = performance.now();
      const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
      const ageOf = wasGreeted ? nowMs - this.#greetedMs : nowMs - this.#setOutMs;
      const state = wasReady ? "ready" : wasGreeted ? "greeted" : "waiting";
      this.#fault(
        wasGreeted ? "cut" : "not_connected",
        `the connection ended at ${seconds(nowMs)}, ${state} for ${seconds(ageOf)}: ${how}`,
      );
    }
    if (wasReady) this.#events.onGone();
    this.#comeBack();
  }

  #comeBack(): void {
    this.#peer = undefined;
    this.#timer = setTimeout(() => this.join(), 1 + this.#random.below(MAX_RETURN_MS));
  }

  #fault(kind: "cut" | "damaged" | "foreign" | "not_connected", detail: string): void {
    this.#isFaulted = true;
    this.#context.faults.add(kind, `${this.#name}: ${detail}`);
  }
}

/** True if the server says that it stops. */
function isGoodbye(frame: string): boolean {
  return frame.includes('"error":{"code":"server_shutdown"');
}

/** True if the server says that it dropped stored messages before the client had them. */
function isOvertaken(frame: string): boolean {
  return frame.includes('"error":{"code":"slow_consumer"') && frame.includes("no longer stored");
}

/** True if the server says that it has no room for another connection, or for all that it has. */
function saysNoRoom(frame: string): boolean {
  return frame.includes('"error":{"code":"too_many_connections"');
}
