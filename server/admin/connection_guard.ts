import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { TokenBucket } from "../timing/token_bucket.ts";
import {
  ANSWER_DEADLINE_MS,
  CHECK_INTERVAL_MS,
  MAX_ADMIN_CONNECTIONS,
  REQUESTS_PER_SECOND,
} from "./limits.ts";

/** A connection of the admin port. */
interface GuardedConnection {
  /** When its request began to be answered; `undefined` while it has none. */
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
  #timer: ReturnType<typeof setInterval> | undefined;

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
   * @returns False if there are too many requests, so that this one is to be sent away.
   */
  begin({ socket }: IncomingMessage, response: ServerResponse): boolean {
    const nowMs = performance.now();
    const connection = this.#connections.get(socket);
    if (connection !== undefined) {
      connection.answeringSinceMs = nowMs;
      response.once("close", () => {
        connection.answeringSinceMs = undefined;
        connection.isStream = false;
        // Behind those that have waited longer.
        if (this.#connections.delete(socket)) this.#connections.set(socket, connection);
      });
    }
    const hasRoom = this.#requests.hasToken(nowMs);
    if (hasRoom) this.#requests.take(nowMs);
    return hasRoom;
  }

  /** Exempts an answer that goes on from its deadline. */
  keep({ socket }: IncomingMessage): void {
    const connection = this.#connections.get(socket);
    if (connection !== undefined) connection.isStream = true;
  }

  #enter(socket: Socket): void {
    this.#connections.set(socket, { answeringSinceMs: undefined, isStream: false });
    socket.once("close", () => this.#connections.delete(socket));
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
