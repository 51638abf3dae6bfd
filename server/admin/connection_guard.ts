import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { TokenBucket } from "../timing/token_bucket.ts";
import {
  ACCEPT_BURST,
  ACCEPTS_PER_SECOND,
  ANSWER_DEADLINE_MS,
  CHECK_INTERVAL_MS,
  MAX_ADMIN_CONNECTIONS,
  MAX_PIPELINED,
  REQUESTS_PER_SECOND,
} from "./limits.ts";

/** A socket with node:http's parser, as Deno has it. */
type ParsedSocket = Socket & { readonly parser?: { readonly unconsume?: () => void } };

/** A connection of the admin port. */
interface GuardedConnection {
  /** Requests that aren't answered yet. */
  requests: number;
  /** The time at which answering the first of them began; `undefined` while there is none. */
  answeringSinceMs: number | undefined;
  /** True if its answer goes on until the client leaves. */
  isStream: boolean;
}

/**
 * Bounds the connections of an admin port, and what they cost the loop, which is the clients'. If there are
 * too many, the one goes that has waited longest without a request. So clients that never finish a request
 * keep no scraper out.
 */
export class ConnectionGuard {
  /** The connections, the oldest first. */
  readonly #connections = new Map<Socket, GuardedConnection>();
  readonly #requests = new TokenBucket(
    { perSecond: REQUESTS_PER_SECOND, burst: 2 * REQUESTS_PER_SECOND },
    performance.now(),
  );
  readonly #accepts = new TokenBucket(
    { perSecond: ACCEPTS_PER_SECOND, burst: ACCEPT_BURST },
    performance.now(),
  );
  readonly #onFlood: () => void;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param onFlood Called if more connections come than should be accepted; it may be called again soon. */
  constructor(onFlood: () => void) {
    this.#onFlood = onFlood;
  }

  /** Begins to watch a server's connections. */
  watch(server: Server): void {
    server.on("connection", (socket: Socket) => this.#enter(socket));
    this.#timer = setInterval(() => this.#endLate(), CHECK_INTERVAL_MS);
  }

  /** Ends all connections. */
  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#connections.keys()) socket.destroy();
  }

  /**
   * Notes a request; its answer has a deadline.
   *
   * @returns `too_many` if there are too many requests, so that this one is to be sent away; `gone` if its
   * connection has been ended.
   */
  begin(
    { socket }: IncomingMessage,
    response: ServerResponse,
  ): "answer" | "too_many" | "gone" {
    const nowMs = performance.now();
    const connection = this.#connections.get(socket);
    if (connection === undefined) return "gone";
    if (++connection.requests > MAX_PIPELINED) {
      // One chunk may hold thousands.
      this.#connections.delete(socket);
      socket.destroy();
      return "gone";
    }
    connection.answeringSinceMs ??= nowMs;
    let isDone = false;
    const done = () => {
      if (isDone) return;
      isDone = true;
      if (--connection.requests > 0) return;
      connection.answeringSinceMs = undefined;
      connection.isStream = false;
      // Behind those that have waited longer.
      if (this.#connections.delete(socket)) this.#connections.set(socket, connection);
    };
    response.once("finish", done);
    response.once("close", done);
    const hasRoom = this.#requests.hasToken(nowMs);
    if (hasRoom) this.#requests.take(nowMs);
    return hasRoom ? "answer" : "too_many";
  }

  /** Exempts an answer that goes on from its deadline. */
  keep({ socket }: IncomingMessage): void {
    const connection = this.#connections.get(socket);
    if (connection !== undefined) connection.isStream = true;
  }

  #enter(socket: Socket): void {
    const nowMs = performance.now();
    this.#accepts.take(nowMs);
    if (!this.#accepts.hasToken(nowMs)) this.#onFlood();
    this.#connections.set(socket, {
      requests: 0,
      answeringSinceMs: undefined,
      isStream: false,
    });
    socket.once("close", () => this.#connections.delete(socket));
    // Ahead of the parser, which would go through all of a chunk's requests, destroyed or not. On Deno that
    // takes chunks from the socket itself unless it is told not to; on Bun it reads one request at a time.
    (socket as ParsedSocket).parser?.unconsume?.();
    socket.prependListener("data", (chunk: Uint8Array) => {
      if (holdsTooMany(chunk)) chunk.fill(0);
    });
    // A connection that breaks is no error of the server's.
    socket.on("error", () => socket.destroy());
    if (this.#connections.size <= MAX_ADMIN_CONNECTIONS) return;
    for (const [other, { answeringSinceMs }] of this.#connections) {
      if (answeringSinceMs !== undefined) continue;
      this.#connections.delete(other);
      other.destroy();
      return;
    }
  }

  #endLate(): void {
    const sinceMs = performance.now() - ANSWER_DEADLINE_MS;
    for (const [socket, { answeringSinceMs, isStream }] of this.#connections) {
      if (!isStream && (answeringSinceMs ?? Infinity) < sinceMs) socket.destroy();
    }
  }
}

const LF = 0x0a;
const CR = 0x0d;

/**
 * True if a chunk ends the headers of more requests than may be sent at once. It looks at each byte once: to
 * search for texts in a full chunk takes a millisecond on Deno.
 */
function holdsTooMany(chunk: Uint8Array): boolean {
  let count = 0;
  let isLineEmpty = false;
  for (let i = 0; i < chunk.length; i++) {
    const byte = chunk[i];
    if (byte === LF) {
      if (isLineEmpty && ++count > MAX_PIPELINED) return true;
      isLineEmpty = true;
    } else if (byte !== CR) isLineEmpty = false;
  }
  return false;
}
