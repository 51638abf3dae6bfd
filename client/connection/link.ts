/**
 * A connection that comes back: it dials, greets, shows keys, notices when the other side is gone, and
 * begins again.
 *
 * @module
 */

import { parseObject } from "../../protocol/json/parse_object.ts";
import { encodeAuthenticate, PING, PONG } from "../../protocol/client_encoder.ts";
import type { ErrorCode } from "../../protocol/errors.ts";
import type { ServerAddress } from "./address.ts";
import { Backoff } from "./backoff.ts";
import {
  ConnectionError,
  FinalError,
  ForbiddenError,
  ServerError,
  UrlError,
} from "../api/errors.ts";
import type { Settings } from "../api/options.ts";
import type { Status } from "../api/statuses.ts";
import { LivenessWatch } from "./liveness_watch.ts";
import type { Dial, Transport } from "./transport.ts";

/** The owner of a link, which is told of its connections and frames. */
export interface LinkOwner {
  /** The connection is open: whatever must be said is said now. */
  onOpen(): void;
  /** A frame that isn't the link's own business: `ACK`, or an object; and its text. */
  onFrame(frame: "ACK" | Record<string, unknown>, text: string): void;
  /** There is room again. */
  onDrain(): void;
  /** The connection has ended after it was open. */
  onBroken(error: Error): void;
  /** There won't be another connection. `undefined` after `close`. */
  onEnd(error: unknown): void;
  onStatus(status: Status): void;
  /** True if something waits to be sent, whether or not its readers keep up. */
  isSendDue(): boolean;
}

/** The state of a link: `held` is offline on purpose, until its owner lets it go on. */
type Phase = "idle" | "waiting" | "greeting" | "open" | "held" | "closing" | "ended";

export class Link {
  readonly #settings: Settings;
  readonly #owner: LinkOwner;
  readonly #dial: Dial;
  readonly #backoff: Backoff;
  /** The addresses that may work; the link dials the first one next. */
  #addresses: ServerAddress[];
  #phase: Phase = "idle";
  #transport: Transport | undefined;
  /** For the next attempt, for an answer while greeting, or for the end. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #openedMs = 0;
  /** Acknowledgements of keys that are still to come. */
  #unacknowledgedKeys = 0;
  #isGreeted = false;
  #isFull = false;
  readonly #watch: LivenessWatch;
  /** The server's reason for closing the connection, which follows. */
  #serverError: Error | undefined;

