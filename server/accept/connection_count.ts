import type { Connection } from "../../runtime/types.ts";
import { WebSocketConnection } from "../../runtime/websocket/connection.ts";
import type { Counters } from "../counters.ts";

/** Counts a connection that was accepted. */
export function countAccepted(counters: Counters, connection: Connection): void {
  counters.accepted++;
  counters.connections++;
  if (connection instanceof WebSocketConnection) counters.webSocketConnections++;
}

/** Counts a connection that has gone. */
export function countGone(counters: Counters, connection: Connection): void {
  counters.connections--;
  if (connection instanceof WebSocketConnection) counters.webSocketConnections--;
}
