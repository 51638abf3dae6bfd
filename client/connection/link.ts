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
import type { Dial, Transport } from "./transport.ts";

/** Milliseconds for a process that was asleep to read what came meanwhile. */
const GRACE_MS = 1_000;

/**
 * So many timeouts may pass without an answer to anything, from a server that gives signs of life. A
 * publisher that sends more than it may is read slowly, so its answers take long too.
 */
const UNANSWERED_TIMEOUTS = 30;

/** The most milliseconds between two looks at what is due. */
const LOOK_MS = 60_000;

/** The owner of a link, which is told of its connections and frames. */
export interface LinkOwner {
  /** The connection is open: whatever must be said is said now. */
  onOpen(): void;
  /** A frame that isn't the link's own business: `ACK`, or an object. */
  onFrame(frame: "ACK" | Record<string, unknown>, length: number): void;
  /** There is room again. */
  onDrain(): void;
  /** The connection has ended after it was open. */
  onBroken(error: Error): void;
  /** There won't be another connection. `undefined` after `close`. */
  onEnd(error: unknown): void;
  onStatus(status: Status): void;
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
  /** For the next attempt, for an answer while greeting, or for a sign of life. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #openedMs = 0;
  /** Acknowledgements of keys that are still to come. */
  #unacknowledgedKeys = 0;
  #isGreeted = false;
  #isFull = false;
  #isPaused = false;
  #heardMs = 0;
  #sentMs = 0;
  /** The time at which the link sent something that must be answered, if nothing has come since. */
  #askedMs: number | undefined;
  /** Requests that aren't answered yet. */
  #unanswered = 0;
  /** The time since which one of them is due: that of the last answer, or of the first request behind it. */
  #dueMs = 0;
  #hadGrace = false;
  /** The server's reason for closing the connection, which follows. */
  #serverError: Error | undefined;

  constructor(addresses: ServerAddress[], settings: Settings, owner: LinkOwner, dial: Dial) {
    this.#addresses = addresses;
    this.#settings = settings;
    this.#owner = owner;
    this.#dial = dial;
    this.#backoff = new Backoff(settings);
  }

  get isOpen(): boolean {
    return this.#phase === "open";
  }

  /** True if the connection takes no more for now. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** True once there is nothing more to come. */
  get hasEnded(): boolean {
    return this.#phase === "ended";
  }

  /** For how long nothing came, in milliseconds. */
  get silentMs(): number {
    return performance.now() - this.#heardMs;
  }

