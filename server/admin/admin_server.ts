import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIP, type Socket } from "node:net";
import { EnvironmentError } from "../../cli/command_line.ts";
import { addressText, transportError } from "../../runtime/transport_error.ts";
import { LoopSampler } from "../telemetry/loop_sampler.ts";
import { type AdminAddress, isLoopback } from "./admin_address.ts";
import { AdminKeys } from "./admin_keys.ts";
import { ConnectionGuard } from "./connection_guard.ts";
import { type Health, liveness, readiness, type ServerPhase } from "./health.ts";
import { isLocalHost } from "./host_header.ts";
import {
  ACCEPT_PAUSE_MS,
  ACCEPT_QUEUE,
  CHECK_INTERVAL_MS,
  HEADERS_DEADLINE_MS,
  KEEP_ALIVE_MS,
  MAX_HEADER_BYTES,
  MAX_HEADERS,
  REQUEST_DEADLINE_MS,
} from "./limits.ts";
import { Metrics, type RuntimeInfo } from "./metrics.ts";
import { type ServerHealth, Status } from "./status.ts";
import { PAGE, PAGE_POLICY } from "./page/live_page.ts";
import { parseTrace, TraceStreams } from "./trace_stream.ts";
import type { AdminSource } from "./source.ts";

/** The options of an admin port. */
export interface AdminOptions extends AdminAddress {
  /** Keys of which a client has to show one; none are needed unless given. */
  readonly keys?: readonly string[] | undefined;
  readonly runtime: RuntimeInfo;
}

/** Headers of every answer. */
const COMMON_HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
};

const TEXT = "text/plain; charset=utf-8";
const JSON_TYPE = "application/json; charset=utf-8";

/** The answers to what isn't a request, by the error's code. */
const ERROR_STATUS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/**
 * The server's port for operators: HTTP, GET and HEAD only, and nothing that it answers changes
 * anything. What it may cost is bounded, since it shares its event loop with the clients, or stands beside
 * those who do.
 */
export class AdminServer {
  readonly #source: AdminSource;
  readonly #guard: ConnectionGuard;
  readonly #loop = new LoopSampler();
  readonly #server: Server;
  readonly #isOnLoopback: boolean;
  readonly #metrics: Metrics;
  readonly #status: Status;
  readonly #traces: TraceStreams;
  #keys: AdminKeys | undefined;
  #address: AdminAddress;
  #phase: ServerPhase = "starting";
  #isPaused = false;
  #isClosed = false;

