import type { Limits } from "../../../server/limits.ts";
import { DEFAULT_LIMITS } from "../../../server/limits.ts";
import { History } from "../../../server/history/history.ts";
import { imageOf, ImageReader } from "../../../server/history/image.ts";
import { Origins } from "../../../server/history/origins.ts";
import { WaitingRoom } from "../../../server/flow/gate.ts";
import { MemoryBudget } from "../../../server/flow/memory_budget.ts";
import { CoarseClock } from "../../../server/timing/coarse_clock.ts";
import { newCounters } from "../../../server/counters.ts";
import { Cluster } from "../../../server/machines/cluster.ts";
import type { Siblings } from "../../../server/machines/cluster_host.ts";
import type { ClusterEvents } from "../../../server/machines/report.ts";
import type { Transport } from "../../../server/machines/transport.ts";
import type { ReceiptTaker } from "../../../server/topics/receipts.ts";
import { MemoryRuntime } from "../../support/memory/memory_runtime.ts";

/** The time at which each street begins, in microseconds since the Unix epoch. */
const EPOCH_MICROS = 1_700_000_000_000_000;

/** What a machine was given of another one's messages. */
export interface Delivered {
  readonly origin: string;
  readonly micros: number;
  readonly message: string;
}

/** Messages that were declared to be lost. */
export interface DeclaredHole {
  readonly origin: string;
  readonly after: number;
  readonly to: number;
}

/** What becomes of a frame on its way: after how many milliseconds it arrives, each time that it does. */
export type Fate = (from: string, to: string) => readonly number[];

interface UnderWay {
  readonly atMs: number;
  readonly to: string;
  readonly frame: Uint8Array;
  readonly isForOne: boolean;
}

/** Machines of one process each, and what carries their frames, in memory and in a time of their own. */
export class Street {
  readonly net = new MemoryRuntime({ turns: "manual" });
  readonly clock = new CoarseClock(0);
  readonly machines = new Map<string, Machine>();
  /** Called for each frame and each machine that is to get it. */
  fate: Fate = () => [0];
  #underWay: UnderWay[] = [];

  get nowMicros(): number {
    return EPOCH_MICROS + this.clock.nowMs * 1000;
  }

  /** Adds a machine that serves. */
  add(name: string, settings: MachineSettings = {}): Machine {
    const machine = new Machine(this, name.padStart(16, "0"), settings);
    this.machines.set(machine.name, machine);
    if (settings.copies !== undefined) copyHistory(settings.copies, machine, this.clock);
    machine.isConnected = settings.begins === undefined;
    machine.connect();
    // It looks for no other machine where it can reach none, and so begins at once.
    if (settings.begins === "alone") void machine.cluster.join();
    else machine.cluster.becomeReady();
    return machine;
  }

  /** A machine dies. What it has sent is still under way. */
  kill(machine: Machine): void {
    this.machines.delete(machine.name);
  }

  send(from: string, to: string | undefined, frame: Uint8Array): void {
    const copy = frame.slice();
    for (const name of this.machines.keys()) {
      if (name === from || to !== undefined && to !== name) continue;
      for (const ms of this.fate(from, name)) {
        this.#underWay.push({
          atMs: this.clock.nowMs + ms,
          to: name,
          frame: copy,
          isForOne: to !== undefined,
        });
      }
    }
  }

  /** Does something while all frames get lost. */
  lose(act: () => void): void {
    this.fate = () => [];
    act();
    this.pass(50);
    this.fate = () => [0];
  }

  /** Lets time pass. */
  pass(ms: number, stepMs = 50): void {
    for (const endMs = this.clock.nowMs + ms; this.clock.nowMs < endMs;) {
      this.clock.nowMs = Math.min(endMs, this.clock.nowMs + stepMs);
      this.settle();
      for (const machine of this.machines.values()) machine.cluster.sweep();
      this.settle();
    }
  }

  /** Lets happen what takes no time. */
  settle(): void {
    for (let isBusy = true; isBusy;) {
      this.net.settle();
      const due = this.#underWay.filter(({ atMs }) => atMs <= this.clock.nowMs);
      this.#underWay = this.#underWay.filter(({ atMs }) => atMs > this.clock.nowMs);
      due.sort((a, b) => a.atMs - b.atMs);
      for (const { to, frame, isForOne } of due) this.machines.get(to)?.take(frame, isForOne);
      isBusy = due.length > 0;
    }
  }
}

function copyHistory(from: Machine, to: Machine, clock: CoarseClock): void {
  const { history, origins, budget } = to;
  const bounds = new Map([...from.origins.all()].map((origin) => [origin, origin.micros]));
  const reader = new ImageReader({ history, origins, budget, clock });
  for (const record of imageOf(from.history, from.origins, clock, bounds, undefined, () => true)) {
    reader.take(record);
  }
}

/** Siblings of a process that hear nothing, but for the parts that a test gives. */
export function siblingsWith(parts: Partial<Siblings>): Siblings {
  return {
    relay() {},
    handUp() {},
    tellUplink() {},
    isBehind: false,
    hasRoomFor: () => true,
    names: () => ["sibling"],
    ...parts,
  };
}

