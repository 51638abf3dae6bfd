import type { Limits } from "../../../server/limits.ts";
import { DEFAULT_LIMITS } from "../../../server/limits.ts";
import { History } from "../../../server/history/history.ts";
import { Origins } from "../../../server/history/origins.ts";
import { MemoryBudget } from "../../../server/flow/memory_budget.ts";
import { CoarseClock } from "../../../server/timing/coarse_clock.ts";
import { newCounters } from "../../../server/counters.ts";
import { Cluster } from "../../../server/machines/cluster.ts";
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
    machine.connect();
    machine.cluster.becomeReady();
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
        this.#underWay.push({ atMs: this.clock.nowMs + ms, to: name, frame: copy });
      }
    }
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
      for (const { to, frame } of due) this.machines.get(to)?.take(frame);
      isBusy = due.length > 0;
    }
  }
}

/** What a machine differs in. */
export interface MachineSettings {
  readonly logBytes?: number;
  readonly logMs?: number;
  readonly limits?: Partial<Limits>;
}

const utf8 = new TextEncoder();

/** A machine of a {@linkcode Street}. */
export class Machine implements Transport {
  readonly name: string;
  readonly cluster: Cluster;
  readonly origins: Origins;
  readonly history: History;
  /** What was fanned out here that other machines accepted. */
  readonly delivered: Delivered[] = [];
  readonly holes: DeclaredHole[] = [];
  /** The timestamps that it has issued, and the events that it would have logged. */
  readonly published: number[] = [];
  readonly log: string[] = [];
  isConnected = true;
  isFull = false;
  readonly maxFrameBytes = 1024 * 1024;
  readonly ownAddress = "";
  /** False while memory is short. */
  mayDeliver = true;
  /** The counts of each message here. */
  subscribers = 1;
  readonly #street: Street;
  #lastMicros: number;

  constructor(street: Street, name: string, settings: MachineSettings) {
    const { logBytes = 1024 * 1024, logMs = 60_000 } = settings;
    this.#street = street;
    this.name = name;
    const limits: Limits = { ...DEFAULT_LIMITS, ...settings.limits } as Limits;
    const { clock, net } = street;
    this.#lastMicros = street.nowMicros;
    this.origins = new Origins(this.#lastMicros);
    const budget = new MemoryBudget(limits.maxTotalPendingBytes, {});
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
        historyBudget: budget,
        events: {
          ...events,
          onHole: (_, origin, after, to) => this.holes.push({ origin, after, to }),
        },
        siblings: undefined,
        nowMicros: () => street.nowMicros,
        publishingGate: () => this.mayDeliver ? undefined : ({} as never),
        sealTopics() {},
        publishRemote: (origin, _, micros, message, taker) =>
          this.#deliver(origin.name, micros, message, taker),
        onHole() {},
      },
    );
  }

  /** The name of its process. */
  get origin(): string {
    return this.origins.own.name;
  }

  connect(): void {
    this.cluster.hold(this);
  }

  /** The way to other machines is cut, or mended. */
  setConnected(isConnected: boolean): void {
    this.isConnected = isConnected;
    if (isConnected) this.cluster.onConnected();
    else this.cluster.onAway();
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

  take(frame: Uint8Array): void {
    if (this.isConnected) this.cluster.onFrame(frame, false);
  }

  send(frame: Uint8Array, machine?: string): void {
    if (this.isConnected) this.#street.send(this.name, machine, frame);
  }

  sweep(): void {}

  flush(): Promise<void> {
    return Promise.resolve();
  }

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