  private constructor(source: AdminSource, { hostname, port, keys, runtime }: AdminOptions) {
    this.#source = source;
    this.#guard = new ConnectionGuard(() => this.#pause());
    this.#metrics = new Metrics(source, runtime);
    this.#traces = new TraceStreams(source);
    this.#status = new Status(source, runtime);
    this.#isOnLoopback = isLoopback(hostname);
    this.#address = { hostname, port };
    this.#server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_DEADLINE_MS,
      requestTimeout: REQUEST_DEADLINE_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
    });
    this.#keys = keys && new AdminKeys(keys);
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      this.#answer(request, response).catch(() => request.socket.destroy());
    };
    this.#server.on("request", answer);
    // Otherwise a client would be asked to send its body.
    this.#server.on("checkContinue", answer);
    this.#server.on("checkExpectation", answer);
    this.#server.on("clientError", refuse);
    this.#server.maxHeadersCount = MAX_HEADERS;
    // `bind` reports errors of listening; there are no others that matter.
    this.#server.on("error", () => {});
    this.#guard.watch(this.#server);
  }

  /**
   * Opens an admin port.
   *
   * @throws {EnvironmentError} (rejects) if it can't listen on the address.
   */
  static async open(source: AdminSource, options: AdminOptions): Promise<AdminServer> {
    const admin = new AdminServer(source, options);
    await admin.#listen();
    return admin;
  }

  /** The address on which it listens. */
  get address(): AdminAddress {
    return this.#address;
  }

  /** Its page's address. */
  get url(): string {
    const { hostname, port } = this.#address;
    return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  }

  /** Says what the server does from now on. */
  enter(phase: ServerPhase): void {
    this.#phase = phase;
  }

  /** Demands other keys from now on. @throws {TypeError} if it was opened without. */
  setKeys(keys: readonly string[]): void {
    if (this.#keys === undefined) throw new TypeError("The admin port demands no keys");
    this.#keys.set(keys);
  }

  /** Closes the port, and all connections. */
  close(): void {
    this.#isClosed = true;
    this.#loop.stop();
    this.#server.close();
    this.#guard.close();
  }

  async #listen(): Promise<void> {
    const { hostname, port } = this.#address;
    try {
      await this.#bind();
    } catch (error) {
      throw new EnvironmentError(listenProblem({ hostname, port }, error), { cause: error });
    }
    const bound = this.#server.address();
    if (typeof bound === "object" && bound !== null) {
      this.#address = { hostname, port: bound.port };
    }
    this.#keys?.nameCookie(`hotwheels_admin_${this.#address.port}`);
    this.#loop.start();
  }

  /** Begins to listen. */
  #bind(): Promise<void> {
    const { hostname, port } = this.#address;
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => reject(error);
      this.#server.once("error", fail);
      this.#server.listen({ host: hostname, port, backlog: ACCEPT_QUEUE }, () => {
        this.#server.off("error", fail);
        resolve();
      });
    });
  }

  /**
   * Doesn't listen for a moment, because too many connections come. A supervisor goes on, since its event loop
   * is no client's, and since it may not listen anew.
   */
  #pause(): void {
    if (this.#isPaused || this.#isClosed || this.#source.supervisor !== undefined) return;
    this.#isPaused = true;
    this.#server.close();
    setTimeout(() => this.#resume(), ACCEPT_PAUSE_MS);
  }

  #resume(): void {
    if (this.#isClosed) return;
    this.#bind().then(
      () => this.#isPaused = false,
      // The port is another program's now, or descriptors are short: it may be free again.
      () => setTimeout(() => this.#resume(), ACCEPT_PAUSE_MS),
    );
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const verdict = this.#guard.begin(request, response);
    if (verdict === "gone") return;
    for (const [name, value] of Object.entries(COMMON_HEADERS)) response.setHeader(name, value);
    if (verdict === "too_many") {
      response.setHeader("retry-after", "1");
      return this.#sendAway(response, 429, "too many requests a second; come back later");
    }
    if (hasBody(request)) {
      // Further requests on the connection aren't read.
      response.once("finish", () => setImmediate(() => request.socket.destroy()));
      return this.#sendAway(response, 413, "a request has no body here");
    }
    const { method, url = "/" } = request;
    if (method !== "GET" && method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return this.#sendAway(response, 405, "GET and HEAD are all that is answered");
    }
    if (!url.startsWith("/")) {
      return this.#sendAway(response, 400, "the request names another host");
    }
    const hosts = request.rawHeaders.filter((name, at) =>
      at % 2 === 0 && name.toLowerCase() === "host"
    );
    if (hosts.length > 1) return this.#sendAway(response, 400, "the request names several hosts");
    if (this.#isOnLoopback && !isLocalHost(request.headers.host)) {
      return this.#sendAway(
        response,
        421,
        "the request's Host is a name; use the address, or localhost",
      );
    }
    const at = url.indexOf("?");
    const path = at === -1 ? url : url.slice(0, at);
    const query = new URLSearchParams(at === -1 ? "" : url.slice(at + 1));
    if (path === "/livez") return sendHealth(response, liveness(this.#sinceTurnMs));
    if (path === "/readyz") return sendHealth(response, readiness(this.#phase, this.#source));
    if (!await this.#admits(request, response, query)) return;
    switch (path) {
      case "/":
        response.setHeader("content-security-policy", PAGE_POLICY);
        return send(response, 200, "text/html; charset=utf-8", PAGE);
      case "/metrics":
        return send(response, 200, this.#metrics.contentType, await this.#metrics.text());
      case "/status.json":
        return send(response, 200, JSON_TYPE, await this.#status.text(() => this.#health));
      case "/trace":
        return this.#trace(request, response, query);
      default:
        return send(response, 404, TEXT, "there is no such page\n");
    }
  }

  #trace(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    const asked = parseTrace(query);
    if ("fault" in asked) return send(response, 400, TEXT, `${asked.fault}\n`);
    if (!this.#traces.hasRoom) {
      response.setHeader("retry-after", "10");
      return send(response, 503, TEXT, "as many traces are watched as may be\n");
    }
    if (request.method === "HEAD") return send(response, 200, "text/event-stream", "");
    this.#guard.keep(request);
    this.#traces.open(response, asked);
  }

  get #health(): ServerHealth {
    return { phase: this.#phase, ready: readiness(this.#phase, this.#source) };
  }

  get #sinceTurnMs(): number {
    return this.#loop.sinceTurnMs;
  }

  /** Checks the keys, where there are any; if the client may not go on, it is told so. */
  async #admits(
    request: IncomingMessage,
    response: ServerResponse,
    query: URLSearchParams,
  ): Promise<boolean> {
    if (this.#keys === undefined) return true;
    const { authorization, cookie } = request.headers;
    const queryKey = query.get("key") ?? undefined;
    const address = request.socket.remoteAddress ?? "";
    const verdict = await this.#keys.check(address, { authorization, cookies: cookie, queryKey });
    switch (verdict) {
      case "allowed":
        return true;
      case "allowed_by_query":
        // The page takes the key out of the browser's address line, and needs the cookie from then on.
        response.setHeader("set-cookie", this.#keys.cookieFor(queryKey!));
        return true;
      case "missing":
      case "wrong":
        response.setHeader("www-authenticate", 'Bearer realm="hotwheels"');
        send(
          response,
          401,
          TEXT,
          verdict === "wrong"
            ? "the key is wrong\n"
            : "a key is needed: Authorization: Bearer KEY, or ?key=KEY once in a browser\n",
        );
        return false;
      case "too_many":
        response.setHeader("retry-after", "60");
        send(response, 429, TEXT, "too many wrong keys\n");
        return false;
    }
  }

  /** Answers a request that isn't served, and closes its connection. */
  #sendAway(response: ServerResponse, status: number, why: string): void {
    // What else it sends would be parsed for nothing.
    response.socket?.pause();
    response.setHeader("connection", "close");
    send(response, status, TEXT, `${why}\n`);
  }
}

/** Says why the port can't be opened. */
function listenProblem({ hostname, port }: AdminAddress, cause: unknown): string {
  const what = `can't open the admin port on ${addressText({ transport: "tcp", hostname, port })}`;
  const { code } = cause as { readonly code?: string };
  if (code === "EADDRINUSE") return `${what}: another program listens there; choose another port`;
  if (code !== "EINVAL") return transportError(what, cause).message;
  // Bun says no more of an unknown host, nor Deno of another machine's address.
  const isName = isIP(hostname) === 0;
  return transportError(what, cause, isName ? "host_not_found" : "address_not_available").message;
}

function sendHealth(response: ServerResponse, { isFine, isDegraded, reasons }: Health): void {
  const status = !isFine ? "unavailable" : isDegraded ? "degraded" : "ok";
  send(response, isFine ? 200 : 503, JSON_TYPE, JSON.stringify({ status, reasons }) + "\n");
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  const body = Buffer.from(text);
  response.writeHead(status, { "content-type": type, "content-length": body.byteLength });
  // A HEAD request gets the same headers; node:http leaves its body out.
  response.end(body);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined ||
    (headers["content-length"] ?? "0") !== "0" || headers.expect !== undefined;
}

/** Answers what isn't HTTP, or comes too slowly. */
function refuse(error: Error & { readonly code?: string }, socket: Socket): void {
  const status = ERROR_STATUS[error.code ?? ""] ?? "400 Bad Request";
  if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
  socket.destroySoon?.();
}
