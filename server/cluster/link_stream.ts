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

/** Bytes that are acknowledged at once when they have arrived; fewer are with the next sweep. */
const PROMPT_BYTES = 64 * 1024;

/** A connection that carries a stream. */
export interface StreamCarrier {
  readonly outbox: Outbox;
}

/** How a process is at the ends of its links. */
export interface LinkManners {
  /** The process's name for others. */
  readonly linkName: string;
  /**
   * Whether it acknowledges at once what arrives, since a process is about to end that keeps what isn't
   * acknowledged.
   */
  readonly isPrompt: boolean;
}

/** What one end of a link needs of its process. */
export type LinkStreamContext = OutboxContext & LinkManners;

/**
 * One end of a link between two processes: a stream of bytes each way, which outlives the connections
 * that carry it. It keeps what it sends until the other end acknowledges it. Over a new connection each
 * end says how much has arrived, and the other goes on from there: nothing is lost, and nothing comes
 * twice.
 */
export class LinkStream {
  readonly #context: LinkStreamContext;
  readonly #onBytes: (bytes: Uint8Array) => void;
  #carrier: StreamCarrier | undefined;
  /** Segments that the other end hasn't acknowledged, the oldest in front. */
  readonly #kept = new Fifo<SharedChunk>();
  #keptBytes = 0;
  /** Bytes of the stream in front of those that are kept. */
  #keptFrom = 0;
  #acknowledgedBytes = 0;
  #receivedBytes = 0;
  /** How many of these the other end knows of. */
  #toldBytes = 0;
  /** When the last connection was lost, on the coarse clock. */
  #lostMs: number;

  /** @param onBytes Takes bytes of the other end's stream, in order, each once. Valid only during the call. */
  constructor(context: LinkStreamContext, onBytes: (bytes: Uint8Array) => void) {
    this.#context = context;
    this.#onBytes = onBytes;
    this.#lostMs = context.clock.nowMs;
  }

  /** Whether a connection carries it now. */
  get isCarried(): boolean {
    return this.#carrier !== undefined;
  }

  /** Bytes that the kernel hasn't taken; without a connection, all that are kept. */
  get pendingBytes(): number {
    return this.#carrier?.outbox.pendingBytes ?? this.#keptBytes;
  }

  /** Whether little enough waits that those who waited for that need not wait longer. */
  get hasCaughtUp(): boolean {
    return this.#carrier?.outbox.hasCaughtUp ?? false;
  }

  /**
   * When the other process last took a byte of what waits, on the server's coarse clock; without a
   * connection, when that was lost.
   */
  get progressMs(): number {
    return this.#carrier?.outbox.progressMs ?? this.#lostMs;
  }

  /** Bytes that are kept since the other end hasn't acknowledged them. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Sends a segment of data, as `sealSegment` and `dataSegment` make it. */
  send(segment: SharedChunk): void {
    segment.retain();
    this.#kept.push(segment);
    this.#keptBytes += segment.bytes.byteLength - SEGMENT_HEADER_BYTES;
    this.#carrier?.outbox.send(segment);
  }

  /** Says over a new connection how far this end is. */
  greet(carrier: StreamCarrier): void {
    this.#toldBytes = this.#receivedBytes;
    this.#write(carrier, greeting(this.#receivedBytes, this.#context.linkName));
  }

  /**
   * Goes on over a connection, and over no other.
   *
   * @param position How many bytes of this end's stream the other end has had.
   * @throws {LinkFault} where that can't be.
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

  /** The connection is gone; the next one carries on. */
  drop(carrier: StreamCarrier): void {
    if (this.#carrier !== carrier) return;
    this.#carrier = undefined;
    this.#lostMs = this.#context.clock.nowMs;
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
   * The other end says over a connection how many bytes of this end's stream it has had.
   *
   * @throws {LinkFault} where that can't be.
   */
  acknowledge(carrier: StreamCarrier, position: number): void {
    if (this.#carrier === carrier) this.#acknowledge(position);
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

  /** The link is no more: drops what is kept. */
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
