import type { BufferPool } from "../../protocol/framing/buffer_pool.ts";
import type { OverdueProcess, OwedProcess } from "./backplane.ts";
import type { Gate, Waiter } from "../flow/gate.ts";
import { HeldTopics, type HoldEvents } from "./held_topics.ts";
import { AnswerEncoder } from "./link_answers.ts";
import type { LinkCarrier } from "./link_carrier.ts";
import type { DiallingHost } from "./link_dialler.ts";
import { LinkDecoder, type LinkFrames } from "./link_frames.ts";
import { dataSegment } from "./link_segments.ts";
import { type LinkManners, LinkStream } from "./link_stream.ts";
import type { Receipt, ReceiptTaker } from "../topics/receipts.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";
import type { Topic } from "../topics/topic.ts";

/** The parts of the server that links use. */
export interface MeshHost extends DiallingHost {
  /** Buffers for messages that arrive in pieces. */
  readonly buffers: BufferPool;
  /**
   * Fans out a message that another process accepted.
   *
   * @param message Valid only during the call.
   * @param taker Told what became of the message here; `undefined` if the publisher wants no receipt.
   * @returns The topic, if it has subscribers here.
   */
  publishForwarded(
    topic: string,
    micros: number,
    message: Uint8Array,
    taker: ReceiptTaker | undefined,
  ): Topic | undefined;
  /** The gate where messages of all topics should wait now; `undefined` if they need not. */
  publishingGate(): Gate | undefined;
  /** Called when another process takes nothing, and publishers don't wait for it any more. */
  onStalled(): void;
  /** Called once a second while more waits for such a process than may. */
  onOverdue(process: OverdueProcess): void;
  /** Called when this process ends before another one has taken all. */
  onDropped(process: OwedProcess): void;
}

/** The parts of the process that an incoming link uses. */
export type IncomingLinkHost = MeshHost & LinkManners;

/**
 * The end of a link that another process has dialled. It reads the messages that the other process
 * accepted, and answers what became of them if it is asked. If a topic's readers can't take more, it asks
 * the other process to hold that topic, and reads on. The link itself waits only while memory is short.
 */
export class IncomingLink implements LinkFrames, HoldEvents, Waiter {
  readonly stream: LinkStream;
  readonly #host: IncomingLinkHost;
  readonly #decoder: LinkDecoder;
  readonly #answers = new AnswerEncoder();
  readonly #held = new HeldTopics(this);
  /** Messages of which the other process is still to be told what became of them. */
  #askedCount = 0;
  #carrier: LinkCarrier | undefined;
  /** The gate at which the link waits, if it does. */
  #gate: Gate | undefined;
  #isGone = false;

  constructor(host: IncomingLinkHost) {
    this.#host = host;
    this.#decoder = new LinkDecoder(host.buffers);
    this.stream = new LinkStream(host, (bytes) => this.#take(bytes));
  }

  /**
   * Goes on over a new connection.
   *
   * @param position The number of bytes of this end's stream that the other process has.
   */
  carryOn(carrier: LinkCarrier, position: number): void {
    // The other process has noticed first that the last connection is broken.
    if (this.stream.isCarried) this.#carrier?.destroy();
    this.#carrier = carrier;
    this.stream.greet(carrier);
    this.stream.carryOn(carrier, position);
    if (this.#gate !== undefined) carrier.pauseReading();
  }

  /** Gives a sign of life if this process makes the other one wait. To be called about once a sweep. */
  sweep(): void {
    this.stream.sweep();
    if (this.#gate === undefined && this.#held.isEmpty && this.#askedCount === 0) return;
    if (this.stream.isCarried && this.stream.pendingBytes === 0) this.#begin().appendPulse();
  }

  /** Frees all memory, because the link has ended. */
  discard(): void {
    this.#isGone = true;
    this.#decoder.discard();
    this.#gate?.leave(this);
    this.#held.leave();
    this.stream.discard();
  }

  #take(bytes: Uint8Array): void {
    this.#decoder.push(bytes, this);
    // One chunk may hold several segments, so the link may wait already.
    if (this.#gate !== undefined) return;
    const gate = this.#host.publishingGate();
    if (gate === undefined) return;
    this.#gate = gate;
    this.#carrier?.pauseReading();
    gate.wait(this);
  }

  onForwarded(name: string, micros: number, message: Uint8Array, wantsReceipt: boolean): void {
    if (wantsReceipt) this.#askedCount++;
    const taker = wantsReceipt ? new AskedReceipt(micros, this) : undefined;
    const topic = this.#host.publishForwarded(name, micros, message, taker);
    const gate = topic?.gate;
    if (gate !== undefined) this.#held.hold(topic as Topic, gate);
  }

  resume(): void {
    this.#gate = undefined;
    this.#carrier?.resumeReading();
  }

  onHold(topic: string): void {
    this.#begin().appendHold(topic);
  }

  onLetGo(topic: string): void {
    this.#begin().appendLetGo(topic);
  }

  /** Answers what became of a message here. */
  answer(micros: number, receipt: Receipt): void {
    this.#askedCount--;
    if (!this.#isGone) this.#begin().appendReceipt(micros, receipt);
  }

  /** The answers of this turn, which are sent in the next one. */
  #begin(): AnswerEncoder {
    if (this.#answers.byteLength === 0) this.#host.runtime.nextTurn(() => this.#flush());
    return this.#answers;
  }

  #flush(): void {
    const bytes = this.#answers.take();
    if (!this.#isGone) this.stream.send(new SharedChunk(dataSegment(bytes), this.#host.budget));
  }
}

/** Sends another process the counts of one of its messages. */
class AskedReceipt implements ReceiptTaker {
  readonly #micros: number;
  readonly #link: IncomingLink;

  constructor(micros: number, link: IncomingLink) {
    this.#micros = micros;
    this.#link = link;
  }

  take(receipt: Receipt): void {
    this.#link.answer(this.#micros, receipt);
  }
}
