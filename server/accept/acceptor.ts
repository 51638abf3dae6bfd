import { countAccepted } from "./connection_count.ts";
import type { Connection, ConnectionHandler } from "../../runtime/types.ts";
import type { WebSocketConnection } from "../../runtime/websocket/connection.ts";
import type { Admission, Refusal } from "../access/admission.ts";
import type { Counters } from "../counters.ts";
import type { HeldConnections } from "../lending/held_connections.ts";
import type { MemoryDefence } from "../memory/memory_defence.ts";
import { Session } from "../session/session.ts";
import type { SessionContext } from "../session/session_context.ts";
import type { SessionTable } from "../session/session_table.ts";
import { WebSocketSession } from "../session/websocket/web_socket_session.ts";
import type { Holders } from "../shares/holders.ts";
import type { AcceptGate } from "./accept_gate.ts";
import type { Rejections } from "./rejections.ts";

/** The parts of the server that decide about a new connection, and that a new session is entered in. */
export interface AcceptorHost {
  readonly counters: Counters;
  readonly context: SessionContext;
  readonly memory: MemoryDefence;
  readonly admission: Admission;
  readonly acceptGate: AcceptGate;
  readonly rejections: Rejections;
  /** Connections that wait until other processes have answered; absent if there are none of these. */
  readonly held: HeldConnections | undefined;
  readonly sessions: SessionTable<Session>;
  readonly holders: Holders;
}

/** Decides about each new connection: it becomes a session, is refused, or is held until that is known. */
export class Acceptor {
  readonly #host: AcceptorHost;
  /** True if connections begin with a TLS handshake. To be set before the first one. */
  isSecure = false;

  constructor(host: AcceptorHost) {
    this.#host = host;
  }

  accept(connection: Connection): ConnectionHandler {
    return this.#accept(connection, undefined);
  }

  acceptWebSocket(connection: WebSocketConnection): ConnectionHandler {
    return this.#accept(connection, connection);
  }

  /** @param webSocket The connection, if it is a WebSocket. */
  #accept(connection: Connection, webSocket: WebSocketConnection | undefined): ConnectionHandler {
    const { counters, acceptGate } = this.#host;
    countAccepted(counters, connection);
    const handler = this.#admit(connection, webSocket);
    acceptGate.accepted();
    return handler;
  }

  #admit(connection: Connection, webSocket: WebSocketConnection | undefined): ConnectionHandler {
    const { memory, admission, acceptGate, held } = this.#host;
    const answer = memory.refuse() ??
      admission.admit(connection.remoteAddress, acceptGate.refusal);
    if (answer === undefined || !("retry" in answer)) {
      return this.#settle(connection, webSocket, answer);
    }
    return (held as HeldConnections).hold(
      connection,
      answer,
      (refusal) => this.#settle(connection, webSocket, refusal),
    );
  }

  /** Begins a session, or refuses the connection. */
  #settle(
    connection: Connection,
    webSocket: WebSocketConnection | undefined,
    refusal: Refusal | undefined,
  ): ConnectionHandler {
    const { counters, context, memory, rejections, sessions, holders } = this.#host;
    const hasHandshake = this.isSecure || webSocket !== undefined;
    if (refusal !== undefined) {
      if (refusal.isOfAddress) counters.refusedByAddress++;
      return rejections.reject(connection, refusal, hasHandshake);
    }
    const session = webSocket === undefined
      ? new Session(connection, context)
      : new WebSocketSession(webSocket, context);
    sessions.add(session);
    if (memory.ceiling.holdsBulk) memory.input.holdBack(session);
    holders.add(session);
    if (hasHandshake) session.awaitHandshake();
    else session.greet();
    return session;
  }
}
