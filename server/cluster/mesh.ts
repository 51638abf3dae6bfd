import type { Listener } from "../../runtime/types.ts";
import type { Backplane } from "./backplane.ts";
import type { Position } from "../../protocol/resume.ts";
import { TopicSpellings } from "../../protocol/topic_spellings.ts";
import { Gate, type WaitingPlace, WaitingRoom } from "../flow/gate.ts";
import { isAhead } from "../history/search.ts";
import { HistoryCopies } from "./history_copies.ts";
import { IncomingLink, type MeshHost } from "./incoming_link.ts";
import { MAX_BATCH_BYTES } from "../limits/messages.ts";
import { LinkCarrier } from "./link_carrier.ts";
import { BYE, HELLO, type LinkControl, LinkEncoder, MACHINES, RECORD } from "./link_frames.ts";
import { sealSegment, SEGMENT_HEADER_BYTES } from "./link_segments.ts";
import type { LinkManners } from "./link_stream.ts";
import { OutgoingLink } from "./outgoing_link.ts";
import type { OwedReceipt } from "./owed_receipts.ts";
import { SharedChunk } from "../flow/shared_chunk.ts";
import { TopicHolds } from "./topic_holds.ts";
import { PromptWork } from "../timing/prompt_work.ts";

/** The end of another process. */
export interface ProcessEnd {
  /** True if it stopped gracefully. */
  readonly isClean: boolean;
  /** A timestamp behind all that it issued, the same in all processes. */
  readonly micros: number;
}

/** The settings that all links of a process share. */
type LinkContext = MeshHost & { -readonly [Name in keyof LinkManners]: LinkManners[Name] };

/**
 * A backplane of Unix sockets: each process listens on one of its own, and dials every other. A link carries
 * messages one way, so each direction waits only for its own reader, and answers the other way. Links
 * outlive their connections: what one connection lost, the next one brings.
 */
export class Mesh implements Backplane {
  readonly #host: MeshHost;
  /** All links to other processes, by the path of each one's socket. */
  readonly #dialled = new Map<string, OutgoingLink>();
  /** The links that have stood. */
  readonly #links = new Map<string, OutgoingLink>();
  /** The links that other processes have dialled, by the path of each one's socket. */
  readonly #incoming = new Map<string, IncomingLink>();
  /** The paths of processes that have ended: each is used once. */
  readonly #ended = new Map<string, ProcessEnd>();
  readonly #holds: TopicHolds;
  readonly #encoder = new LinkEncoder(SEGMENT_HEADER_BYTES);
  readonly #gate: Gate;
  readonly #context: LinkContext;
  readonly #topics = new TopicSpellings();
  /** Clients wait here for news from other processes. */
  readonly #news: WaitingRoom;
  readonly #copies: HistoryCopies;
  #onHello: () => void = () => {};
  #listener: Listener | undefined;
  readonly #flushing: PromptWork;
  #isClosed = false;

