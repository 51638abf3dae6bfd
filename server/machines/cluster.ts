import type { Position } from "../../protocol/resume.ts";
import type { Runtime } from "../../runtime/types.ts";
import type { Backplane } from "../cluster/backplane.ts";
import type { OwedReceipt } from "../cluster/owed_receipts.ts";
import { Gate, type WaitingPlace, WaitingRoom } from "../flow/gate.ts";
import type { MemoryBudget } from "../flow/memory_budget.ts";
import type { History } from "../history/history.ts";
import { imageOf, ImageReader } from "../history/image.ts";
import type { Origin, Origins } from "../history/origins.ts";
import { isAhead } from "../history/search.ts";
import type { Limits } from "../limits.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { ReceiptTaker } from "../topics/receipts.ts";
import {
  BATCH,
  BYE,
  decodeFrame,
  encodeFrame,
  FrameFault,
  HISTORY,
  HOLE,
  type MachineFrame,
  type MachineState,
  RECEIPTS,
  REFILL,
  STATE,
  type Stretch,
  VersionFault,
  WANT,
} from "./wire/frames.ts";
import { HistoryExports } from "./history_transfer.ts";
import { Inbox, type InboxCounts } from "./inbox.ts";
import { type Joined, Joining } from "./joining.ts";
import {
  DISCOVERY_MS,
  FRAME_VERSION,
  MAX_AHEAD_MS,
  OLDEST_FRAME_VERSION,
  STATE_INTERVAL_MS,
} from "./wire/limits.ts";
import { Members } from "./members.ts";
import { MessageReader, type RemoteMessage } from "./wire/messages.ts";
import { Outgoing } from "./outgoing.ts";
import { ReceiptExchange } from "./receipt_exchange.ts";
import { Refills } from "./refills.ts";
import type { ClusterEvents, ClusterReport } from "./report.ts";
import type { Transport } from "./transport.ts";
import { setTimeout as sleep } from "node:timers/promises";

/** What a machine says of itself, and its bounds. */
export interface ClusterSettings {
  /** The machine's name, which all its processes have: 16 hexadecimal digits, drawn at each start. */
  readonly machine: string;
  /** The port on which it serves clients, for people; 0 if the system chooses it. */
  readonly port: number;
  readonly release: string;
  readonly workers: number;
  readonly logBytes: number;
  readonly logMs: number;
}

/** The other processes of this machine. */
export interface Siblings {
  /** Hands a frame that has come from another machine to each of them. */
  relay(frame: Uint8Array): void;
  /** Gives a frame to the one that is connected with other machines. */
  handUp(frame: Uint8Array): void;
  /**
   * Tells each of them how it is with the way to other machines.
   *
   * @param maxFrameBytes The longest frame that goes that way, in bytes; 0 if that isn't known.
   */
  tellWay(isReachable: boolean, maxFrameBytes: number): void;
  /** Their names. */
  names(): Iterable<string>;
}

/** What a cluster uses of its process. */
export interface ClusterHost {
  readonly runtime: Runtime;
  readonly clock: CoarseClock;
  readonly limits: Limits;
  readonly origins: Origins;
  readonly history: History;
  readonly historyBudget: MemoryBudget;
  readonly events: ClusterEvents;
  /** `undefined` if the machine has one process only. */
  readonly siblings: Siblings | undefined;
  /** This process's clock, in microseconds since the Unix epoch. */
  readonly nowMicros: () => number;
  /** The gate where messages of all topics should wait now; `undefined` if they need not. */
  publishingGate(): Gate | undefined;
  /** Stores what topics have collected. */
  sealTopics(): void;
  /** Fans out a message that another machine accepted. */
  publishRemote(
    origin: Origin,
    topic: string,
    micros: number,
    message: Uint8Array,
    taker: ReceiptTaker | undefined,
  ): void;
  /** Messages between machines are lost: clients that go on where they were must be told. */
  onHole(): void;
}

/**
 * A backplane to other machines. Each process of a machine has one, since each keeps what its machine sends and
 * puts in order what comes. One of them holds the transport; for the others it is a relay, which knows nothing
 * that another process couldn't go on from.
 */