  constructor(addresses: ServerAddress[], settings: Settings, owner: LinkOwner, dial: Dial) {
    this.#addresses = addresses;
    this.#settings = settings;
    this.#owner = owner;
    this.#dial = dial;
    this.#backoff = new Backoff(settings);
    this.#watch = new LivenessWatch(settings, {
      send: (frame, isAsking) => this.send(frame, isAsking),
      onDead: (why) => this.#give(why),
      onUnreadAnswer: () => this.#rest(),
    });
  }

  get isOpen(): boolean {
    return this.#phase === "open";
  }

  /** True if the connection takes no more for now. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** True if the server still has to answer something. */
  get isAwaiting(): boolean {
    return this.#watch.isAwaiting;
  }

  /** False if it can't read no more but by closing the connection. */
  get canPause(): boolean {
    return this.#transport?.canPause === true;
  }

  /** True if it is offline until `resume`. */
  get isHeld(): boolean {
    return this.#phase === "held";
  }

  /** True once there is nothing more to come. */
  get hasEnded(): boolean {
    return this.#phase === "ended";
  }

  /** For how long nothing came, in milliseconds. */
  get silentMs(): number {
    return this.#watch.silentMs;
  }

  /** Makes the first attempt, or the next one at once. */
  start(): void {
    clearTimeout(this.#timer);
    const [address] = this.#addresses;
    if (address === undefined) throw new Error("no address is left");
    this.#phase = "greeting";
    this.#isGreeted = this.#isFull = false;
    this.#watch.reset();
    this.#serverError = undefined;
    this.#unacknowledgedKeys = this.#settings.keys.length;
    this.#openedMs = 0;
    this.#owner.onStatus({ state: "connecting", url: address.url, failures: this.#failures });
    // A status may have closed it.
    if (this.#phase !== "greeting") return;
    const { timeout } = this.#settings;
    this.#timer = setTimeout(() => {
      this.#give(new ConnectionError(`${address.url} hasn't answered for ${timeout} ms`));
    }, timeout);
    let transport: Transport | undefined;
    const isCurrent = () => transport !== undefined && transport === this.#transport;
    try {
      transport = this.#dial(address, {
        onOpen: () => isCurrent() && this.#introduce(),
        onFrame: (frame) => isCurrent() && this.#onFrame(frame, address),
        onDrain: () => {
          if (!isCurrent()) return;
          this.#isFull = false;
          this.#owner.onDrain();
        },
        onClose: (error) => isCurrent() && this.#onClose(this.#serverError ?? error),
      }, this.#settings);
      this.#transport = transport;
    } catch (error) {
      this.#onClose(error as Error);
    }
  }

  /** Sends a frame. Only while it is open. @param isAsking True if it must be answered. */
  send(frame: Uint8Array, isAsking: boolean): void {
    this.#watch.noteSent(isAsking);
    if (isAsking) this.readOn();
    if (!this.#transport!.write(frame)) this.#isFull = true;
  }

  /** Reads no more, or closes the connection if it can't be paused. */
  pause(): void {
    if (this.#phase !== "open" || this.#watch.isPaused) return;
    if (!this.canPause) return this.#rest();
    this.#transport!.pause();
    this.#watch.pause();
  }

  /** Closes the connection until `resume`, or for a while if something is still to be sent. */
  #rest(): void {
    this.#drop();
    this.#phase = "held";
    const why = new ConnectionError(
      "A reader is slow: the connection is closed until it has caught up",
    );
    this.#owner.onBroken(why);
    // The owner may have ended it, or gone on.
    if (this.#phase !== "held") return;
    if (this.#owner.isSendDue()) return this.#waitFor(why, this.#backoff.waitMs(0, undefined));
    this.#owner.onStatus({ state: "closed", why, retryInMs: undefined, isFinal: false });
  }

  /** A reader has taken something. */
  noteTaken(): void {
    this.#watch.noteTaken();
  }

  /** Goes on after `pause`. */
  resume(): void {
    if (this.#phase === "held") return this.start();
    this.readOn();
  }

  /** Reads on after `pause`, if it has paused reading. */
  readOn(): void {
    if (this.#phase !== "open" || !this.#watch.isPaused) return;
    this.#watch.resume();
    this.#transport!.resume();
  }

  /** Closes the connection after sending what waits. */
  close(): void {
    if (this.#phase === "ended" || this.#phase === "closing") return;
    if (this.#phase !== "open") return this.end(undefined);
    this.#phase = "closing";
    this.#watch.stop();
    this.#timer = setTimeout(() => this.end(undefined), this.#settings.timeout);
    // The other side's end comes behind all it sends.
    this.#transport!.resume();
    this.#transport!.close();
  }

  /** Ends it at once, for good. */
  end(error: unknown): void {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.#drop();
    this.#owner.onStatus({ state: "closed", why: error, retryInMs: undefined, isFinal: true });
    this.#owner.onEnd(error);
  }

  /** Connected: what a client of today says first, so that it isn't taken for one of 2009. */
  #introduce(): void {
    const { keys } = this.#settings;
    for (const frame of keys.length === 0 ? [PING] : keys.map(encodeAuthenticate)) {
      this.#transport!.write(frame);
    }
  }

  #onFrame(text: string, { url }: ServerAddress): void {
    this.#watch.noteHeard();
    if (text === "PING") return this.send(PONG, false);
    if (text === "ACK" && this.#isGreeted) return this.#onAck();
    const frame = parseObject(text);
    const isGreeting = frame !== undefined &&
      (isOwnFrame(frame, "token") || isOwnFrame(frame, "error"));
    if (!this.#isGreeted && !isGreeting) {
      const remedy = "Look whether the URL is that of a Hotwheels server";
      return this.#give(new UrlError(url, `What answers at ${url} is no Hotwheels server`, remedy));
    }
    if (frame === undefined) {
      return this.#give(new ConnectionError(`${url} sent a frame that isn't an object`));
    }
    if (isOwnFrame(frame, "error")) {
      this.#serverError = serverError(frame["error"], url, this.#unacknowledgedKeys > 0);
    } else if (this.#isGreeted) {
      if (isOwnFrame(frame, "receipt")) this.#watch.noteAnswer();
      this.#owner.onFrame(frame, text);
    } else {
      this.#isGreeted = true;
      this.#openIfReady();
    }
  }

  #onAck(): void {
    if (this.#unacknowledgedKeys === 0) {
      this.#watch.noteAnswer();
      return this.#owner.onFrame("ACK", "ACK");
    }
    this.#unacknowledgedKeys--;
    this.#openIfReady();
  }

  #openIfReady(): void {
    if (this.#unacknowledgedKeys > 0 || this.#phase !== "greeting") return;
    this.#phase = "open";
    this.#failures = 0;
    this.#openedMs = performance.now();
    clearTimeout(this.#timer);
    this.#watch.start();
    const { url } = this.#addresses[0]!;
    this.#owner.onStatus({ state: "open", url });
    if (this.isOpen) this.#owner.onOpen();
  }

  /** Ends the connection at once, and begins again. */
  #give(error: Error): void {
    this.#drop();
    this.#onClose(this.#serverError ?? error);
  }

  #drop(): void {
    clearTimeout(this.#timer);
    this.#watch.stop();
    const transport = this.#transport;
    this.#transport = undefined;
    transport?.destroy();
  }

  #onClose(error: Error): void {
    const wasOpen = this.#phase === "open";
    this.#transport = undefined;
    clearTimeout(this.#timer);
    this.#watch.stop();
    if (this.#phase === "closing") return this.end(undefined);
    this.#phase = "waiting";
    if (wasOpen) this.#owner.onBroken(error);
    else this.#failures++;
    // The owner may have ended it.
    if (this.hasEnded) return;
    const [address] = this.#addresses;
    if (error instanceof FinalError) this.#addresses.shift();
    // Others are tried in turn.
    else this.#addresses.push(this.#addresses.shift()!);
    const isHopeless = error instanceof ForbiddenError || this.#addresses.length === 0 ||
      this.#failures >= this.#settings.attempts;
    if (isHopeless || address === undefined) return this.end(error);
    const openMs = wasOpen ? performance.now() - this.#openedMs : 0;
    const retryAfterMs = error instanceof ServerError ? error.retryAfterMs : undefined;
    this.#waitFor(error, this.#backoff.waitMs(openMs, retryAfterMs));
  }

  /** Begins again after so many milliseconds. */
  #waitFor(why: Error, retryInMs: number): void {
    this.#phase = "waiting";
    this.#timer = setTimeout(() => this.start(), retryInMs);
    this.#owner.onStatus({ state: "closed", why, retryInMs, isFinal: false });
  }
}

/** True for a frame of the server's own. A message may have any member, and has a topic too. */
export function isOwnFrame(frame: Record<string, unknown>, member: string): boolean {
  return Object.hasOwn(frame, member) && !Object.hasOwn(frame, "topic");
}

/** @param isAboutKey True if the server has to do with nothing but a key. */
function serverError(error: unknown, url: string, isAboutKey: boolean): Error {
  const { code, message, retry_after_ms } = error as {
    readonly code: ErrorCode;
    readonly message: string;
    readonly retry_after_ms?: number;
  };
  const isForbidden = code === "forbidden" ||
    isAboutKey && (code === "bad_frame" || code === "frame_too_large");
  if (isForbidden) return new ForbiddenError(url, message);
  return new ServerError(code, message, retry_after_ms);
}
