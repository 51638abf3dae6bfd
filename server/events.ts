import type { TransportError } from "../runtime/types.ts";
import type { CeilingEvent } from "./memory/memory_ceiling.ts";
import type { SessionEnd } from "./session/session_end.ts";
import type { ClockEvent } from "./timing/timekeeper.ts";

/** What a server tells the one who runs it. Called off the hot path; must not throw. */
export interface ServerEvents {
  /** A session has begun to end. */
  onSessionEnd(end: SessionEnd): void;
  /**
   * A publisher is made to wait because it publishes faster than one connection may. Called for the
   * first time only; absent where nobody wants to know.
   *
   * @param publishRate What it may publish, in messages a second; `undefined`: any number, so that it
   * sends more bytes than it may.
   */
  onThrottled?(remoteAddress: string, remotePort: number, publishRate: number | undefined): void;
  /**
   * The process's memory is near its limit, so that the server begins to do something about it; or that
   * is over. Absent where nobody wants to know.
   */
  onMemory?(event: CeilingEvent): void;
  /**
   * The system's clock was set by more than a second, or has caught up with the timestamps. Absent where
   * nobody wants to know.
   */
  onClock?(event: ClockEvent): void;
  /** An accept failed; the server goes on. */
  onAcceptError(error: TransportError): void;
}
