import type { ClientDecoder } from "../../protocol/client_decoder.ts";
import type { TimestampIssuer } from "../../protocol/timestamp.ts";
import type { Runtime } from "../../runtime/types.ts";
import type { AccessRules } from "../access/access.ts";
import type { Admission } from "../access/admission.ts";
import type { ReplayThrottle } from "../access/replay_throttle.ts";
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
import type { CatchUps } from "../topics/catch_ups.ts";
import type { Origins } from "../history/origins.ts";
import type { TopicRegistry } from "../topics/topic_registry.ts";

/** The watch over the process's memory, as sessions use it. */
export interface MemoryWatch {
  /** Bytes received by the server in all at which a session calls {@linkcode look}. */
  readonly lookAtBytes: number;
  /** True if memory is so short that publishers have to wait. */
  readonly holdsAll: boolean;
  /** Measures the process's memory, and acts on it. */
  look(): void;
}

/** A session whose reading can be stopped while memory is short. */
export interface HeldBackSession {
  /** Stops reading the client; true if that stopped it. */
  holdBack(): boolean;
  /** Reads the client again. */
  letGo(sinceMs: number): void;
  /** True if the client is in the middle of a frame, and waits for nothing else. */
  readonly holdsFrame: boolean;
}

/** Bounds the memory that clients' input holds; sessions report to it. */
export interface InputGuard {
  /** True if too much is held, so that sessions whose clients send are held back. */
  readonly isHolding: boolean;
  /** Stops reading a session until there is room again. */
  holdBack(session: HeldBackSession): void;
  /**
   * Reads a held-back connection as soon as there is room, until the runtime holds no byte of it.
   */
  readOn(session: HeldBackSession): void;
}

/** A client whose frames may be shown. */
export interface TracedClient extends Client {
  isSubscribedTo(topic: string): boolean;
}

/** Is told of each frame that clients send, or are sent. */
export interface FrameTracer {
  /** A client asks for something with a topic. */
  asked(client: TracedClient, action: "subscribe" | "unsubscribe", topic: string): void;
  /** It shows a key. */
  authenticated(client: TracedClient): void;
  /** It publishes a message. */
  published(client: TracedClient, topic: string, message: Uint8Array, wantsReceipt: boolean): void;
  /** It sends a frame that asks for nothing. */
  idled(client: TracedClient): void;
  /** It is sent whole frames. */
  sent(client: TracedClient, bytes: Uint8Array): void;
}

/** Counts the messages that are accepted for some topics. */
export interface MessageCounter {
  countMessage(topic: string): void;
}

/** A decision about a client and a topic that isn't made yet. */
export interface PendingDecision extends WaitingPlace {
  /** Calls `act` when it is made, before clients that wait go on. */
  whenDecided(act: (isAllowed: boolean) => void): void;
}

/** The host program's say about topics. */
export interface TopicSay {
  /** Notes that a client has shown a right key. */
  noteKey(client: Client, key: string): void;
  /**
   * Looks whether a client may do something with a topic.
   *
   * @returns `undefined` if it may, or the place to wait at before the next call.
   * @throws {ProtocolError} `forbidden`, if it may not.
   */
  look(
    client: Client,
    action: "publish" | "subscribe",
    topic: string,
  ): PendingDecision | undefined;
}

/** A client's address. */
interface Client {
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** The parts of the server that sessions use; one object for all of them. */
export interface SessionContext extends OutboxContext {
  readonly runtime: Runtime;
  readonly topics: TopicRegistry;
  readonly timestamps: TimestampIssuer;
  readonly origins: Origins;
  /** The subscriptions that get older messages from the history. */
  readonly catchUps: CatchUps;
  /** Bounds what is replayed of the history for one address. */
  readonly replays: ReplayThrottle;
  readonly counters: Counters;
  /** Keeps the process's memory below its limit. */
  readonly ceiling: MemoryWatch;
  /** Publishers wait here while the memory budget is tight, or the process's memory short. */
  readonly budgetGate: Gate;
  /** Shares the loop's time for reading among connections. */
  readonly reading: FairReader;
  readonly inputDefence: InputGuard;
  /** Joins the replies to one client into one write. */
  readonly replies: Replies;
  /** Joins the messages of several topics for one connection into one write. */
  readonly dueWrites: DueWrites;
  /** Gives publishers their receipts. */
  readonly receiptDesk: ReceiptDesk;
  /** Limits the publish rate of each connection. */
  readonly throttle: PublishThrottle;
  /** Connects to the server's other processes; absent if there are none. */
  readonly backplane: Backplane | undefined;
  /** Permissions to publish and subscribe; replaced by another object when the rules change. */
  readonly access: AccessRules;
  /** Decides beside `access` about single topics; absent if the host program leaves that to `access`. */
  readonly topicSay: TopicSay | undefined;
  /** Remembers the clients' addresses, and counts what each has done. */
  readonly admission: Admission;
  /** Makes room for a client by ending another. */
  readonly displacement: Displacement;
  /** Clients wait here while other processes are asked for room; absent if there are none. */
  readonly borrower: WaitingPlace | undefined;
  /** Clients whose address has sent too many wrong keys wait here. */
  readonly slowKeys: SlowKeys;
  /** Present only while some clients are traced. */
  readonly tracer: FrameTracer | undefined;
  /** Counts the messages of some topics; absent if there are none of these. */
  readonly watchedTopics: MessageCounter | undefined;
  /** @param demandsTerminators True if each MESSAGE must have its terminator. */
  newDecoder(demandsTerminators: boolean): ClientDecoder;
  newToken(): string;
  /** Called when a client exceeds its publish rate for the first time. */
  onThrottled(remoteAddress: string, remotePort: number): void;
  /** Called once for each session, when it begins to end. */
  onEnding(end: SessionEnd): void;
  /** Called once for each session, last, when its connection is gone. */
  onGone(session: Occupant & Slotted): void;
}