  constructor(host: MeshHost) {
    this.#host = host;
    this.#flushing = new PromptWork(host.runtime, () => {
      this.#flush();
      return false;
    });
    this.#gate = new Gate(host.runtime, "workers");
    this.#news = new WaitingRoom(host.runtime);
    this.#holds = new TopicHolds(host.runtime);
    this.#copies = new HistoryCopies(host);
    this.#context = { ...host, linkName: "", isPrompt: false };
  }

  /** Listens for the other processes, on a socket's path. */
  async listen(path: string): Promise<void> {
    this.#context.linkName = path;
    this.#listener = await this.#host.runtime.listen(
      { transport: "unix", path, onAcceptError: (error) => this.#host.onLinkFailure(error) },
      (connection) =>
        new LinkCarrier(connection, this.#context, {
          onGreeting: (carrier, position, name) => {
            const link = this.#incomingFrom(name);
            link.carryOn(carrier, position);
            return link.stream;
          },
          onDrain() {},
          onGone: () => this.#forgetEnded(),
        }),
    );
  }

  /**
   * Links this process with the one that listens at `path`, so that it gets what is accepted from now on.
   * Resolves when the link stands, however long that takes.
   *
   * @throws {Error} (rejects) if that process ends before.
   */
  link(path: string): Promise<void> {
    const known = this.#dialled.get(path);
    if (known !== undefined) return known.stood;
    const link = new OutgoingLink(path, this.#context, this.#holds, {
      onStanding: () => this.#begin(path, link),
      onDrain: () => this.#copies.pump(),
      onCaughtUp: () => this.#gate.open(),
      onStalled: () => {
        this.#gate.open();
        this.#host.onStalled();
      },
      onOverdue: (owedBytes, silentMs) => this.#host.onOverdue({ path, owedBytes, silentMs }),
      onGone: () => {
        this.#dialled.delete(path);
        this.#links.delete(path);
        this.#copies.drop(path);
        this.#forgetEnded();
        this.#gate.open();
        this.#host.onSiblingGone?.(path);
      },
    });
    this.#dialled.set(path, link);
    return link.stood;
  }

  /**
   * To be called when the process that listened at `path` has ended. What it has sent is still read.
   *
   * @param end How; unless given it has crashed now.
   */
  unlink(path: string, end: ProcessEnd = { isClean: false, micros: this.#host.nowMicros() }): void {
    this.#ended.set(path, end);
    this.#dialled.get(path)?.end();
    this.#forgetEnded();
    this.#onHello();
  }

  /**
   * Gets the history of the process that listens at `path`, up to where the links bring what is accepted. To be
   * called once both links to each other process stand, and before this process has clients.
   *
   * @throws {Error} (rejects) if that process ends before it has sent everything.
   */
  async copyHistory(path: string): Promise<void> {
    while (!this.#isGreeted) await new Promise<void>((resolve) => this.#onHello = resolve);
    const link = this.#links.get(path);
    if (link === undefined) throw new Error("the process whose history is wanted has ended");
    const wanted = [...this.#incoming.values()].flatMap(({ origin, baseMicros }) =>
      origin === undefined ? [] : [[origin.name, baseMicros] as const]
    );
    await this.#copies.get(link, wanted);
  }

  /** Tells the other processes that all that was accepted here has been sent, and nothing more comes. */
  sayGoodbye(): void {
    this.#flush();
    // A position behind this end must be one in all processes.
    const micros = this.#host.nowMicros();
    for (const link of this.#links.values()) link.sendControl(BYE, micros, new Uint8Array(0));
  }

  /** Makes links acknowledge at once, because a process that is about to end waits for that. */
  hurry(): void {
    this.#context.isPrompt = true;
  }

  /** True while another process still has to answer what became of a message. */
  get awaitsReceipts(): boolean {
    for (const link of this.#links.values()) if (link.awaitsAnswers) return true;
    return false;
  }

  /** True when all other processes, except those that hang, have acknowledged everything. */
  get isAcknowledged(): boolean {
    if (this.#encoder.byteLength > 0) return false;
    for (const link of this.#links.values()) {
      if (!link.isAcknowledged && !link.isStalled) return false;
    }
    return true;
  }

  /** True when all other processes have acknowledged everything, or have ended. */
  get isTaken(): boolean {
    if (this.#encoder.byteLength > 0) return false;
    for (const link of this.#links.values()) {
      if (!link.isAcknowledged && !link.isDeserted) return false;
    }
    return true;
  }

  /** The paths of the processes to which a link stands. */
  get siblings(): IterableIterator<string> {
    return this.#links.keys();
  }

  /**
   * Sends what concerns other machines to all other processes, or to those that keep up.
   *
   * @param payload Copied.
   * @param maxPendingBytes The most bytes that may wait for a process that is to get it.
   */
  sendMachines(payload: Uint8Array, maxPendingBytes = Infinity): void {
    for (const link of this.#links.values()) {
      if (link.pendingBytes <= maxPendingBytes) {
        link.sendControl(MACHINES, this.#host.nowMicros(), payload);
      }
    }
  }

  /** Bytes that wait for a process; `undefined` if no link to it stands. */
  pendingBytesOf(path: string): number | undefined {
    return this.#links.get(path)?.pendingBytes;
  }

  forward(topic: string, micros: number, message: Uint8Array): void {
    if (this.#links.size > 0) this.#forward(topic, micros, message, false);
  }

  forwardForReceipt(topic: string, message: Uint8Array, owed: OwedReceipt): void {
    if (this.#links.size === 0) return;
    for (const link of this.#links.values()) link.awaitAnswer(owed);
    this.#forward(topic, owed.micros, message, true);
  }

  get gate(): Gate | undefined {
    for (const link of this.#links.values()) if (link.isFull) return this.#gate;
    return undefined;
  }

  gateOf(topic: string): Gate | undefined {
    return this.#holds.gateOf(topic);
  }

  placeBehind(position: Position): WaitingPlace | undefined {
    const { origins, nowMicros } = this.#host;
    if (isAhead(position, origins, nowMicros())) return this.#news;
    // A process that joins may be known to others, and so to their clients, before it is known here.
    if (!this.#isGreeted && [...position.keys()].some((name) => origins.find(name) === undefined)) {
      return this.#news;
    }
    // Until the link stands again, or the other process has ended, it isn't known what has been lost.
    for (const { origin, stream } of this.#incoming.values()) {
      if (origin?.end === undefined && !stream.isCarried) return this.#news;
    }
    return undefined;
  }

  /** Acts on deadlines that have passed. To be called about once a sweep. */
  sweep(): void {
    for (const link of this.#links.values()) link.sweep();
    for (const link of this.#incoming.values()) link.sweep();
    this.#copies.pump();
    this.#news.open();
  }

  /** Closes the links and stops listening. Reports what other processes haven't taken, which is lost. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const [path, link] of this.#dialled) {
      const { keptBytes } = link;
      if (keptBytes > 0 && !link.isDeserted) this.#host.onDropped({ path, keptBytes });
      link.close();
    }
    await this.#listener?.close();
  }

  #forward(topic: string, micros: number, message: Uint8Array, wantsReceipt: boolean): void {
    this.#encoder.append(topic, micros, message, wantsReceipt);
    if (this.#encoder.byteLength >= MAX_BATCH_BYTES) this.#flush();
    else this.#flushing.request();
  }

  #flush(): void {
    if (this.#encoder.byteLength === 0) return;
    const bytes = this.#encoder.take();
    sealSegment(bytes);
    const segment = new SharedChunk(bytes, this.#host.budget);
    for (const link of this.#links.values()) link.send(segment);
  }

  #incomingFrom(path: string): IncomingLink {
    let link = this.#incoming.get(path);
    if (link === undefined) {
      link = new IncomingLink(this.#context, {
        onHello: () => {
          const { origin, baseMicros } = this.#incoming.get(path) ?? {};
          if (origin !== undefined) this.#host.onSibling?.(path, origin, baseMicros ?? 0);
          this.#onHello();
        },
        onControl: (kind, micros, payload) => this.#takeControl(path, kind, micros, payload),
        onHeard: () => {
          this.#copies.pump();
          this.#news.open();
        },
      }, this.#topics);
      this.#incoming.set(path, link);
    }
    return link;
  }

  /**
   * Drops the links of processes that have ended, once all is read. A link stays while its process lives,
   * also if its connection is broken: it goes on over the next one.
   */
  #forgetEnded(): void {
    for (const [path, link] of this.#incoming) {
      const end = this.#ended.get(path);
      const isOver = this.#isClosed || end !== undefined;
      if (!isOver || this.#dialled.has(path) || link.stream.isCarried) continue;
      this.#incoming.delete(path);
      link.discard();
      const { origin } = link;
      if (end === undefined || origin === undefined) continue;
      // It has said goodbye if this process has everything of it.
      this.#host.origins.close(origin, end.isClean ? "lost" : "crashed", end.micros);
    }
    this.#news.open();
  }

  /** True when each other process that lives has said which origin it is. */
  get #isGreeted(): boolean {
    for (const path of this.#dialled.keys()) {
      if (!this.#ended.has(path) && this.#incoming.get(path)?.origin === undefined) return false;
    }
    return true;
  }

  /** A link stands, for the first time or again. */
  #begin(path: string, link: OutgoingLink): void {
    if (this.#links.has(path)) return;
    // Messages that were accepted before aren't sent over it.
    this.#flush();
    const { own } = this.#host.origins;
    link.sendControl(HELLO, own.micros, new TextEncoder().encode(own.name));
    this.#links.set(path, link);
  }

  #takeControl(path: string, kind: LinkControl, micros: number, payload: Uint8Array): void {
    if (kind === RECORD) return this.#copies.take(payload);
    if (kind === MACHINES) return this.#host.onMachines?.(path, micros, payload);
    const link = this.#links.get(path);
    if (link === undefined) return;
    this.#copies.give(path, link, payload, this.#incoming.get(path)?.origin);
  }
}
