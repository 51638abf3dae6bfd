import type { Connection } from "../../runtime/types.ts";
import type { ClientDecoder } from "../../protocol/client_decoder.ts";
import { SMALL_FRAME_BYTES } from "../limits/memory.ts";
import { READ_AHEAD_BYTES } from "../limits/messages.ts";
import { ClientConnection } from "./client_connection.ts";
import type { Inbound } from "./inbound.ts";
import type { SessionContext } from "./session_context.ts";

// A session's flags, one number beside its permissions: on Bun a field more costs 64 bytes.
/** The inbound side has paused reading. */
export const FOR_INBOUND: number = 1 << 2;
/** Reading is paused because memory is short. */
export const FOR_MEMORY: number = 1 << 3;
export const PAUSED: number = FOR_INBOUND | FOR_MEMORY;
/** The server has made the client wait, so that much may come next through no fault of the client. */
export const HAS_WAITED: number = 1 << 4;
/** A wait has ended since the last sweep, so what the client sent meanwhile may not have come yet. */
export const IS_BACK: number = 1 << 5;

/**
 * A client's connection that accounts for the memory that it holds: output that waits, input that isn't
 * read or isn't a whole frame yet, and owed receipts.
 */
export abstract class AccountedConnection extends ClientConnection {
  protected readonly decoder: ClientDecoder;
  /** The client's permissions, as in `access.ts`, and the reasons why its connection isn't read. */
  protected flags: number;
  /** Made with the first bytes that have to wait, or the first message. */
  protected inbound: Inbound | undefined;

  constructor(connection: Connection, context: SessionContext) {
    super(connection, context);
    this.decoder = context.newDecoder(this.demandsTerminators);
    this.flags = context.access.withoutKey(connection.remoteAddress);
  }

  /** True if each MESSAGE must have its terminator. */
  protected get demandsTerminators(): boolean {
    return false;
  }

  /** The inbound side, which is made if there is none. */
  protected abstract get inboundSide(): Inbound;

  /** True if the connection isn't read at the moment, or bytes of it wait. */
  get isWaiting(): boolean {
    return (this.flags & PAUSED) !== 0 || (this.inbound?.isWaiting ?? false);
  }

  /** Bytes that are kept for this client: output that waits, input, and owed receipts. */
  get heldBytes(): number {
    return this.pendingBytes + this.inputBytes + this.#owedBytes;
  }

  /** Bytes that the client sent and the server still keeps. */
  get inputBytes(): number {
    const { deferredBytes = 0, undeliveredBytes = 0 } = this.inbound ?? {};
    return this.unfinishedInputBytes + deferredBytes + undeliveredBytes;
  }

  /** As {@linkcode inputBytes}, without a small rest that is read next and so frees itself. */
  get bulkInputBytes(): number {
    const bytes = this.inputBytes;
    const waitingBytes = bytes - this.unfinishedInputBytes;
    return waitingBytes <= READ_AHEAD_BYTES ? bytes - waitingBytes : bytes;
  }

  /** True if most of {@linkcode heldBytes} is what the client sent. */
  get holdsMostlyInput(): boolean {
    return this.inputBytes > this.pendingBytes + this.#owedBytes;
  }

  /** Time on the coarse clock since which the client has freed none of the larger part of it. */
  get heldMemorySinceMs(): number {
    // Receipts come by themselves.
    if (this.#owedBytes > this.pendingBytes + this.inputBytes) return this.context.clock.nowMs;
    if (!this.holdsMostlyInput) return this.progressMs;
    // A client that has to wait can free nothing.
    return this.isWaiting ? this.context.clock.nowMs : this.unfinishedSinceMs;
  }

  /** Bytes of memory that an incomplete frame holds. */
  get unfinishedBytes(): number {
    return this.decoder.heldBytes;
  }

  /** As {@linkcode unfinishedBytes}, plus bytes of an incomplete TLS handshake or record. */
  get unfinishedInputBytes(): number {
    return this.inbound?.unfinishedBytes ?? 0;
  }

  /** True if that is more than a small frame's bytes, which any client may hold. */
  get holdsLargeFrame(): boolean {
    return this.#frameBytes > SMALL_FRAME_BYTES;
  }

  /** True if it is anything, and the client doesn't wait for its turn, for its rate, or at a gate. */
  get holdsFrame(): boolean {
    return this.#frameBytes > 0 && !(this.inbound?.isWaiting ?? false);
  }

  get #frameBytes(): number {
    // While the client waits, the bytes in its connection wait too.
    return this.isWaiting ? this.decoder.heldBytes : this.unfinishedInputBytes;
  }

  /**
   * Time on the coarse clock since which it has held unfinished input without publishing; later by as much
   * as the server has made it wait meanwhile.
   */
  get unfinishedSinceMs(): number {
    const { unfinishedSinceMs = 0, publisher } = this.inbound ?? {};
    return Math.max(unfinishedSinceMs, publisher?.publishedMs ?? 0);
  }

  get #owedBytes(): number {
    return this.inbound?.publisher?.owedBytes ?? 0;
  }

  /**
   * True if an unfinished frame of the client has held memory for `ms` milliseconds, without those for which
   * the server has made the client wait.
   */
  hasHeldPartialFrameFor(ms: number): boolean {
    if (!this.isHeard || this.unfinishedInputBytes === 0 || this.isWaiting) return false;
    return this.context.clock.nowMs - this.unfinishedSinceMs >= ms;
  }

  /** Accounts for the memory that an incomplete frame holds, and the connection's own buffers. */
  protected accountUnfinished(): void {
    const { heldBytes = 0, hasUndelivered = false } = this.connection;
    this.#countUnfinished(this.decoder.heldBytes + (hasUndelivered ? 0 : heldBytes));
    // Undelivered bytes count as deferred: reading frees them.
    this.#countUndelivered(hasUndelivered ? heldBytes : 0);
  }

  #countUnfinished(bytes: number): void {
    const before = this.unfinishedInputBytes;
    if (bytes === before) return;
    const { budget, clock } = this.context;
    const inbound = this.inboundSide;
    if (before === 0) inbound.unfinishedSinceMs = clock.nowMs;
    inbound.unfinishedBytes = bytes;
    budget.countUnfinished(bytes - before);
  }

  #countUndelivered(bytes: number): void {
    const before = this.inbound?.undeliveredBytes ?? 0;
    if (bytes === before) return;
    this.inboundSide.undeliveredBytes = bytes;
    this.context.budget.countDeferred(bytes - before);
  }
}
