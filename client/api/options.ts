/**
 * The options of a client, and their defaults.
 *
 * @module
 */

import type { Status } from "./statuses.ts";

/** The part of a WebSocket that this library uses, so that any implementation will do. */
export interface WebSocketLike {
  /** The type of what binary messages are given as. */
  binaryType: string;
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number;
  /** Called when it is open. */
  onopen: ((event: never) => void) | null;
  /** Called with each message. */
  onmessage: ((event: never) => void) | null;
  /** Called when it fails. */
  onerror: ((event: never) => void) | null;
  /** Called when it has ended. */
  onclose: ((event: never) => void) | null;
  /** Sends a text message. */
  send(text: string): void;
  /** Ends it. */
  close(code?: number, reason?: string): void;
}

/** A class of WebSockets. */
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** The waits and attempts by which a client connects again. */
export interface RetryOptions {
  /** The most milliseconds before the second attempt: a random part of it; 500 by default. */
  readonly minMs?: number | undefined;
  /** The most milliseconds before any attempt: the bound doubles up to this; 20,000 by default. */
  readonly maxMs?: number | undefined;
  /** Attempts in a row that may fail before the client is closed for good; `Infinity` by default. */
  readonly attempts?: number | undefined;
}

/** The options of `connect`. */
export interface ConnectOptions {
  /** The key to show to the server, or several: one for publishing and one for subscribing. */
  readonly key?: string | readonly string[] | undefined;
  /** Ends everything: the client closes, and what waits rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Certificate authorities to trust instead of the runtime's own, as PEM text, for `hotwheelss:`. A
   * WebSocket trusts what its runtime or browser trusts.
   */
  readonly ca?: string | undefined;
  /**
   * Bytes of messages that may wait for the reader of one iterator; 1 MiB by default. Beyond that
   * nothing is read over TCP; over WebSocket the client closes the connection, and goes on where it was
   * when the reader has taken half. As long as the server still has to answer a publish or a subscribe,
   * for which the reader itself may wait, 32 MiB may wait.
   */
  readonly buffer?: number | undefined;
  /**
   * Bytes of messages that may wait to be published, because the socket is full or with
   * `{ offline: "wait" }`; 16 MiB by default.
   */
  readonly publishBuffer?: number | undefined;
  /** Milliseconds of silence after which the server sends `PING` (its `--ping-after`); 30,000 by default. */
  readonly pingAfter?: number | undefined;
  /**
   * Milliseconds for the server to answer, and to be connected to; 10,000 by default. A connection on
   * which nothing came for `pingAfter` and this is given up, and so is one on which a subscribe or a
   * publish goes unanswered for 30 times this, if nothing else is answered meanwhile.
   */
  readonly timeout?: number | undefined;
  /** The attempts to connect again after a break. */
  readonly retry?: RetryOptions | undefined;
  /** Called with each status, also before `connect` has resolved. */
  readonly onStatus?: ((status: Status) => void) | undefined;
  /** The class of WebSockets; the global one by default. Node 20 has none unless it is told to. */
  readonly WebSocket?: WebSocketConstructor | undefined;
}

/** Options with their defaults. */
export interface Settings {
  readonly keys: readonly string[];
  readonly signal: AbortSignal | undefined;
  readonly ca: string | undefined;
  readonly buffer: number;
  readonly publishBuffer: number;
  readonly pingAfter: number;
  readonly timeout: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly attempts: number;
  readonly onStatus: ((status: Status) => void) | undefined;
  readonly WebSocket: WebSocketConstructor | undefined;
}

/** The longest time that a timer can take; more than that it takes for none. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Checks the options, and fills in the defaults. As in the options of the platform, `null` is none.
 *
 * @throws {RangeError} if one is out of range, or nothing that it can be.
 */
export function readOptions(options: ConnectOptions): Settings {
  const { key, signal, ca, onStatus, WebSocket, retry, ...sizes } = options ?? {};
  if (typeof (retry ?? {}) !== "object") {
    throw new RangeError(
      `The option retry must be an object such as { attempts: 1 }, not ${retry}`,
    );
  }
  if (typeof (onStatus ?? readOptions) !== "function") {
    throw new RangeError(`The option onStatus must be a function, not ${onStatus}`);
  }
  return {
    keys: readKeys(key),
    signal: readSignal(signal),
    ca: readAuthority(ca),
    onStatus: onStatus ?? undefined,
    WebSocket: WebSocket ?? undefined,
    buffer: atLeast("buffer", sizes.buffer ?? 1024 * 1024, 1),
    publishBuffer: atLeast("publishBuffer", sizes.publishBuffer ?? 16 * 1024 * 1024, 1),
    pingAfter: duration("pingAfter", sizes.pingAfter ?? 30_000, 1),
    timeout: duration("timeout", sizes.timeout ?? 10_000, 1),
    minMs: duration("retry.minMs", retry?.minMs ?? 500, 0),
    maxMs: duration("retry.maxMs", retry?.maxMs ?? 20_000, 0),
    attempts: atLeast("retry.attempts", retry?.attempts ?? Infinity, 1),
  };
}

/** Checks the option `signal` of anything. @throws {RangeError} if it is none. */
export function readSignal(signal: AbortSignal | null | undefined): AbortSignal | undefined {
  if (typeof (signal ?? AbortSignal.prototype).addEventListener === "function") {
    return signal ?? undefined;
  }
  throw new RangeError(`The option signal must be an AbortSignal, not ${signal}`);
}

/** A file's name, most often, is what isn't PEM text. */
function readAuthority(ca: ConnectOptions["ca"]): string | undefined {
  if (typeof ca !== "string" || ca === "" || ca.includes("-----BEGIN ")) return ca ?? undefined;
  throw new RangeError(
    `The option ca must be certificates as PEM text, not ${JSON.stringify(ca.slice(0, 80))}`,
  );
}

/** The keys aren't named in the error, which may end in a log. */
function readKeys(key: ConnectOptions["key"]): readonly string[] {
  const keys: unknown = typeof key === "string" ? [key] : key ?? [];
  if (Array.isArray(keys) && keys.every((each) => typeof each === "string")) return keys;
  throw new RangeError("The option key must be a string, or an array of them");
}

/** Milliseconds, however many: `Infinity` is as long as a timer can take. */
function duration(name: string, value: number, least: number): number {
  return Math.min(atLeast(name, value, least), MAX_TIMER_MS);
}

function atLeast(name: string, value: number, least: number): number {
  if (typeof value === "number" && value >= least) return value;
  throw new RangeError(`The option ${name} must be a number of at least ${least}, not ${value}`);
}
