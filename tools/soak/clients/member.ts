import { encodeAuthenticate, PING, PONG } from "../../../protocol/client_encoder.ts";
import { ServerDecoder } from "../../../protocol/server_decoder.ts";
import type { Random } from "../../harness/random.ts";
import type { Faults } from "../checks/faults.ts";
import type { Kills } from "../checks/strike_history.ts";
import type { OwnPace } from "./own_pace.ts";
import { Peer, type PeerEnd, type PeerTarget } from "./peer.ts";

/** What a server wants to see before anything else. */
export interface Keys {
  readonly publish: string;
  readonly subscribe: string;
}

/** What all healthy clients of a soak share. */
export interface Town {
  readonly target: PeerTarget;
  /** `null` where everybody may publish and subscribe. */
  readonly keys: Keys | null;
  readonly faults: Faults;
  readonly kills: Kills;
  readonly pace: OwnPace;
  /** Connections that ended since this process didn't read as fast as a healthy client does. */
  lostToOwnPace: number;
  /** Connections that ended with a worker that was killed or asked to end, or with a certificate. */
  lostToKills: number;
}

/** What a member tells its owner. */
export interface MemberEvents {
  /**
   * The server has greeted it, and taken its key where it has one: at its beginning, and again each time
   * it has come back.
   */
  onReady(): void;
  /** Any frame but greetings, heartbeats and errors. */
  onFrame(frame: string): void;
  /** It may write again. */
  onDrain?(): void;
  /** The connection that was ready is gone, though not by our doing. */
  onGone(): void;
}

/** How long the server may take to greet. Under floods, on few cores, some seconds are in order. */
const GREETING_PATIENCE_MS = 20_000;

/** A client that lost its connection comes back after a random time of up to this. */
const MAX_RETURN_MS = 500;

/** The server's own limit is 64 KiB. */
const MAX_FRAME_BYTES = 1024 * 1024;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A client that keeps all the rules, and that the server must therefore treat well. */
export class Member {
  readonly #town: Town;
  readonly #name: string;
  readonly #key: string | null;
  readonly #events: MemberEvents;
  readonly #random: Random;
  #peer: Peer | undefined;
  #decoder = new ServerDecoder();
  #isGreeted = false;
  #greetedMs = 0;
  #isReady = false;
  /** Its worker has said goodbye. */
  #isDismissed = false;
  /** It was told that it reads or writes too slowly, and does. */
  #isSlow = false;
  #hasRetired = false;
  /** What will end this connection is counted already. */
  #isFaulted = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param name For faults' details.
   * @param key What it authenticates with, where it must.
   */
  constructor(
    town: Town,
    name: string,
    key: string | null,
    random: Random,
    events: MemberEvents,
  ) {
    this.#town = town;
    this.#name = name;
    this.#key = key;
    this.#random = random;
    this.#events = events;
  }

  /** Connects, and from then on comes back whenever it lost its connection. */
  join(): void {
    this.#hasRetired = false;
    this.#decoder = new ServerDecoder({ maxFrameBytes: MAX_FRAME_BYTES });
    this.#isGreeted = this.#isReady = false;
    this.#isDismissed = this.#isFaulted = this.#isSlow = false;
    const peer: Peer = new Peer(this.#town.target, {
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => this.#events.onDrain?.(),
      onEnd: (how) => this.#onEnd(peer, how),
    });
    this.#peer = peer;
    this.#timer = setTimeout(() => {
      this.#fault("not_connected", `no greeting within ${GREETING_PATIENCE_MS / 1000} s`);
      peer.drop();
      this.#comeBack();
    }, GREETING_PATIENCE_MS);
  }

  /** Leaves in order, and stays away. */
  retire(): void {
    this.#hasRetired = true;
    clearTimeout(this.#timer);
    this.#peer?.leave();
    this.#peer = undefined;
    this.#isGreeted = this.#isReady = false;
  }

  /** Leaves in order, and comes back as a new client. */
  returnAnew(): void {
    this.retire();
    this.#comeBack();
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Sends; returns whether it may go on. Nobody but a member that is ready may. */
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
        const { kills } = this.#town;
        if (
          isFarewell(frame) && kills.explainsRefusal ||
          saysNoRoom(frame) && kills.explainsNoRoom(0, null)
        ) {
          this.#isDismissed = true;
          return;
        }
        // An error instead of the greeting says why the server closes; it counts as not connected.
        return this.#fault("not_connected", frame.slice(0, 200));
      }
      clearTimeout(this.#timer);
      this.#isGreeted = true;
      this.#greetedMs = performance.now();
      // A first complete frame, so that nobody who has nothing to say yet is taken for a mute. With the
      // marker in its place it would be a client of 2009, and never be told that the server stops.
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
    const { kills } = this.#town;
    const port = this.#peer?.localPort ?? 0;
    if (
      isFarewell(frame) && kills.explainsFarewell(port, this.#greetedMs) ||
      saysNoRoom(frame) && kills.explainsNoRoom(port, this.#greetedMs)
    ) {
      this.#isDismissed = true;
    } else if (this.#isTooSlow(frame)) {
      this.#isSlow = true;
    } else this.#fault("cut", frame);
  }

  /** Whether this process is too slow just now for what an error says of it. */
  #isTooSlow(frame: string): boolean {
    const { pace } = this.#town;
    const says = (code: string) => frame.includes(`"error":{"code":"${code}"`);
    return (says("slow_consumer") || says("idle_timeout")) && pace.isTooSlowToRead ||
      says("frame_too_large") && pace.isTooSlowToWrite;
  }

  #onEnd(peer: Peer, how: PeerEnd): void {
    if (peer !== this.#peer) return;
    clearTimeout(this.#timer);
    const { kills } = this.#town;
    const wasGreeted = this.#isGreeted;
    const wasReady = this.#isReady;
    const byKill = this.#isDismissed ||
      (wasGreeted ? kills.explainsLoss(peer.localPort) : kills.explainsNoGreeting);
    this.#isGreeted = this.#isReady = false;
    this.#peer = undefined;
    if (byKill) this.#town.lostToKills++;
    // A server that sees that nothing is taken ends a connection without a word.
    else if (this.#isSlow || how === "reset" && wasReady && this.#town.pace.isTooSlowToRead) {
      this.#town.lostToOwnPace++;
    } else if (!this.#isFaulted) {
      // By the clock of the strikes.
      const at = `${(performance.now() / 1000).toFixed(1)} s`;
      this.#fault(wasGreeted ? "cut" : "not_connected", `the connection ended at ${at}: ${how}`);
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
    this.#town.faults.add(kind, `${this.#name}: ${detail}`);
  }
}

/** Whether the server says that it stops. */
function isFarewell(frame: string): boolean {
  return frame.includes('"error":{"code":"server_shutdown"');
}

/** Whether the server says that it has no room for another connection, or not for all that it has. */
function saysNoRoom(frame: string): boolean {
  return frame.includes('"error":{"code":"too_many_connections"');
}
