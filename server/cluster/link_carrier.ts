import type { Connection, ConnectionHandler, TransportEnd } from "../../runtime/types.ts";
import { LinkFault, SegmentDecoder, type SegmentSink } from "./link_segments.ts";
import type { LinkStream } from "./link_stream.ts";
import { Outbox, type OutboxContext } from "../flow/outbox.ts";

/** The end of a link that has a connection made for it, or that takes one. */
export interface CarrierOwner {
  /**
   * The other process has said who it is, and how many bytes of this process's stream it has had.
   *
   * @returns The stream that the connection carries from now on.
   */
  onGreeting(carrier: LinkCarrier, position: number, name: string): LinkStream;
  /** Something of what waits has left. */
  onDrain?(): void;
  /** The connection is gone. Called once, last. */
  onGone(carrier: LinkCarrier, cause: Error | undefined): void;
}

/** One connection between two processes, which carries a link's stream for as long as it stands. */
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

  /** Ends the connection when what is in flight has left. */
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
