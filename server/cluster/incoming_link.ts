import type { BufferPool } from "../../protocol/framing/buffer_pool.ts";
import type { TopicSpellings } from "../../protocol/topic_spellings.ts";
import type { OverdueProcess, OwedProcess } from "./backplane.ts";
import type { Gate, Waiter } from "../flow/gate.ts";
import { HeldTopics, type HoldEvents } from "./held_topics.ts";
import { AnswerEncoder } from "./link_answers.ts";
import type { LinkCarrier } from "./link_carrier.ts";
import type { DiallingHost } from "./link_dialler.ts";
import type { Origin } from "../history/origins.ts";
import type { CopyingHost } from "./history_copy.ts";
import { BYE, HELLO, type LinkControl, LinkDecoder, type LinkFrames } from "./link_frames.ts";
import { dataSegment, LinkFault } from "./link_segments.ts";
import { type LinkManners, LinkStream } from "./link_stream.ts";
import type { Receipt, ReceiptTaker } from "../topics/receipts.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";
import { PromptWork } from "../timing/prompt_work.ts";
import type { Topic } from "../topics/topic.ts";

/** The parts of the server that links use. */
export interface MeshHost extends DiallingHost, CopyingHost {
  /** Buffers for messages that arrive in pieces. */
  readonly buffers: BufferPool;
  /**
   * Fans out a message that another process accepted.
   *
   * @param origin That process.
   * @param message Valid only during the call.
   * @param taker Told what became of the message here; `undefined` if the publisher wants no receipt.
   * @returns The topic, if it has subscribers here.
   */
  publishForwarded(
    origin: Origin,
    topic: string,
    micros: number,
    message: Uint8Array,
    taker: ReceiptTaker | undefined,
  ): Topic | undefined;
  /** Timestamps by this process's clock, in microseconds since the Unix epoch. */
  readonly nowMicros: () => number;
  /** The gate where messages of all topics should wait now; `undefined` if they need not. */
  publishingGate(): Gate | undefined;
  /** Called when another process takes nothing, and publishers don't wait for it any more. */
  onStalled(): void;
  /** Called once a second while more waits for such a process than may. */
  onOverdue(process: OverdueProcess): void;
  /** Called when this process ends before another one has taken all. */
  onDropped(process: OwedProcess): void;
  /**
   * Called when another process has said who it is.
   *
   * @param baseMicros The timestamp behind which its messages come here.
   */
  onSibling?(path: string, origin: Origin, baseMicros: number): void;
  /** Called when the links to another process have ended. */
  onSiblingGone?(path: string): void;
  /** Something has come that concerns other machines. Valid only during the call. */
  onMachines?(path: string, micros: number, payload: Uint8Array): void;
}

/** The events of an incoming link, which its mesh receives. */
export interface IncomingLinkEvents {
  /** The other process has said which origin it is. */
  onHello(): void;
  /** The other process has sent a frame that isn't a message. */
  onControl(kind: LinkControl, micros: number, payload: Uint8Array): void;
  /** Something has come over the link. */
  onHeard(): void;
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
  readonly #answering: PromptWork;
  readonly #held = new HeldTopics(this);
  /** Messages of which the other process is still to be told what became of them. */
  #askedCount = 0;
  #carrier: LinkCarrier | undefined;
  /** The gate at which the link waits, if it does. */
  #gate: Gate | undefined;
  #isGone = false;
  readonly #events: IncomingLinkEvents;
  #origin: Origin | undefined;
  #baseMicros = 0;

  /** @param topics Remembers topics by their UTF-8, for all links. */
  constructor(host: IncomingLinkHost, events: IncomingLinkEvents, topics: TopicSpellings) {
    this.#host = host;
    this.#events = events;
    this.#decoder = new LinkDecoder(host.buffers, topics);
    this.stream = new LinkStream(host, (bytes) => this.#take(bytes));
    this.#answering = new PromptWork(host.runtime, () => {
      this.#sendAnswers();
      return this.#answers.byteLength > 0;
    });
  }

  /** The other process, once it has said who it is. */
  get origin(): Origin | undefined {
    return this.#origin;
  }

  /** The timestamp behind which all that the other process accepts comes over this link. */
  get baseMicros(): number {
    return this.#baseMicros;
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
    this.#events.onHeard();
    // One chunk may hold several segments, so the link may wait already.
    if (this.#gate !== undefined) return;
    const gate = this.#host.publishingGate();
    if (gate === undefined) return;
    this.#gate = gate;
    this.#carrier?.pauseReading();
    gate.wait(this);
  }

  onControl(kind: LinkControl, micros: number, payload: Uint8Array): void {
    if (kind === HELLO) {
      const { origins } = this.#host;
      this.#origin = origins.learn(new TextDecoder().decode(payload), micros);
      this.#baseMicros = micros;
      this.#events.onHello();
    } else if (kind === BYE) {
      if (this.#origin !== undefined) this.#host.origins.close(this.#origin, "ended", micros);
    } else this.#events.onControl(kind, micros, payload);
  }

  onForwarded(name: string, micros: number, message: Uint8Array, wantsReceipt: boolean): void {
    const origin = this.#origin;
    if (origin === undefined) throw new LinkFault("a message came before its sender's name");
    origin.micros = micros;
    origin.hasPublished = true;
    if (wantsReceipt) this.#askedCount++;
    const taker = wantsReceipt ? new AskedReceipt(micros, this) : undefined;
    const topic = this.#host.publishForwarded(origin, name, micros, message, taker);
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

  /** The answers of this turn, which are sent together. */
  #begin(): AnswerEncoder {
    this.#answering.request();
    return this.#answers;
  }

  #sendAnswers(): void {
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
