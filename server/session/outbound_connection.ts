import type { Connection } from "../../runtime/types.ts";
import type { DueConnection } from "../flow/due_writes.ts";
import { Outbox } from "../flow/outbox.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";
import type { Holder } from "../shares/holder.ts";
import type { Fall, Lag, Subscriber } from "../topics/subscriber.ts";
import type { SessionContext } from "./session_context.ts";

/**
 * - `securing`: waits for the connection's handshake: that of TLS, that of a WebSocket, or both.
 * - `open`: reads and writes.
 * - `ending`: reads no more; queued bytes still go out.
 * - `yielding`: as `ending`, but doesn't wait for the peer, since another client needs the descriptor.
 * - `closing`: our side is closed; waits for the peer to close.
 * - `gone`: the connection is closed.
 */
export type ClientState = "securing" | "open" | "ending" | "yielding" | "closing" | "gone";

/**
 * The sending side of one client: its replies and the messages of its topics, in order and within its
 * limits. {@linkcode ClientConnection} inherits from it and decides when the connection ends.
 */
export abstract class OutboundConnection implements Subscriber, DueConnection {
  /** Index in the server's table; only the table writes it. */
  slot = -1;
  /** The address that its connection and topics count for, and its slot there; see `Occupant`. */
  holder: Holder | undefined;
  holderSlot = -1;
  protected readonly connection: Connection;
  protected readonly context: SessionContext;
  protected readonly outbox: Outbox;
  #state: ClientState = "open";
  /** Time on the coarse clock at which the state began, or a wait that the server imposed ended. */
  protected stateSinceMs: number;
  readonly #acceptedMs: number;

  constructor(connection: Connection, context: SessionContext) {
    this.connection = connection;
    this.context = context;
    this.outbox = new Outbox(connection, context);
    this.stateSinceMs = this.#acceptedMs = context.clock.nowMs;
  }

  /** True if several topics may have messages for the client at the same time. */
  protected abstract get hasSeveralTopics(): boolean;
  /** Names of the client's topics, the oldest subscription first. */
  abstract get topicNames(): readonly string[];
  /** Ends a slow consumer, which is told why, and drops what waits for it. */
  protected abstract dropSlow(detail: string): void;
  /** Closes our side if the session is ending; called when everything is sent. */
  protected abstract closeIfDue(): void;

  /** The peer's IP address; empty on a Unix socket. */
  get remoteAddress(): string {
    return this.connection.remoteAddress;
  }

  /** The peer's port; 0 on a Unix socket. */
  get remotePort(): number {
    return this.connection.remotePort;
  }

  /** Bytes that wait for the peer, those included that its topics keep for it. */
  get pendingBytes(): number {
    const { catchUps } = this.context;
    const { pendingBytes } = this.outbox;
    return catchUps.isEmpty ? pendingBytes : pendingBytes + catchUps.bytesBehind(this);
  }

  get unsentBytes(): number {
    return this.outbox.pendingBytes;
  }

  /** Time on the coarse clock at which the peer last took a byte of what waits for it. */
  get progressMs(): number {
    return this.outbox.progressMs;
  }

  /** True if the client is subscribed to a topic. Takes as long as it has topics. */
  isSubscribedTo(topic: string): boolean {
    return this.topicNames.includes(topic);
  }

  /** Milliseconds since the connection was accepted, on the coarse clock. */
  get ageMs(): number {
    return this.context.clock.nowMs - this.#acceptedMs;
  }

  protected get state(): ClientState {
    return this.#state;
  }

  /** True while the server reads the client's frames. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Sends a reply, or joins it with others. Replies count towards the pending limit as messages do. */
  send(bytes: Uint8Array): void {
    const { replies } = this.context;
    if (replies.isFor(this)) replies.append(bytes);
    else this.sendNow(bytes);
  }

  /**
   * Joins replies until {@linkcode endReplies}.
   *
   * @returns False if replies are being joined already, for this client or another.
   */
  beginReplies(): boolean {
    return this.context.replies.begin(this);
  }

