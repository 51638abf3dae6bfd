import type { ClientDecoder } from "../../protocol/client_decoder.ts";
import type { TimestampIssuer } from "../../protocol/timestamp.ts";
import type { Runtime } from "../../runtime/types.ts";
import type { AccessRules } from "../access/access.ts";
import type { Admission } from "../access/admission.ts";
import type { Backplane } from "../cluster/backplane.ts";
import type { Counters } from "../counters.ts";
import type { DueWrites } from "../flow/due_writes.ts";
import type { FairReader } from "../flow/fair_reader.ts";
import type { Gate, WaitingPlace } from "../flow/gate.ts";
import type { OutboxContext } from "../flow/outbox.ts";
import type { ReceiptDesk } from "../topics/receipt_desk.ts";
import type { Replies } from "./replies.ts";
import type { PublishThrottle } from "../flow/publish_throttle.ts";
import type { Slotted } from "./session_table.ts";
import type { SessionEnd } from "./session_end.ts";
import type { Displacement } from "../shares/displacement.ts";
import type { Occupant } from "../shares/holder.ts";
import type { SlowKeys } from "../access/slow_keys.ts";
import type { TopicRegistry } from "../topics/topic_registry.ts";

/** How sessions look at the process's memory. */
export interface MemoryWatch {
  /** Bytes received in all at which a session calls {@linkcode look}. */
  readonly lookAtBytes: number;
  /** Whether memory is so short that publishers wait. */
  readonly holdsAll: boolean;
  /** Measures the process's memory, and acts on it. */
  look(): void;
}

/** A session that isn't read for want of memory. */
export interface HeldBackSession {
  /** Reads nothing more of it; whether that is new. */
  holdBack(): boolean;
  /** Reads it again. */
  letGo(): void;
}

/** How sessions report what memory they hold by what their clients send. */
export interface InputGuard {
  /** Whether too much is held, so that a session that has sent much is to be held back. */
  readonly isHolding: boolean;
  /** Reads nothing more of a session until there is room again. */
  holdBack(session: HeldBackSession): void;
  /**
   * Reads on a connection that was held back for want of memory, as soon as there is room, until the
   * runtime holds no byte of it.
   */
  readOn(session: HeldBackSession): void;
}

/** What sessions need to know of the server; one object for all of them. */
export interface SessionContext extends OutboxContext {
  readonly runtime: Runtime;
  readonly topics: TopicRegistry;
  readonly timestamps: TimestampIssuer;
  readonly counters: Counters;
  /** What keeps the process's memory below its limit. */
  readonly ceiling: MemoryWatch;
  /** Where publishers wait while the memory budget is tight, or the process's memory short. */
  readonly budgetGate: Gate;
  /** How connections share the loop's time for reading. */
  readonly reading: FairReader;
  /** What bounds the memory that they hold by what they send. */
  readonly inputDefence: InputGuard;
  /** Joins the answers to one client into one write. */
  readonly replies: Replies;
  /** Where connections wait for one write of what several topics have for them. */
  readonly dueWrites: DueWrites;
  /** Where publishers get their receipts. */
  readonly receiptDesk: ReceiptDesk;
  /** How fast each connection may publish. */
  readonly throttle: PublishThrottle;
  /** The way to the server's other processes, where there are any. */
  readonly backplane: Backplane | undefined;
  /** Who may publish and subscribe; another one when the rules change. */
  readonly access: AccessRules;
  /** What is remembered of the clients' addresses. */
  readonly admission: Admission;
  /** What makes room where there is none. */
  readonly displacement: Displacement;
  /** Where those wait for whom other processes are asked for room; absent where there are none. */
  readonly borrower: WaitingPlace | undefined;
  /** Where those wait whose address has shown too many wrong keys. */
  readonly slowKeys: SlowKeys;
  newDecoder(): ClientDecoder;
  newToken(): string;
  /** A client publishes faster than it may, for the first time. */
  onThrottled(remoteAddress: string, remotePort: number): void;
  /** A session has begun to end; called once. */
  onEnding(end: SessionEnd): void;
  /** The connection is gone; called once, last. */
  onGone(session: Occupant & Slotted): void;
}
