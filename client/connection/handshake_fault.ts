import { UrlError } from "../api/errors.ts";
import type { ServerAddress } from "./address.ts";

/** TLS that met something else, as the runtimes say it. */
const NOT_TLS = /WRONG_VERSION|wrong version|InvalidContentType|corrupt message|packet length/i;

/** An HTTP status in place of a WebSocket, as Deno, Bun and npm's `ws` say it; browsers don't. */
const HTTP_STATUS = /(?:status code|server response): ?(\d{3})/;

/** An answer that isn't HTTP, as Bun, Deno and npm's `ws` say it. */
const NOT_HTTP = /Invalid response|HTTP version|Parse Error/;

/** Statuses behind which the same URL may work later, besides those of the server's own faults. */
const PASSING: readonly number[] = [408, 425, 429];

/**
 * The error of a connection to something that speaks no TLS, if that is what its failure means.
 *
 * @param words What the runtime says of the failure.
 */
export function tlsFault(
  { url, isSecure, transport }: ServerAddress,
  words: string,
  cause?: unknown,
): UrlError | undefined {
  if (!isSecure || !NOT_TLS.test(words)) return undefined;
  const [plain, secure] = transport === "tcp" ? ["hotwheels", "hotwheelss"] : ["ws", "wss"];
  const remedy = `Write ${plain}:// for ${secure}://`;
  return new UrlError(url, `The server at ${url} doesn't speak TLS`, remedy, { cause });
}

/** The error of a WebSocket to something that won't ever open one, if that is what its failure means. */
export function webSocketFault(address: ServerAddress, words: string): UrlError | undefined {
  const { url } = address;
  const status = Number(HTTP_STATUS.exec(words)?.[1] ?? 0);
  if (status === 403) {
    const remedy = "Let the server take this page's origin (--ws-origins)";
    return new UrlError(url, `The server at ${url} refuses this client: HTTP status 403`, remedy);
  }
  const isFinal = status === 0 ? NOT_HTTP.test(words) : status < 500 && !PASSING.includes(status);
  if (!isFinal) return tlsFault(address, words);
  const remedy = "Look whether the URL is that of the server's WebSocket port (--ws-port)";
  return new UrlError(url, `What answers at ${url} opens no WebSocket: ${words}`, remedy);
}
