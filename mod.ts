/**
 * Hotwheels: one message to tens of thousands of TCP subscribers, on Deno and on Bun.
 *
 * `serve` starts a Janus server in this process. To run one by itself, see the command
 * `server/main.ts`.
 *
 * @module
 */

export { serve } from "./server/serve.ts";
export {
  type CloseOptions,
  type RunningServer,
  type ServeAdminOptions,
  type ServeOptions,
  type ServeWebSocketOptions,
} from "./server/running_server.ts";
export { type ServeClusterOptions } from "./server/cluster_setup.ts";
export { type AccessOptions } from "./server/access/access.ts";
export { type ServerEvents } from "./server/events.ts";
export { type Message, type PublishReceipt } from "./server/embedding/local_publisher.ts";
export { type TopicHooks, type TopicRequest } from "./server/embedding/topic_permits.ts";
export { type Receipt } from "./server/topics/receipts.ts";
export { type StopOptions, type TopicCounts } from "./server/server_options.ts";
export { type SessionEnd } from "./server/session/session_end.ts";
export { type Counters, type EndReason, type PauseCause } from "./server/counters.ts";
export { type ClockEvent } from "./server/timing/timekeeper.ts";
export { type CeilingEvent } from "./server/memory/memory_ceiling.ts";
export { DEFAULT_LIMITS, type Limits } from "./server/limits.ts";
export type { CeilingStep } from "./server/limits/memory.ts";
export { type ErrorCode } from "./protocol/errors.ts";
export { type ResumeReason } from "./protocol/resume.ts";
export {
  type Accept,
  type Address,
  type Connection,
  type ConnectionHandler,
  type ConnectOptions,
  type Listener,
  type ListenOptions,
  type Runtime,
  type TlsIdentity,
  type TlsTrust,
  type TransportEnd,
  TransportError,
  type TransportErrorCode,
} from "./runtime/types.ts";
