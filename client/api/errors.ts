/**
 * What can go wrong, as classes with fields.
 *
 * @module
 */

import type { ErrorCode } from "../../protocol/errors.ts";
import type { GapReason } from "./statuses.ts";

/** Any error of this library. Abort signals reject with their own reason instead. */
export class HotwheelsError extends Error {
  /** The class's name, also where the code is minified. */
  override readonly name: string = "HotwheelsError";
}

/** Trying again can't help: the client has closed, and {@linkcode remedy} says what would. */
export class FinalError extends HotwheelsError {
  /** The class's name, also where the code is minified. */
  override readonly name: string = "FinalError";
  /** What to do about it, as a sentence. */
  readonly remedy: string;
  /**
   * Made by the library.
   *
   * @param message The fault, without its remedy, which is added.
   */
  constructor(message: string, remedy: string, options?: ErrorOptions) {
    super(`${message}. ${remedy}`, options);
    this.remedy = remedy;
  }
}

/** The URL can't be a Hotwheels server's, or what answers there is none. */
export class UrlError extends FinalError {
  /** The class's name, also where the code is minified. */
  override readonly name = "UrlError";
  /** The URL as it was given. */
  readonly url: string;
  /**
   * Made by the library.
   *
   * @param message The fault, without its remedy, which is added.
   */
  constructor(url: string, message: string, remedy: string, options?: ErrorOptions) {
    super(message, remedy, options);
    this.url = url;
  }
}

/** The server's certificate isn't trusted, has expired, or is for another name. */
export class CertificateError extends FinalError {
  /** The class's name, also where the code is minified. */
  override readonly name = "CertificateError";
  /** The server's URL. */
  readonly url: string;
  /**
   * Made by the library.
   *
   * @param message The fault, without its remedy, which is added.
   */
  constructor(url: string, message: string, remedy: string, options?: ErrorOptions) {
    super(message, remedy, options);
    this.url = url;
  }
}

/** The server doesn't allow what the client asked for, or a key is wrong. */
export class ForbiddenError extends FinalError {
  /** The class's name, also where the code is minified. */
  override readonly name = "ForbiddenError";
  /** The server's URL. */
  readonly url: string;
  /** The server's words. */
  readonly reason: string;
  /**
   * Made by the library.
   *
   * @param reason The server's words.
   */
  constructor(url: string, reason: string) {
    super(
      `The server at ${url} says: ${reason}`,
      "Pass a key that the server allows to do this as the option key, or ask who runs the server",
    );
    this.url = url;
    this.reason = reason;
  }
}

/** The server closed the connection, and said why. */
export class ServerError extends HotwheelsError {
  /** The class's name, also where the code is minified. */
  override readonly name = "ServerError";
  /** The code of its error frame. */
  readonly code: ErrorCode;
  /** Milliseconds after which the client should come back, if the server said so. */
  readonly retryAfterMs: number | undefined;
  /**
   * Made by the library.
   *
   * @param message The server's words.
   */
  constructor(code: ErrorCode, message: string, retryAfterMs?: number) {
    super(`${code}: ${message}`);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** True if the server has refused a request, with one of these codes. */
export function isRefusal(error: Error, codes: readonly ErrorCode[]): error is ServerError {
  return error instanceof ServerError && codes.includes(error.code);
}

/** The connection couldn't be made, or broke. The client tries again by itself. */
export class ConnectionError extends HotwheelsError {
  /** The class's name, also where the code is minified. */
  override readonly name = "ConnectionError";
}

/** The connection broke after a message was sent and before its receipt came: it may have been accepted. */
export class OutcomeUnknownError extends HotwheelsError {
  /** The class's name, also where the code is minified. */
  override readonly name = "OutcomeUnknownError";
  /** The message's topic. */
  readonly topic: string;
  /**
   * Made by the library.
   *
   * @param cause Why the connection broke.
   */
  constructor(topic: string, cause: unknown) {
    super(`The connection broke before the receipt of a message to ${JSON.stringify(topic)} came`, {
      cause,
    });
    this.topic = topic;
  }
}

/** There is no connection just now, and the message wasn't sent. */
export class OfflineError extends HotwheelsError {
  /** The class's name, also where the code is minified. */
  override readonly name = "OfflineError";
}

/** Too much waits to be sent, and the message wasn't sent. */
export class BufferFullError extends HotwheelsError {
  /** The class's name, also where the code is minified. */
  override readonly name = "BufferFullError";
  /** The most bytes that may wait. */
  readonly maxBytes: number;
  /**
   * Made by the library.
   *
   * @param maxBytes The most bytes that may wait.
   */
  constructor(maxBytes: number) {
    super(`More than ${maxBytes} bytes wait to be sent: await earlier publishes first`);
    this.maxBytes = maxBytes;
  }
}

/** The client is closed. */
export class ClosedError extends HotwheelsError {
  /** The class's name, also where the code is minified. */
  override readonly name = "ClosedError";
}

/** Messages of a topic may be missing here: the server couldn't go on where the subscription was. */
export class GapError extends HotwheelsError {
  /** The class's name, also where the code is minified. */
  override readonly name = "GapError";
  /** The topic. */
  readonly topic: string;
  /** Why the server couldn't go on. */
  readonly reason: GapReason;
  /** The server processes that died with messages that nothing else has. */
  readonly crashed: readonly string[];
  /**
   * Made by the library.
   *
   * @param crashed The server processes that died with messages that nothing else has.
   */
  constructor(topic: string, reason: GapReason, crashed: readonly string[]) {
    super(`Messages of ${JSON.stringify(topic)} may be missing here: ${reason}`);
    this.topic = topic;
    this.reason = reason;
    this.crashed = crashed;
  }
}
