/**
 * What both entries export.
 *
 * @module
 */

export type { Hotwheels } from "./hotwheels.ts";
export type {
  ConnectOptions,
  RetryOptions,
  WebSocketConstructor,
  WebSocketLike,
} from "./api/options.ts";
export type { OutgoingMessage, PublishOptions, Receipt } from "./publishes.ts";
export type { Delivered, Message, Messages, SubscribeOptions } from "./subscription.ts";
export type {
  ClosedStatus,
  ConnectingStatus,
  GapReason,
  OpenStatus,
  Status,
  SubscribedReason,
  SubscribedStatus,
} from "./api/statuses.ts";
export {
  BufferFullError,
  CertificateError,
  ClosedError,
  ConnectionError,
  FinalError,
  ForbiddenError,
  GapError,
  HotwheelsError,
  OfflineError,
  OutcomeUnknownError,
  ServerError,
  UrlError,
} from "./api/errors.ts";
export type { ErrorCode } from "../protocol/errors.ts";
export type { ResumeReason } from "../protocol/resume.ts";
