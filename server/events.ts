import type { TransportError } from "../runtime/types.ts";
import type { CeilingEvent } from "./memory/memory_ceiling.ts";
import type { SessionEnd } from "./session/session_end.ts";
import type { ClockEvent } from "./timing/timekeeper.ts";

/**
 * The events of a server, for the program that runs it. They are called outside the hot path, and must not
 * throw. An event that is optional isn't called if it is absent.
 */
export interface ServerEvents {
  /** A session has begun to end. */
  onSessionEnd(end: SessionEnd): void;
  /**
   * The server makes a publisher wait, because it sends faster than one connection may. Called once for
   * each connection.
   *
   * @param publishRate The messages a second that it may publish; `undefined` if only its bytes are limited.
   */
  onThrottled?(remoteAddress: string, remotePort: number, publishRate: number | undefined): void;
  /**
   * The server begins a step because the process's memory is near its limit, or the step is over.
   */
  onMemory?(event: CeilingEvent): void;
  /**
   * The system's clock was set by more than a second, or has caught up with the timestamps.
   */
  onClock?(event: ClockEvent): void;
  /**
   * A hook of the program has thrown, or hasn't decided in time; the client was refused.
   *
   * @param action The hook: `publish` or `subscribe`.
   */
  onHookFailure?(action: "publish" | "subscribe", error: unknown): void;
  /** No worker is left and none can be started, so that the server is over; the reason in words. */
  onGaveUp?(reason: string): void;
  /** An accept failed; the server goes on. */
  onAcceptError(error: TransportError): void;
}