  /** Makes the first attempt, or the next one at once. */
  start(): void {
    clearTimeout(this.#timer);
    const [address] = this.#addresses;
    if (address === undefined) throw new Error("no address is left");
    this.#phase = "greeting";
    this.#isGreeted =
      this.#isFull =
      this.#isPaused =
      this.#hadGrace =
        false;
    this.#serverError = undefined;
    this.#askedMs = undefined;
    this.#unanswered = 0;
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
    this.#sentMs = performance.now();
    if (isAsking) {
      this.#askedMs ??= this.#sentMs;
      if (this.#unanswered++ === 0) this.#dueMs = this.#sentMs;
    }
    if (!this.#transport!.write(frame)) this.#isFull = true;
  }

  /** Reads no more, or closes the connection if it can't be paused. */
  pause(): void {
    if (this.#phase !== "open" || this.#isPaused) return;
    if (this.#transport!.pause()) {
      this.#isPaused = true;
      return this.#watch();
    }
    this.#drop();
    this.#phase = "held";
    const why = new ConnectionError(
      "A reader is slow: the connection is closed until it has caught up",
    );
    this.#owner.onBroken(why);
    this.#owner.onStatus({ state: "closed", why, retryInMs: undefined, isFinal: false });
  }

  /** Goes on after `pause`. */
  resume(): void {
    if (this.#phase === "held") return this.start();
    if (this.#phase !== "open" || !this.#isPaused) return;
    this.#isPaused = this.#hadGrace = false;
    this.#heardMs = this.#dueMs = performance.now();
    this.#transport!.resume();
    this.#watch();
  }

  /** Closes the connection after sending what waits. */
  close(): void {
    if (this.#phase === "ended" || this.#phase === "closing") return;
    if (this.#phase !== "open") return this.end(undefined);
    this.#phase = "closing";
    clearTimeout(this.#timer);
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
    this.#heardMs = performance.now();
    this.#askedMs = undefined;
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
      this.#serverError = serverError(frame["error"], url);
    } else if (this.#isGreeted) {
      if (isOwnFrame(frame, "receipt")) this.#noteAnswer();
      this.#owner.onFrame(frame, text.length);
    } else {
      this.#isGreeted = true;
      this.#openIfReady();
    }
  }

  #onAck(): void {
    if (this.#unacknowledgedKeys === 0) {
      this.#noteAnswer();
      return this.#owner.onFrame("ACK", 3);
    }
    this.#unacknowledgedKeys--;
    this.#openIfReady();
  }

  #noteAnswer(): void {
    this.#unanswered--;
    this.#dueMs = this.#heardMs;
  }

  #openIfReady(): void {
    if (this.#unacknowledgedKeys > 0 || this.#phase !== "greeting") return;
    this.#phase = "open";
    this.#failures = 0;
    this.#openedMs = this.#sentMs = performance.now();
    this.#watch();
    const { url } = this.#addresses[0]!;
    this.#owner.onStatus({ state: "open", url });
    if (this.isOpen) this.#owner.onOpen();
  }

  /** Waits for a sign of life. */
  #watch(): void {
    clearTimeout(this.#timer);
    const { pingAfter, timeout } = this.#settings;
    const nowMs = performance.now();
    if (this.#isPaused) {
      // The server's PINGs aren't read either: so it is told unasked.
      this.#timer = setTimeout(() => {
        this.send(PING, false);
        this.#watch();
      }, pingAfter / 2);
      return;
    }
    const sinceMs = Math.max(this.#heardMs, this.#askedMs ?? this.#sentMs);
    const silenceLeftMs = sinceMs + pingAfter + timeout - nowMs;
    const answerLeftMs = this.#unanswered > 0
      ? this.#dueMs + UNANSWERED_TIMEOUTS * timeout - nowMs
      : Infinity;
    const leftMs = Math.min(silenceLeftMs, answerLeftMs);
    if (leftMs > 0) {
      this.#hadGrace = false;
      // Something may be asked meanwhile.
      const waitMs = Math.min(leftMs, UNANSWERED_TIMEOUTS * timeout, LOOK_MS);
      this.#timer = setTimeout(() => this.#watch(), waitMs + 1);
    } else if (!this.#hadGrace) {
      this.#hadGrace = true;
      this.#timer = setTimeout(() => this.#watch(), Math.min(GRACE_MS, timeout));
    } else if (silenceLeftMs <= 0) {
      const ms = Math.round(nowMs - this.#heardMs);
      this.#give(new ConnectionError(`Nothing has come from the server for ${ms} ms`));
    } else {
      const ms = Math.round(nowMs - this.#dueMs);
      this.#give(new ConnectionError(`The server hasn't answered anything for ${ms} ms`));
    }
  }

  /** Ends the connection at once, and begins again. */
  #give(error: Error): void {
    this.#drop();
    this.#onClose(this.#serverError ?? error);
  }

  #drop(): void {
    clearTimeout(this.#timer);
    const transport = this.#transport;
    this.#transport = undefined;
    transport?.destroy();
  }

  #onClose(error: Error): void {
    const wasOpen = this.#phase === "open";
    this.#transport = undefined;
    clearTimeout(this.#timer);
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
    const retryInMs = this.#backoff.waitMs(openMs, retryAfterMs);
    this.#timer = setTimeout(() => this.start(), retryInMs);
    this.#owner.onStatus({ state: "closed", why: error, retryInMs, isFinal: false });
  }
}

/** True for a frame of the server's own. A message may have any member, and has a topic too. */
export function isOwnFrame(frame: Record<string, unknown>, member: string): boolean {
  return Object.hasOwn(frame, member) && !Object.hasOwn(frame, "topic");
}

function serverError(error: unknown, url: string): Error {
  const { code, message, retry_after_ms } = error as {
    readonly code: ErrorCode;
    readonly message: string;
    readonly retry_after_ms?: number;
  };
  if (code === "forbidden") return new ForbiddenError(url, message);
  return new ServerError(code, message, retry_after_ms);
}
