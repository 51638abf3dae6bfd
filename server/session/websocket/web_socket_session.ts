import { ACK } from "../../../protocol/encoder.ts";
import type { WebSocketConnection } from "../../../runtime/websocket/connection.ts";
import type { WebSocketHandler } from "../../../runtime/websocket/sides.ts";
import type { EndReason } from "../../counters.ts";
import { fromMessages, toMessages } from "../../flow/messages.ts";
import type { SharedChunk } from "../../flow/shared_chunk.ts";
import type { Lag } from "../../topics/subscriber.ts";
import { closeCodeFor } from "./close_codes.ts";
import { Session } from "../session.ts";

/** The reply to each subscribe. */
const ACK_MESSAGE = toMessages(ACK);

/**
 * The session of a client that has come by WebSocket. It gets the same frames, in messages that all such
 * subscribers share; what it sends is the same stream, but for messages without a terminator.
 */
export class WebSocketSession extends Session implements WebSocketHandler {
  declare protected readonly connection: WebSocketConnection;

  protected override get demandsTerminators(): boolean {
    return true;
  }

  override deliver(chunk: SharedChunk, mayWait: boolean): Lag {
    return super.deliver(chunk.asMessages(), mayWait);
  }

  protected override framesOf(chunk: SharedChunk): Uint8Array {
    return fromMessages(chunk.bytes);
  }

  protected override wireForm(frames: Uint8Array): Uint8Array {
    return frames === ACK ? ACK_MESSAGE : toMessages(frames);
  }

  protected override onEnding(reason: EndReason): void {
    this.connection.closeWith(closeCodeFor(reason), reason);
  }

  // Called by the connection.

  onMessageEnd(): void {
    const { inbound } = this;
    // What arrived before is read first.
    if (inbound !== undefined && inbound.deferredBytes > 0) inbound.deferMessageEnd();
    else this.endMessage();
  }

  onSignOfLife(): void {
    if (!this.isOpen) return;
    this.noteHeard();
    this.unansweredMs = 0;
  }

  onViolation(message: string): void {
    this.inbound?.readDeferred();
    this.end("bad_frame", message);
  }
}
