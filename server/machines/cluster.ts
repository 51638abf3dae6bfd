import { setTimeout as sleep } from "node:timers/promises";
import type { Position } from "../../protocol/resume.ts";
import type { Backplane } from "../cluster/backplane.ts";
import type { OwedReceipt } from "../cluster/owed_receipts.ts";
import { type Gate, type WaitingPlace, WaitingRoom } from "../flow/gate.ts";
import { imageOf, ImageReader } from "../history/image.ts";
import type { Origin } from "../history/origins.ts";
import { isAhead } from "../history/search.ts";
import type { CoarseClock } from "../timing/coarse_clock.ts";
import type { ClusterHost, ClusterSettings } from "./cluster_host.ts";
import { FrameReceiver } from "./frame_receiver.ts";
import { Inbox, type InboxCounts } from "./inbox.ts";
import { HistoryExports } from "./joining/history_transfer.ts";
import { type Joined, Joining } from "./joining/joining.ts";
import { Members } from "./members.ts";
import { Outgoing } from "./outgoing.ts";
import { ReceiptExchange } from "./receipt_exchange.ts";
import { Refills } from "./refilling/refills.ts";
import type { ClusterReport } from "./report.ts";
import { Uplink } from "./uplink.ts";
import { type MachineState, RECEIPTS, REFILL, STATE, WANT } from "./wire/frames.ts";
import { DISCOVERY_MS, FRAME_VERSION, MAX_AHEAD_MS, OLDEST_FRAME_VERSION } from "./wire/limits.ts";
import { MessageReader } from "./wire/messages.ts";

/**
 * A backplane to other machines. Each process of a machine has one, since each keeps what its machine sends and
 * puts in order what comes. One of them holds the transport; for the others it is a relay, which knows nothing
 * that another process couldn't go on from.
 */
export class Cluster implements Backplane {
  /** The connection with the other machines. */
  readonly uplink: Uplink;
  /** Takes the frames of the other machines. */
  readonly receiver: FrameReceiver;
  readonly #host: ClusterHost;
  readonly #settings: ClusterSettings;
  readonly #outgoing: Outgoing;
  readonly #inbox: Inbox;
  readonly #members: Members;
  readonly #receipts: ReceiptExchange;
  readonly #refills: Refills;
  readonly #exports: HistoryExports;
  readonly #joining: Joining;
  /** Clients wait here for news from other machines. */
  readonly #news: WaitingRoom;
  readonly #counts: InboxCounts = { duplicates: 0, gaps: 0, refills: 0, holes: 0, rejected: 0 };
  #isReady = false;

