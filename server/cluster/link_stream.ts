import { Fifo } from "../timing/fifo.ts";
import {
  acknowledgement,
  dataSegment,
  greeting,
  LinkFault,
  SEGMENT_HEADER_BYTES,
} from "./link_segments.ts";
import type { Outbox, OutboxContext } from "../flow/outbox.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";

/** So many bytes are acknowledged as soon as they have arrived; fewer with the next sweep. */
const PROMPT_BYTES = 64 * 1024;

/** A connection that carries a stream. */
export interface StreamCarrier {
  readonly outbox: Outbox;
}

/** The settings of a process for the ends of its links. */
export interface LinkManners {
  /** The name by which the other processes know this one. */
  readonly linkName: string;
  /**
   * True if it acknowledges at once what arrives, because a process is about to end that waits for that.
   */
  readonly isPrompt: boolean;
}

/** The parts of its process that one end of a link uses. */
export type LinkStreamContext = OutboxContext & LinkManners;

/**
 * One end of a link between two processes: a stream of bytes each way, which outlives the connections that
 * carry it. Each end keeps what it sends until the other end acknowledges it. Over a new connection each end
 * says how many bytes have arrived, and the other end goes on from there. So nothing is lost, and nothing
 * comes twice.
 */
export class LinkStream {
  readonly #context: LinkStreamContext;
  readonly #onBytes: (bytes: Uint8Array) => void;
  readonly #onAcknowledged: () => void;
  #carrier: StreamCarrier | undefined;
  /** Segments that the other end hasn't acknowledged, the oldest in front. */
  readonly #kept = new Fifo<SharedChunk>();
  #keptBytes = 0;
  /** The number of the stream's bytes in front of the kept ones. */
  #keptFrom = 0;
  #acknowledgedBytes = 0;
  #receivedBytes = 0;
  /** The number of received bytes that this end has acknowledged. */
  #toldBytes = 0;

  /**
   * @param onBytes Receives the other end's bytes, in order, each once; valid only during the call.
   * @param onAcknowledged Called at each acknowledgement of the other end.
   */
  constructor(
    context: LinkStreamContext,
    onBytes: (bytes: Uint8Array) => void,
    onAcknowledged: () => void = () => {},
  ) {
    this.#context = context;
    this.#onBytes = onBytes;
    this.#onAcknowledged = onAcknowledged;
  }

  /** True while a connection carries the stream. */
  get isCarried(): boolean {
    return this.#carrier !== undefined;
  }

  /** Bytes that the kernel hasn't taken; without a connection, all kept bytes. */
  get pendingBytes(): number {
    return this.#carrier?.outbox.pendingBytes ?? this.#keptBytes;
  }

  /** True if so little waits that publishers which waited for this link may go on. */
  get hasCaughtUp(): boolean {
    return this.#carrier?.outbox.hasCaughtUp ?? false;
  }

  /** Bytes that the other end hasn't acknowledged. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Sends a data segment that `sealSegment` or `dataSegment` made. */
  send(segment: SharedChunk): void {
    segment.retain();
    this.#kept.push(segment);
    this.#keptBytes += segment.bytes.byteLength - SEGMENT_HEADER_BYTES;
    this.#carrier?.outbox.send(segment);
  }

  /** Says over a new connection how many bytes this end has. */
  greet(carrier: StreamCarrier): void {
    this.#toldBytes = this.#receivedBytes;
    this.#write(carrier, greeting(this.#receivedBytes, this.#context.linkName));
  }

  /**
   * Goes on over this connection, and over no other.
   *
   * @param position The number of bytes of this end's stream that the other end has.
   * @throws {LinkFault} if that number is impossible.
   */
  carryOn(carrier: StreamCarrier, position: number): void {
    this.#acknowledge(position);
    this.#carrier = carrier;
    let skipped = position - this.#keptFrom;
    for (const segment of this.#kept) {
      if (skipped === 0) carrier.outbox.send(segment);
      else {this.#write(
          carrier,
          dataSegment(segment.bytes.subarray(SEGMENT_HEADER_BYTES + skipped)),
        );}
      skipped = 0;
    }
  }

  /** To be called when a connection is gone; the next one carries on. */
  drop(carrier: StreamCarrier): void {
    if (this.#carrier !== carrier) return;
    this.#carrier = undefined;
  }

  /** Takes bytes that came over a connection. */
  receive(carrier: StreamCarrier, bytes: Uint8Array): void {
    if (this.#carrier !== carrier) return;
    this.#receivedBytes += bytes.length;
    this.#onBytes(bytes);
    if (this.#context.isPrompt || this.#receivedBytes - this.#toldBytes >= PROMPT_BYTES) {
      this.#tell();
    }
  }

  /**
   * Takes the other end's acknowledgement, which came over a connection.
   *
   * @throws {LinkFault} if the number of bytes is impossible.
   */
  acknowledge(carrier: StreamCarrier, position: number): void {
    if (this.#carrier !== carrier) return;
    this.#acknowledge(position);
    this.#onAcknowledged();
  }

  #acknowledge(position: number): void {
    if (!(position >= this.#acknowledgedBytes && position <= this.#keptFrom + this.#keptBytes)) {
      const most = this.#keptFrom + this.#keptBytes;
      throw new LinkFault(
        `${position} bytes of ${this.#acknowledgedBytes} to ${most} are acknowledged`,
      );
    }
    this.#acknowledgedBytes = position;
    for (;;) {
      const first = this.#kept.peek();
      if (first === undefined) return;
      const length = first.bytes.byteLength - SEGMENT_HEADER_BYTES;
      if (this.#keptFrom + length > position) return;
      this.#kept.shift();
      this.#keptFrom += length;
      this.#keptBytes -= length;
      first.release();
    }
  }

  /** Acknowledges what has arrived. To be called about once a sweep. */
  sweep(): void {
    if (this.#receivedBytes > this.#toldBytes) this.#tell();
  }

  /** Drops all kept bytes, because the link has ended. */
  discard(): void {
    for (;;) {
      const segment = this.#kept.shift();
      if (segment === undefined) break;
      segment.release();
    }
    this.#keptFrom += this.#keptBytes;
    this.#keptBytes = 0;
    this.#carrier = undefined;
  }

  #tell(): void {
    if (this.#carrier === undefined) return;
    this.#toldBytes = this.#receivedBytes;
    this.#write(this.#carrier, acknowledgement(this.#receivedBytes));
  }

  #write(carrier: StreamCarrier, bytes: Uint8Array): void {
    carrier.outbox.send(new SharedChunk(bytes, this.#context.budget));
  }
}
