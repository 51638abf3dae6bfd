/**
 * Requests to a server's admin port.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { readKeys } from "../bots/client/keys.ts";
import { type CommandLine, EnvironmentError, quote, UsageError } from "../cli/command_line.ts";
import { demand } from "../cli/permission.ts";

/** The flags with a value. */
export const ADMIN_FLAGS = ["key", "key-file"] as const;

/** The part of `--help` about the admin port. */
export const ADMIN_HELP = `The admin port:
  URL              its address, as the server's first line names it (default
                   http://127.0.0.1:8082); the port alone, or host:port, will do
  --key-file FILE  show it the first key in FILE
  --key KEY        the same with the key itself; every user of this machine can
                   read it in the list of processes`;

const DEFAULT_URL = "http://127.0.0.1:8082";

/** Milliseconds in which an admin port must begin to answer. */
const ANSWER_MS = 5_000;

/** An admin port, and the key to show it. */
export class AdminClient {
  /** Its address, without a slash at its end. */
  readonly url: string;
  readonly #headers: Readonly<Record<string, string>>;

  private constructor(url: string, key: string | undefined) {
    this.url = url;
    // A header carries bytes.
    this.#headers = key === undefined
      ? {}
      : { authorization: `Bearer ${Buffer.from(key).toString("latin1")}` };
  }

  /**
   * Reads the flags.
   *
   * @param text The URL on the command line, if any.
   * @throws {UsageError} if it isn't one.
   * @throws {EnvironmentError} if a file can't be used, or this program may not connect to the port.
   */
  static of(
    text: string | undefined,
    line: Pick<CommandLine<typeof ADMIN_FLAGS[number], never>, "all">,
  ): AdminClient {
    const url = parseUrl(text ?? DEFAULT_URL);
    demand({ name: "net", host: url.host });
    const [key] = readKeys(line.all("key"), line.all("key-file"));
    return new AdminClient(url.origin, key);
  }

  /**
   * Asks for a page, and resolves with its answer, whose body is still to come.
   *
   * @param signal Gives the request up, and its body.
   * @throws {EnvironmentError} (rejects) if the port can't be reached, or answers anything but 200.
   */
  async get(path: string, signal?: AbortSignal): Promise<Response> {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), ANSWER_MS);
    const signals = signal === undefined ? [patience.signal] : [patience.signal, signal];
    let response: Response;
    try {
      const options = { headers: this.#headers, signal: AbortSignal.any(signals) };
      response = await fetch(this.url + path, options);
    } catch (cause) {
      throw new EnvironmentError(`can't reach ${this.url}: ${reasonOf(cause)}`, { cause });
    } finally {
      clearTimeout(timer);
    }
    if (response.ok) return response;
    const text = (await response.text()).trim();
    if (response.status !== 401) {
      throw new EnvironmentError(`${this.url} answers ${response.status}: ${text}`);
    }
    const remedy = "authorization" in this.#headers
      ? "it doesn't take this key"
      : "it wants a key; give it one with --key-file FILE";
    throw new EnvironmentError(`${this.url}: ${remedy}`);
  }
}

function parseUrl(text: string): URL {
  const full = /^\d+$/.test(text)
    ? `http://127.0.0.1:${text}`
    : /^[a-z]+:\/\//i.test(text)
    ? text
    : `http://${text}`;
  const url = URL.parse(full);
  if (url !== null && /^https?:$/.test(url.protocol) && url.hostname !== "") return url;
  throw new UsageError(
    `URL must be the address of an admin port, such as ${DEFAULT_URL}, not ${quote(text)}`,
  );
}

function reasonOf(error: unknown): string {
  const { name, message, code, cause } = error as Error & { readonly code?: string };
  if (name === "AbortError" || name === "TimeoutError") {
    return `no answer within ${ANSWER_MS / 1000} s`;
  }
  const text = `${code ?? ""} ${message} ${(cause as Error | undefined)?.message ?? ""}`;
  return /refused/i.test(text)
    ? "the connection is refused; start the server with --admin, and name the address of its first line"
    : message;
}
