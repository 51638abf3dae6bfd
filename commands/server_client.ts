/**
 * The client library as commands use it: a server by flags, and errors as one line.
 *
 * @module
 */

import { EnvironmentError } from "../cli/command_line.ts";
import {
  CertificateError,
  connect,
  ConnectionError,
  type ConnectOptions,
  FinalError,
  ForbiddenError,
  type Hotwheels,
  OutcomeUnknownError,
  ServerError,
  UrlError,
} from "../client/mod.ts";
import { addressText, transportError, transportErrorCode } from "../runtime/transport_error.ts";
import { type ServerOptions, serverUrl } from "./server_options.ts";

/** Milliseconds for the connect, and again for each answer that the server owes. */
const PATIENCE_MS = 30_000;

/** A server, as a command is told of it. */
export class ServerClient {
  /** Its host and port, as people write them. */
  readonly address: string;
  readonly #server: ServerOptions;

  constructor(server: ServerOptions) {
    this.#server = server;
    this.address = addressText({ transport: "tcp", ...server });
  }

  /**
   * Connects, and shows the server the keys.
   *
   * @throws {EnvironmentError} (rejects) if the server refuses the connection or a key, or doesn't answer.
   * @throws {TransportError} (rejects) if it can't be reached.
   */
  connect(options: Pick<ConnectOptions, "onStatus" | "retry" | "signal">): Promise<Hotwheels> {
    const { tls, keys: key } = this.#server;
    return this.explained(
      connect(serverUrl(this.#server), {
        ...{ ...options, key, timeout: PATIENCE_MS },
        ca: tls?.ca,
      }),
    );
  }

  /**
   * Waits for an answer of the server.
   *
   * @throws {EnvironmentError} (rejects) if there is none, or it takes too long.
   */
  async answered<Answer>(answer: Promise<Answer>): Promise<Answer> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new EnvironmentError(`the server hasn't answered for ${PATIENCE_MS / 1000} s`);
      timer = setTimeout(() => reject(error), PATIENCE_MS);
    });
    try {
      return await Promise.race([this.explained(answer), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for what the library promises, and explains its errors. */
  async explained<Value>(promise: Promise<Value>): Promise<Value> {
    try {
      return await promise;
    } catch (error) {
      throw this.explain(error);
    }
  }

  /** An error of the library in a command's words. Others stay as they are. */
  explain(error: unknown): unknown {
    if (error instanceof OutcomeUnknownError) {
      const { message } = this.explain(error.cause) as Error;
      return because(`${message}; it may have published the message all the same`, error);
    }
    if (error instanceof ForbiddenError) {
      return because(`the server says forbidden: ${error.reason}`, error);
    }
    if (error instanceof ServerError) return because(`the server says ${error.message}`, error);
    if (error instanceof UrlError) return this.#explainUrl(error);
    const cannot = `cannot connect to ${this.address}`;
    if (error instanceof CertificateError) {
      return transportError(cannot, error.cause, "handshake_failed");
    }
    if (error instanceof FinalError) return because(inSentence(error.message), error);
    if (!(error instanceof ConnectionError)) return error;
    const { cause, message } = error;
    if (!(cause instanceof Error && "code" in cause)) {
      const hasEnded = / has ended$/.test(message);
      return because(hasEnded ? "the server closed the connection" : inSentence(message), error);
    }
    const code = transportErrorCode(cause);
    if (code === "connection_reset") return because("the connection is lost", error);
    return transportError(cannot, cause, code);
  }

  #explainUrl(error: UrlError): Error {
    const { url, remedy, message, cause } = error;
    // The library's remedies speak of URLs.
    if (remedy.startsWith("Write hotwheelss:")) {
      return because(`the server at ${this.address} wants TLS; give --tls`, error);
    }
    if (cause !== undefined) {
      return transportError(`cannot connect to ${this.address}`, cause, "handshake_failed");
    }
    const fault = message.slice(0, -`. ${remedy}`.length).replace(url, this.address);
    return because(`${inSentence(fault)}; see --host and --port`, error);
  }
}

function because(message: string, cause: Error): EnvironmentError {
  return new EnvironmentError(message, { cause });
}

function inSentence(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
