import { CLOSE_CODES } from "../../../runtime/websocket/frame_reader.ts";
import type { EndReason } from "../../counters.ts";

/** The code with which a WebSocket is closed when its session ends for a reason. */
export function closeCodeFor(reason: EndReason): number {
  switch (reason) {
    case "client_closed":
    case "published":
    case "connection_lost":
    case "handshake_failed":
      return CLOSE_CODES.normal;
    case "server_shutdown":
      return CLOSE_CODES.goingAway;
    case "frame_too_large":
      return CLOSE_CODES.tooBig;
    case "too_many_connections":
    case "discontinuity":
      return CLOSE_CODES.serverError;
    case "bad_frame":
    case "bad_message":
    case "forbidden":
    case "idle_timeout":
    case "slow_consumer":
    case "too_many_topics":
      return CLOSE_CODES.policy;
  }
}