export class Cluster implements Backplane {
  readonly #host: ClusterHost;
  readonly #settings: ClusterSettings;
  readonly #outgoing: Outgoing;
  readonly #inbox: Inbox;
  readonly #members: Members;
  readonly #receipts: ReceiptExchange;
  readonly #refills: Refills;
  readonly #exports: HistoryExports;
  readonly #joining: Joining;
  readonly #gate: Gate;
  /** Clients wait here for news from other machines. */
  readonly #news: WaitingRoom;
  readonly #counts: InboxCounts = { duplicates: 0, gaps: 0, refills: 0, holes: 0, rejected: 0 };
  readonly #strangers = new Set<string>();
  #transport: Transport | undefined;
  #isReachable = false;
  #maxFrameBytes = 0;
  #statedMs = -Infinity;
  #firstConnectedMs: number | undefined;
  #isReady = false;
  #isLeaving = false;

  constructor(settings: ClusterSettings, host: ClusterHost) {
    this.#settings = settings;
    this.#host = host;
    const { clock, limits, origins, history, runtime, events } = host;
    this.#gate = new Gate(runtime, "machines");
    this.#news = new WaitingRoom(runtime);
    this.#receipts = new ReceiptExchange({
      runtime,
      clock,
      collects: () => this.#transport !== undefined,
      siblings: () => host.siblings?.names() ?? [],
      machineOf: (origin) => this.#inbox.machineOf(origin),
      send: (receipts, machine) => {
        const frame = encodeFrame({ ...this.#own, kind: RECEIPTS, receipts });
        if (this.#transport === undefined) this.#handUp(frame);
        else if (machine !== undefined) this.#transport.send(frame, machine);
      },
    });
    this.#exports = new HistoryExports(clock, () => this.#image());
    this.#outgoing = new Outgoing(settings.machine, settings, {
      runtime,
      clock,
      maxFrameBytes: () => this.#maxFrameBytes || Infinity,
      send: (frame) => this.#transport?.send(frame),
    });
    this.#outgoing.add(origins.own, origins.own.micros);
    this.#refills = new Refills(settings.machine, this.#outgoing.log, clock);
    this.#inbox = new Inbox({
      origins,
      history,
      counts: this.#counts,
      reader: new MessageReader(limits),
      nowMicros: host.nowMicros,
      mayDeliver: () => host.publishingGate() === undefined,
      isConnected: () => this.#isReachable,
      deliver: (origin, message) => this.#deliver(origin, message),
      ask: (machine, origin, after) => this.#ask(machine, { origin: origin.name, after }),
      onHole: (origin, machine, after, to) => {
        if (this.#isReporter) events.onHole(machine, origin.name, after, to);
        host.onHole();
      },
    });
    this.#joining = new Joining({
      runtime,
      members: () => this.#members.present(),
      askStates: () => this.#tellState(true),
      want: (machine, want) =>
        this.#transport?.send(encodeFrame({ ...this.#own, kind: WANT, want }), machine),
      store: (records) => {
        const reader = new ImageReader({ history, origins, budget: host.historyBudget });
        for (const record of records) reader.take(record);
      },
      passOver: ({ machine, state }) => {
        this.#inbox.takeState(machine, state.origins, clock.nowMs);
      },
    });
    this.#members = new Members(() => this.#state(false), {
      onJoined: (member) => this.#report(() => events.onJoined(member)),
      onBack: (member) => this.#report(() => events.onBack(member)),
      onSilent: (member) => {
        this.#receipts.removeMachine(member.machine);
        this.#report(() => events.onSilent(member));
      },
      onLeft: (member, isClean) => {
        this.#receipts.removeMachine(member.machine);
        if (!isClean) this.#inbox.closeMachine(member.machine);
        this.#report(() => events.onLeft(member, isClean));
      },
      onDisagreement: (member, what) => this.#report(() => events.onDisagreement(member, what)),
    });
  }

  // The process's own messages, and those of its siblings.

  forward(topic: string, micros: number, message: Uint8Array): void {
    this.#outgoing.append(this.#host.origins.own, topic, micros, message, false);
  }

  forwardForReceipt(topic: string, message: Uint8Array, owed: OwedReceipt): void {
    const machines = new Set<string>();
    for (const { machine } of this.#members.present()) machines.add(machine);
    this.#receipts.await(owed, this.#isReachable ? machines : new Set());
    this.#outgoing.append(this.#host.origins.own, topic, owed.micros, message, true);
  }

  get gate(): Gate | undefined {
    return this.#transport?.isFull ? this.#gate : undefined;
  }

  gateOf(): undefined {
    return undefined;
  }

  placeBehind(position: Position): WaitingPlace | undefined {
    const { origins, nowMicros } = this.#host;
    return isAhead(position, origins, nowMicros() + MAX_AHEAD_MS * 1000) ? this.#news : undefined;
  }

  /** A sibling is there. @param base The timestamp behind which its messages come here. */
  addSibling(origin: Origin, base: number): void {
    this.#outgoing.add(origin, base);
    this.#statedMs = -Infinity;
  }

  /** A sibling has accepted a message. */
  noteSibling(
    origin: Origin,
    topic: string,
    micros: number,
    message: Uint8Array,
    wantsReceipt: boolean,
  ): void {
    this.#outgoing.append(origin, topic, micros, message, wantsReceipt);
  }

  /** A sibling has ended. */
  removeSibling(name: string): void {
    this.#receipts.removeSibling(name);
    this.#statedMs = -Infinity;
  }

  // The way to other machines.

  get clock(): CoarseClock {
    return this.#host.clock;
  }

  /** The name of its machine. */
  get machine(): string {
    return this.#settings.machine;
  }

  /** True once it takes messages. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** True if this process holds the transport. */
  get isHolding(): boolean {
    return this.#transport !== undefined;
  }

  /** True while another process still has to answer what became of a message. */
  get awaitsReceipts(): boolean {
    return this.#receipts.awaitsSome;
  }

  /** Takes the way to other machines: from now on this process sends for all of its machine. */
  hold(transport: Transport): void {
    this.#transport = transport;
    this.#setReachable(transport.isConnected);
    if (transport.isConnected) this.#tellState(true);
  }

  /** Lets the way to other machines go, since another process of the machine holds it now. */
  async letGo(): Promise<void> {
    this.#outgoing.flush();
    const transport = this.#transport;
    await transport?.close();
    if (this.#transport === transport) this.#transport = undefined;
  }

  /** See `TransportEvents`. */
  onConnected(): void {
    this.#setReachable(true);
    this.#firstConnectedMs ??= this.#host.clock.nowMs;
    this.#tellState(true);
    this.#gate.open();
  }

  /** The same. */
  onAway(): void {
    this.#setReachable(false);
    this.#gate.open();
  }

  /** The same. */
  onCaughtUp(): void {
    this.#gate.open();
  }

  /**
   * Looks for other machines, and copies the history of one of them. To be called by the process that holds the
   * transport, before the machine has clients.
   */
  async join(): Promise<Joined> {
    const joined = this.#isReachable
      ? await this.#joining.join()
      : { what: "failed", reason: "no other machine can be reached" } as const;
    if (this.#isReachable) this.becomeReady();
    else this.#begin();
    return joined;
  }

  /** Begins to take messages. Its history is whole up to where the processes that it knows stand. */
  becomeReady(): void {
    this.#inbox.adopt(this.#host.clock.nowMs);
    this.#begin();
  }

  #begin(): void {
    this.#isReady = true;
    if (this.#transport !== undefined) this.#tellState(true);
    else this.#handUp(encodeFrame({ ...this.#own, kind: STATE, state: this.#state(true) }));
  }

  /** Resolves when all that other machines are known to have published is here, or after so many milliseconds. */
  async awaitCaughtUp(withinMs: number): Promise<boolean> {
    const untilMs = performance.now() + withinMs;
    while (performance.now() < untilMs) {
      if (this.#inbox.isCaughtUp) return true;
      await sleep(20);
    }
    return this.#inbox.isCaughtUp;
  }

  /**
   * A frame has come from another machine. Valid only during the call.
   *
   * @param isRelayed True if a sibling has it from there.
   */
  onFrame(bytes: Uint8Array, isRelayed: boolean): void {
    let machine = "";
    try {
      const frame = decodeFrame(bytes);
      ({ machine } = frame);
      // Another process of this machine, which is about to let go.
      if (machine === this.#settings.machine) return;
      this.#take(frame, isRelayed);
      if (!isRelayed && isForAll(frame)) this.#host.siblings?.relay(bytes);
    } catch (error) {
      if (error instanceof VersionFault) this.#refuseVersion(error);
      else if (error instanceof FrameFault) {
        this.#counts.rejected++;
        if (this.#isReporter) this.#host.events.onRejected(machine, error.message);
      } else throw error;
    }
  }

  /** A sibling that isn't connected with other machines wants this frame sent, or its receipts counted. */
  onHandedUp(bytes: Uint8Array, sibling: string): void {
    if (this.#transport === undefined) return;
    const frame = decodeFrame(bytes);
    if (frame.kind === RECEIPTS) {
      for (const receipt of frame.receipts) this.#receipts.takeFromSibling(sibling, receipt);
    } else if (frame.kind === REFILL) {
      const machine = this.#inbox.machineOf(frame.wanted.origin);
      if (machine !== undefined) this.#transport.send(bytes.slice(), machine);
    } else if (frame.kind === STATE) this.#tellState(true);
  }

  /** A sibling says how it is with the way to other machines; see `Siblings.tellWay`. */
  onWay(isReachable: boolean, maxFrameBytes: number): void {
    if (this.#transport !== undefined) return;
    this.#isReachable = isReachable;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Acts on deadlines that have passed. To be called about once a sweep. */
  sweep(): void {
    const { nowMs } = this.#host.clock;
    this.#outgoing.sweep();
    this.#members.sweep(nowMs);
    if (this.#isReady) this.#inbox.sweep(nowMs);
    this.#receipts.sweep();
    this.#exports.sweep();
    this.#news.open();
    if (this.#transport === undefined) return;
    this.#transport.sweep();
    this.#setReachable(this.#transport.isConnected);
    if (nowMs - this.#statedMs >= STATE_INTERVAL_MS) this.#tellState(false);
    // It has begun without the others. By now it knows their processes, and up to where these are unknown here.
    const isLate = this.#isReady && !this.#inbox.isComplete && this.#firstConnectedMs !== undefined;
    if (isLate && nowMs - this.#firstConnectedMs! >= DISCOVERY_MS) this.#inbox.adopt(nowMs);
  }

  /** Tells the other machines that this one stops, and sends what it has accepted. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    this.#outgoing.flush();
    const transport = this.#transport;
    if (transport === undefined) return;
    const origins = this.#outgoing.states().map(({ name, base, last }) => {
      return { name, base, last, end: "ended", endMicros: last } as const;
    });
    const state = { ...this.#state(false), origins };
    transport.send(encodeFrame({ ...this.#own, kind: BYE, state }));
    await transport.close();
    this.#inbox.discard();
  }

  /** What it has counted, and the members. */
  report(): ClusterReport {
    return {
      isHolding: this.isHolding,
      isConnected: this.#isReachable,
      counts: { ...this.#counts },
      logBytes: this.#outgoing.log.byteLength,
      heldBytes: this.#inbox.heldBytes,
      members: [...this.#members.all()].map(({ machine, state, isThere }) => ({
        machine,
        address: state.address,
        release: state.release,
        workers: state.workers,
        isThere,
        lagMs: Math.round(this.#inbox.lagMicrosOf(machine) / 1000),
      })),
    };
  }

  get #own(): { readonly machine: string } {
    return { machine: this.#settings.machine };
  }

  /** True for the process that logs what all processes of the machine notice. */
  get #isReporter(): boolean {
    return this.#transport !== undefined;
  }

  #report(tell: () => void): void {
    if (this.#isReporter) tell();
  }

  #take(frame: MachineFrame, isRelayed: boolean): void {
    const { machine } = frame;
    const { nowMs } = this.#host.clock;
    if (frame.kind === STATE) return this.#takeState(machine, frame.state, nowMs);
    // A machine first says who it is.
    if (!this.#members.hear(machine, nowMs)) {
      // One that has just begun doesn't know the others yet. What it misses it will ask for.
      if (this.#isReady && !isRelayed) throw new FrameFault("a machine that isn't a member");
      return;
    }
    switch (frame.kind) {
      case BATCH:
        if (this.#isReady) this.#inbox.takeBatch(machine, frame, nowMs, isRelayed);
        break;
      case BYE:
        if (this.#isReady) this.#inbox.takeState(machine, frame.state.origins, nowMs);
        this.#members.leave(machine);
        break;
      case HOLE:
        if (this.#isReady) this.#inbox.takeHole(machine, frame.hole, nowMs);
        break;
      case RECEIPTS:
        for (const receipt of frame.receipts) {
          if (receipt.origin === this.#host.origins.own.name) this.#receipts.take(machine, receipt);
        }
        break;
      case REFILL:
        if (this.#transport === undefined) break;
        this.#outgoing.flush();
        this.#refills.answer(machine, frame.wanted, this.#transport);
        break;
      case WANT: {
        const part = this.#isReady ? this.#exports.give(frame.want) : undefined;
        if (part === undefined) break;
        this.#transport?.send(encodeFrame({ ...this.#own, kind: HISTORY, ...part }), machine);
        break;
      }
      case HISTORY:
        this.#joining.take(machine, frame);
        break;
    }
    this.#news.open();
  }

  #takeState(machine: string, state: MachineState, nowMs: number): void {
    this.#members.take(machine, state, nowMs);
    if (this.#isReady) this.#inbox.takeState(machine, state.origins, nowMs);
    if (state.asks && this.#transport !== undefined) this.#tellState(false);
    this.#news.open();
  }

  #deliver(origin: Origin, { topic, micros, message, wantsReceipt }: RemoteMessage): void {
    const taker = wantsReceipt ? this.#receipts.takerFor(origin.name, micros) : undefined;
    this.#host.publishRemote(origin, topic, micros, message, taker);
  }

  #ask(machine: string, wanted: Stretch): void {
    const frame = encodeFrame({ ...this.#own, kind: REFILL, wanted });
    if (this.#transport === undefined) this.#handUp(frame);
    else this.#transport.send(frame, machine);
  }

  #handUp(frame: Uint8Array): void {
    this.#host.siblings?.handUp(frame);
  }

  #state(asks: boolean): MachineState {
    const { port, release, workers } = this.#settings;
    const { maxFrameBytes, maxTopicBytes } = this.#host.limits;
    return {
      address: `${this.#transport?.ownAddress ?? ""}${port === 0 ? "" : `:${port}`}`,
      release,
      versions: [OLDEST_FRAME_VERSION, FRAME_VERSION],
      workers,
      limits: { maxFrameBytes, maxTopicBytes },
      micros: this.#host.nowMicros(),
      asks,
      isReady: this.#isReady,
      origins: this.#outgoing.states(),
    };
  }

  #tellState(asks: boolean): void {
    if (this.#isLeaving) return;
    // It must not say that more was sent than was.
    this.#outgoing.flush();
    this.#statedMs = this.#host.clock.nowMs;
    this.#transport?.send(encodeFrame({ ...this.#own, kind: STATE, state: this.#state(asks) }));
  }

  #setReachable(isReachable: boolean): void {
    this.#isReachable = isReachable;
    this.#maxFrameBytes = this.#transport?.maxFrameBytes ?? 0;
    this.#host.siblings?.tellWay(isReachable, this.#maxFrameBytes);
  }

  #refuseVersion(fault: VersionFault): void {
    this.#counts.rejected++;
    const key = `version ${fault.version}`;
    if (!this.#isReporter || this.#strangers.has(key)) return;
    this.#strangers.add(key);
    this.#host.events.onOtherVersion(fault.message);
  }

  /** The history up to now, for a machine that hears the rest itself. */
  #image(): Iterator<Uint8Array> {
    const { history, origins, clock, sealTopics } = this.#host;
    sealTopics();
    const bounds = new Map<Origin, number>();
    for (const origin of origins.all()) bounds.set(origin, origin.micros);
    return imageOf(history, origins, clock, bounds, undefined, () => true);
  }
}

/** True for a frame that all processes of the machine need. */
function isForAll({ kind }: MachineFrame): boolean {
  return kind === BATCH || kind === STATE || kind === BYE || kind === HOLE || kind === RECEIPTS;
}