  constructor(settings: ClusterSettings, host: ClusterHost) {
    this.#settings = settings;
    this.#host = host;
    const { machine } = settings;
    const { clock, limits, origins, history, runtime, events, siblings } = host;
    const counts = this.#counts;
    this.#news = new WaitingRoom(runtime);
    const uplink: Uplink = this.uplink = new Uplink(machine, {
      runtime,
      clock,
      siblings,
      takesFromSiblings: () => (host.publishingGate() ?? uplink.gate) === undefined,
      isWaitedFor: () => refills.areUrgent,
      flush: () => outgoing.flush(),
      state: (asks) => this.#state(asks),
    });
    const receipts = this.#receipts = new ReceiptExchange({
      runtime,
      clock,
      collects: () => uplink.isHeld,
      siblings: () => siblings?.names() ?? [],
      machineOf: (origin) => inbox.machineOf(origin),
      send: (sent, to) => uplink.pass(to, { kind: RECEIPTS, receipts: sent }),
    });
    const exports = this.#exports = new HistoryExports(clock, () => this.#image());
    const outgoing = this.#outgoing = new Outgoing(machine, settings, {
      runtime,
      clock,
      maxFrameBytes: () => uplink.maxFrameBytes,
      send: (frame) => uplink.send(frame),
    });
    outgoing.add(origins.own, origins.own.micros);
    const refills = this.#refills = new Refills(outgoing, uplink, clock, settings.logBytes);
    const inbox = this.#inbox = new Inbox({
      origins,
      history,
      counts,
      reader: new MessageReader(limits),
      nowMicros: host.nowMicros,
      gate: () => host.publishingGate() ?? host.holeGate(),
      isPrompt: () => uplink.isPrompt,
      deliver: (origin, { topic, micros, message, wantsReceipt }) => {
        const taker = wantsReceipt ? receipts.takerFor(origin.name, micros) : undefined;
        host.publishRemote(origin, topic, micros, message, taker);
      },
      ask: (machine, wanted) => uplink.pass(machine, { kind: REFILL, wanted }),
      onHole: (origin, from, hole) => {
        events.onHole(from, origin.name, hole);
        host.onHole();
      },
    });
    const joining = this.#joining = new Joining({
      runtime,
      members: () => this.#members.present(),
      askStates: () => uplink.tellState(true),
      want: (to, want) => uplink.tell(to, { kind: WANT, want }),
      store: (records) => {
        const reader = new ImageReader({ history, origins, budget: host.historyBudget, clock });
        for (const record of records) reader.take(record);
      },
      passOver: ({ machine, state }) => inbox.takeState(machine, state.origins, clock.nowMs),
    });
    // The process that holds the transport logs what all processes of the machine notice.
    const members = this.#members = new Members(() => this.#state(false), {
      onJoined: (member) => uplink.isHeld && events.onJoined(member),
      onBack: (member) => uplink.isHeld && events.onBack(member),
      onSilent: (member) => {
        receipts.removeMachine(member.machine);
        if (uplink.isHeld) events.onSilent(member);
      },
      onLeft: (member, isClean) => {
        receipts.removeMachine(member.machine);
        if (!isClean) inbox.closeMachine(member.machine);
        inbox.forget(member.machine);
        if (uplink.isHeld) events.onLeft(member, isClean);
      },
      onDisagreement: (member, what) => uplink.isHeld && events.onDisagreement(member, what),
    });
    this.receiver = new FrameReceiver({
      machine,
      clock,
      origins,
      events,
      siblings,
      counts,
      uplink,
      members,
      inbox,
      receipts,
      refills,
      exports,
      joining,
      isReady: () => this.#isReady,
      onNews: () => this.#news.open(),
    });
  }

  // The process's own messages, and those of its siblings.

  forward(topic: string, micros: number, message: Uint8Array): void {
    this.#outgoing.append(this.#host.origins.own, topic, micros, message, false);
  }

  forwardForReceipt(topic: string, message: Uint8Array, owed: OwedReceipt): void {
    const machines = new Set<string>();
    for (const { machine } of this.#members.present()) machines.add(machine);
    this.#receipts.await(owed, this.uplink.isReachable ? machines : new Set());
    this.#outgoing.append(this.#host.origins.own, topic, owed.micros, message, true);
  }

  get gate(): Gate | undefined {
    return this.uplink.gate;
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
    this.#inbox.claim(origin.name, this.machine);
    this.uplink.tellStateSoon();
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
    this.uplink.tellStateSoon();
  }

  // Joining the cluster, and leaving it.

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

  /** True while another process still has to answer what became of a message. */
  get awaitsReceipts(): boolean {
    return this.#receipts.awaitsSome;
  }

  /**
   * Looks for other machines, and copies the history of one of them. To be called by the process that holds the
   * transport, before the machine has clients.
   */
  async join(): Promise<Joined> {
    const joined = this.uplink.isReachable
      ? await this.#joining.join()
      : { what: "failed", reason: "no other machine can be reached" } as const;
    if (this.uplink.isReachable) this.becomeReady();
    else this.#begin();
    return joined;
  }

  /**
   * Begins to take messages. Its history is whole up to where the processes that it knows stand, and knows all of them
   * if other machines can be reached.
   */
  becomeReady(): void {
    this.#inbox.adopt(this.#host.clock.nowMs);
    this.#begin();
  }

  #begin(): void {
    this.#isReady = true;
    this.#inbox.begin(this.uplink.isReachable ? -Infinity : this.#host.nowMicros());
    if (this.uplink.isHeld) this.uplink.tellState(true);
    else this.uplink.pass(undefined, { kind: STATE, state: this.#state(true) });
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

  /** Acts on deadlines that have passed. To be called about once a sweep. */
  sweep(): void {
    const { nowMs } = this.#host.clock;
    this.#outgoing.sweep();
    this.#members.sweep(nowMs);
    if (this.#isReady) this.#inbox.sweep(nowMs);
    this.#receipts.sweep();
    this.#exports.sweep();
    this.#refills.sweep();
    this.#news.open();
    this.uplink.sweep();
    const { isHeld, connectedSinceMs } = this.uplink;
    // It has begun without the others. By now those have said which processes live.
    const isLate = isHeld && this.#isReady && !this.#inbox.hasAdopted;
    if (isLate && nowMs - (connectedSinceMs ?? nowMs) >= DISCOVERY_MS) this.#inbox.adopt(nowMs);
  }

  /** Tells the other machines that this one stops, and sends what it has accepted. */
  async leave(): Promise<void> {
    this.#outgoing.flush();
    const origins = this.#outgoing.states().map((state) => {
      // Those that have ended before this process stay what they are.
      if (state.end !== undefined) return state;
      // Its siblings know an end behind its last message, which they may have told clients.
      const endMicros = Math.max(state.last, this.#host.nowMicros());
      return { ...state, end: "ended", endMicros } as const;
    });
    await this.uplink.leave({ ...this.#state(false), origins });
    this.#inbox.discard();
  }

  /** Its counts, and the members. */
  report(): ClusterReport {
    return {
      isHolding: this.uplink.isHeld,
      isConnected: this.uplink.isReachable,
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
        ...this.#inbox.countsOf(machine),
      })),
    };
  }

  #state(asks: boolean): MachineState {
    const { port, release, workers } = this.#settings;
    const { maxFrameBytes, maxTopicBytes } = this.#host.limits;
    return {
      address: `${this.uplink.ownAddress}${port === 0 ? "" : `:${port}`}`,
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

  /** The history up to now, for a machine that hears the rest itself. */
  #image(): Iterator<Uint8Array> {
    const { history, origins, clock, sealTopics } = this.#host;
    sealTopics();
    const bounds = new Map<Origin, number>();
    for (const origin of origins.all()) bounds.set(origin, origin.micros);
    return imageOf(history, origins, clock, bounds, undefined, () => true);
  }
}