/** What a machine differs in. */
export interface MachineSettings {
  readonly logBytes?: number;
  readonly logMs?: number;
  /** The machine whose history it copies before it serves. */
  readonly copies?: Machine;
  /** Milliseconds by which its clock is ahead. */
  readonly aheadMs?: number;
  /** True if its clients are told of a hole only when the test says so. */
  readonly tellsSlowly?: boolean;
  /** The other processes of the machine; it has none unless given. */
  readonly siblings?: Siblings;
  readonly limits?: Partial<Limits>;
  /** If other machines can't be reached when it begins: as the first process of its machine, or as a further one. */
  readonly begins?: "alone" | "with siblings alone";
}

const utf8 = new TextEncoder();

/** A machine of a {@linkcode Street}. */
export class Machine implements Transport {
  readonly name: string;
  readonly cluster: Cluster;
  readonly origins: Origins;
  readonly history: History;
  readonly budget: MemoryBudget;
  /** What was fanned out here that other machines accepted. */
  readonly delivered: Delivered[] = [];
  readonly holes: DeclaredHole[] = [];
  /** The timestamps that it has issued, and the events that it would have logged. */
  readonly published: number[] = [];
  readonly log: string[] = [];
  isConnected = true;
  isFull = false;
  unsentBytes = 0;
  readonly maxFrameBytes = 1024 * 1024;
  readonly ownAddress = "";
  /** False while memory is short. */
  mayDeliver = true;
  /** True while clients are told of a hole, which begins with each. */
  isTelling = false;
  /** The gate of both. */
  readonly gate: WaitingRoom;
  /** The counts of each message here. */
  subscribers = 1;
  readonly #street: Street;
  #lastMicros: number;

  constructor(street: Street, name: string, settings: MachineSettings) {
    const { logBytes = 1024 * 1024, logMs = 60_000, aheadMs = 0 } = settings;
    this.#street = street;
    this.name = name;
    const limits: Limits = { ...DEFAULT_LIMITS, ...settings.limits } as Limits;
    const { clock, net } = street;
    this.gate = new WaitingRoom(net);
    this.#lastMicros = street.nowMicros;
    this.origins = new Origins(this.#lastMicros);
    const budget = this.budget = new MemoryBudget(limits.maxTotalPendingBytes, {});
    const { origins } = this;
    this.history = new History({ limits, budget, clock, origins, counters: newCounters() });
    const events: ClusterEvents = {
      onJoined: ({ machine }) => this.log.push(`joined ${machine}`),
      onSilent: ({ machine }) => this.log.push(`silent ${machine}`),
      onBack: ({ machine }) => this.log.push(`back ${machine}`),
      onLeft: ({ machine }, isClean) => this.log.push(`${isClean ? "left" : "dead"} ${machine}`),
      onDisagreement: (_, what) => this.log.push(`disagrees: ${what}`),
      onHole: () => {},
      onRejected: (_, why) => this.log.push(`rejected: ${why}`),
      onOtherVersion: (what) => this.log.push(`version: ${what}`),
      onConnected: () => {},
      onAway: () => {},
      onError: () => {},
    };
    this.cluster = new Cluster(
      { machine: name, port: 8081, release: "1.2.3", workers: 1, logBytes, logMs },
      {
        runtime: net,
        clock,
        limits,
        origins,
        history: this.history,
        historyBudget: this.budget,
        events: {
          ...events,
          onHole: (_, origin, { after, to }) => this.holes.push({ origin, after, to }),
        },
        siblings: settings.siblings,
        nowMicros: () => street.nowMicros + aheadMs * 1000,
        publishingGate: () => this.mayDeliver ? undefined : this.gate as never,
        sealTopics() {},
        publishRemote: (origin, _, micros, message, taker) =>
          this.#deliver(origin.name, micros, message, taker),
        onHole: () => this.isTelling = settings.tellsSlowly === true,
        holeGate: () => this.isTelling ? this.gate : undefined,
      },
    );
  }

  /** The name of its process. */
  get origin(): string {
    return this.origins.own.name;
  }

  connect(): void {
    this.cluster.uplink.hold(this);
  }

  /** The way to other machines is cut, or mended. */
  setConnected(isConnected: boolean): void {
    this.isConnected = isConnected;
    if (isConnected) this.cluster.uplink.onConnected();
    else this.cluster.uplink.onAway();
  }

  /** Publishes a message, and returns its timestamp. */
  publish(data: unknown = 0, topic = "t"): number {
    this.#lastMicros = Math.max(this.#lastMicros + 1, this.#street.nowMicros);
    this.origins.own.micros = this.#lastMicros;
    this.published.push(this.#lastMicros);
    const text = JSON.stringify({ topic, data });
    this.cluster.forward(topic, this.#lastMicros, utf8.encode(text));
    return this.#lastMicros;
  }

  take(frame: Uint8Array, isForOne: boolean): void {
    if (this.isConnected) this.cluster.receiver.onFrame(frame, { isForOne });
  }

  send(frame: Uint8Array, machine?: string): void {
    if (this.isConnected) this.#street.send(this.name, machine, frame);
  }

  sweep(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }

  #deliver(
    origin: string,
    micros: number,
    message: Uint8Array,
    taker: ReceiptTaker | undefined,
  ): void {
    this.delivered.push({ origin, micros, message: new TextDecoder().decode(message) });
    const { subscribers } = this;
    taker?.take({ matched: subscribers, written: subscribers, queued: 0, evicted: 0 });
  }
}
