import type { Connection, ConnectionHandler, TransportEnd } from "../../runtime/types.ts";
import { LinkFault, SegmentDecoder, type SegmentSink } from "./link_segments.ts";
import type { LinkStream } from "./link_stream.ts";
import { Outbox, type OutboxContext } from "../flow/outbox.ts";

/** The end of a link that owns a carrier: it has dialled the connection, or accepted it. */
export interface CarrierOwner {
  /**
   * Called when the other process has said its name, and how many bytes of this process's stream it has.
   *
   * @returns The stream that the connection carries from now on.
   */
  onGreeting(carrier: LinkCarrier, position: number, name: string): LinkStream;
  /** Called when some of the waiting bytes have left. */
  onDrain?(): void;
  /** Called once, last, when the connection is gone. */
  onGone(carrier: LinkCarrier, cause: Error | undefined): void;
}

/** One connection between two processes, which carries a link's stream while it lasts. */
export class LinkCarrier implements ConnectionHandler, SegmentSink {
  readonly outbox: Outbox;
  readonly #connection: Connection;
  readonly #owner: CarrierOwner;
  readonly #segments = new SegmentDecoder();
  #stream: LinkStream | undefined;
  #fault: Error | undefined;

  constructor(connection: Connection, context: OutboxContext, owner: CarrierOwner) {
    this.#connection = connection;
    this.outbox = new Outbox(connection, context);
    this.#owner = owner;
  }

  pauseReading(): void {
    this.#connection.pauseReading();
  }

  resumeReading(): void {
    this.#connection.resumeReading();
  }

  /** Ends the connection when the chunk in flight has left. */
  close(): void {
    this.#connection.close();
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#connection.destroy();
  }

  onData(chunk: Uint8Array): void {
    if (this.#fault !== undefined) return;
    try {
      this.#segments.push(chunk, this);
    } catch (error) {
      if (!(error instanceof LinkFault)) throw error;
      this.#fault = error;
      this.#connection.destroy();
    }
  }

  onGreeting(position: number, name: string): void {
    this.#stream = this.#owner.onGreeting(this, position, name);
  }

  onAcknowledged(position: number): void {
    this.#stream?.acknowledge(this, position);
  }

  onBytes(bytes: Uint8Array): void {
    this.#stream?.receive(this, bytes);
  }

  onDrain(): void {
    this.outbox.drained();
    this.#owner.onDrain?.();
  }

  onEnd(): void {
    this.#connection.destroy();
  }

  onClose(_: TransportEnd, cause?: Error): void {
    this.outbox.discard();
    this.#stream?.drop(this);
    this.#owner.onGone(this, this.#fault ?? cause);
  }
}