  /**
   * Sends the joined replies, and joins no more.
   *
   * @param mayWait True if more that the client has asked for is about to be read, so that replies to that
   * can share a write with these.
   */
  endReplies(mayWait = false): void {
    const { replies } = this.context;
    if (!replies.isFor(this)) return;
    const bytes = replies.take();
    if (bytes !== undefined && this.#state === "open") this.#sendReplies(bytes, mayWait);
    replies.end();
  }

  /** Sends the replies joined so far, so that they come before what is sent next. */
  protected flushReplies(): void {
    const { replies } = this.context;
    const bytes = replies.isFor(this) ? replies.take() : undefined;
    // An eviction in between drops them with everything else.
    if (bytes !== undefined && this.#state === "open") this.sendNow(bytes);
  }

  /** The frames in a chunk that is delivered. */
  protected framesOf(chunk: SharedChunk): Uint8Array {
    return chunk.bytes;
  }

  /** The form in which frames go to the connection. */
  protected wireForm(frames: Uint8Array): Uint8Array {
    return frames;
  }

  /** Sends bytes without joining them with others. */
  protected sendNow(bytes: Uint8Array): void {
    this.#sendReplies(bytes, false);
  }

  #sendReplies(bytes: Uint8Array, mayWait: boolean): void {
    this.context.tracer?.sent(this, bytes);
    const chunk = new SharedChunk(this.wireForm(bytes), this.context.budget);
    if (mayWait && this.#gather(chunk)) return;
    if (this.outbox.send(chunk)) return;
    if (this.#state === "open") this.#enforceLimit();
  }

  /** Leaves a small chunk for a write with others. @returns False if it must be sent now. */
  #gather(chunk: SharedChunk): boolean {
    const isFirst = this.outbox.isEmpty;
    if (!this.outbox.gather(chunk)) return false;
    if (isFirst) this.context.dueWrites.add(this);
    return true;
  }

  // Called by its topics.

  deliver(chunk: SharedChunk, mayWait: boolean): Lag {
    if (this.#state !== "open") return "keeps_up";
    if (this.context.tracer !== undefined) this.context.tracer.sent(this, this.framesOf(chunk));
    if (mayWait && this.hasSeveralTopics && this.#gather(chunk)) return "is_due";
    this.context.counters.writes++;
    // A write may count as waiting although the kernel takes it at once. What follows is for clients
    // that are behind.
    if (this.outbox.send(chunk) || !this.outbox.isFull) return "keeps_up";
    this.#enforceLimit();
    return this.#state === "open" ? "behind" : "keeps_up";
  }

  get takesMore(): boolean {
    return !this.outbox.isFull;
  }

  get hasUnsent(): boolean {
    return this.outbox.isInFlight;
  }

  writeDue(): void {
    if (this.outbox.isEmpty) return;
    this.context.counters.writes++;
    if (this.outbox.flush()) this.closeIfDue();
  }

  fallBehind(fall: Fall): void {
    if (this.#state !== "open") return;
    this.dropSlow(
      fall === "too_far"
        ? this.#tooMuch(this.pendingBytes)
        : "Older messages that were still to come are no longer stored",
    );
  }

  /** Milliseconds since the client took a byte of what waits for it; 0 if nothing does. */
  get stalledMs(): number {
    return this.outbox.isEmpty ? 0 : this.context.clock.nowMs - this.outbox.progressMs;
  }

  /** True if bytes wait for the client and it has taken none for `ms` milliseconds. */
  isStalledFor(ms: number): boolean {
    return !this.outbox.isEmpty && this.context.clock.nowMs - this.outbox.progressMs >= ms;
  }

  /** Called by the connection. */
  onDrain(): void {
    const isEmpty = this.outbox.drained();
    const { catchUps } = this.context;
    if (!catchUps.isEmpty) catchUps.onDrain(this, this.outbox.isTooSlow ? "stalled" : "reads");
    if (isEmpty) this.closeIfDue();
  }

  /** Evicts the client if more bytes wait for it than the limit allows. */
  #enforceLimit(): void {
    const { pendingBytes } = this.outbox;
    if (pendingBytes > this.context.limits.maxPendingBytes) {
      this.dropSlow(this.#tooMuch(pendingBytes));
    }
  }

  #tooMuch(bytes: number): string {
    return `${bytes} bytes wait, ${this.context.limits.maxPendingBytes} may`;
  }

  protected setState(state: ClientState): void {
    this.#state = state;
    this.stateSinceMs = this.context.clock.nowMs;
  }
}
